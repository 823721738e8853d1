"""Tagging tasks from data to pictures, in every architecture: layers of one corpus and texts of another."""

import json
from contextlib import redirect_stdout
from dataclasses import replace
from functools import cache
from io import StringIO

import numpy as np
import pytest
import torch

from graphmtl.architectures import architecture_class
from graphmtl.cli import main
from graphmtl.data.batching import EncodedSplit, encode_tasks
from graphmtl.data.kind import NO_LABEL
from graphmtl.data.spelling import Alphabet, WordForms
from graphmtl.data.vocabulary import Vocabulary
from graphmtl.errors import InputError
from graphmtl.kinds.crf import CRFHead
from graphmtl.kinds.tagging import LinearTagHead
from graphmtl.layers import message_lstm
from graphmtl.models.model import MultiTaskModel
from graphmtl.registry import ARCHITECTURES
from graphmtl.training.experiment import train
from tests.parts import model_options
from tests.tagging import NER, POS, tagging_tasks
from tests.tiny import OPTIONS

every_architecture = pytest.mark.parametrize("arch", list(ARCHITECTURES))
every_graph = pytest.mark.parametrize("arch", ["shared", "complete", "star"])
SENTENCES = ["Ada Böll left NYC !", "Rome", "1999 ! in Málaga"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    @cache
    def trained(arch):
        output = str(tmp_path_factory.mktemp("runs") / arch)
        options = {key: OPTIONS[key] for key in ("hidden", "attention", "embedding_size", "device", "progress")}
        options |= {"epochs": 4, "batch_size": 8, "lr": 0.02, "affinity_probe": 5}
        with redirect_stdout(StringIO()):  # whichever test asks first
            return train(tagging_tasks(missing=0.3), arch=arch, output=output, **options)

    return trained


def model_of(tasks, arch="star", **options):
    """A model with random weights for tasks and their words."""
    torch.manual_seed(0)
    columns = [data.train[c] for data in tasks.values() for c in ("tokens", "text") if c in data.train.column_names]
    texts = [text.split() if isinstance(text, str) else text for column in columns for text in column]
    words = [word for text in texts for word in text]
    vocabulary = Vocabulary.build([words])
    vocabulary.alphabet = Alphabet.build(words)
    options = model_options(arch=arch, **{"hidden": 4, "attention": 3, "embedding_size": 5, "chars": "cnn"} | options)
    model = MultiTaskModel(tasks=list(tasks.tasks.values()), vocabulary=vocabulary, options=options)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return model.eval()


@every_architecture
def test_a_run_learns_both_kinds_of_tasks(arch, trained):
    metrics = trained(arch).metrics
    assert list(metrics["tasks"]["ner"]["test"]) == list(NER.metrics)
    assert metrics["tasks"]["pos"]["test"]["accuracy"] > 0.8
    assert all(0 <= task["test"][task["metric"]] <= 1 for task in metrics["tasks"].values())
    assert metrics["tasks"]["pos"]["n_test"] < 21 == metrics["tasks"]["plain"]["n_test"]
    assert metrics["tasks"]["ner"]["n_test_dedup"] < metrics["tasks"]["ner"]["n_test"]


@every_architecture
def test_the_task_graph_has_both_kinds_of_tasks(arch, trained):
    graph = trained(arch).task_graph
    expected = {"complete": 12, "star": 4, "cmtr": 16, "adapter-fusion": 16, "cross-stitch": 16}.get(arch, 0)
    assert len(graph.edges) == expected
    if expected:
        assert {edge.target for edge in graph.edges} == {"pos", "ner", "mood", "plain"}
    affinity = trained(arch).graphs_beside.get("affinity")
    assert (affinity is None) == (arch != "star")
    assert affinity is None or len(affinity.edges) == 12


@every_architecture
def test_a_saved_model_predicts_the_same_and_a_label_for_every_token(arch, trained):
    run = trained(arch)
    model = MultiTaskModel.from_pretrained(run.folder / "model")
    names = ["pos", "ner", "mood"]
    lists = [text.split() for text in SENTENCES]
    answers = model.predict(SENTENCES, names)
    of_lists = run.model.predict(lists, names)
    assert of_lists == model.predict(map(tuple, lists), names)
    assert not any("offsets" in answer for answer in of_lists)
    assert [{key: answer[key] for key in answer if key != "offsets"} for answer in answers] == of_lists
    for sentence, tokens in enumerate(lists):
        pos, ner, mood = answers[3 * sentence : 3 * sentence + 3]
        assert pos["tokens"] == ner["tokens"] == tokens
        assert len(pos["labels"]) == len(ner["labels"]) == len(tokens)
        assert set(pos["labels"]) <= set(POS.labels)
        assert mood["label"] in ("calm", "angry")
    nothing = {"task": "ner", "tokens": [], "labels": []}
    assert model.predict(["", "  ", []], "ner") == [nothing | {"offsets": []}] * 2 + [nothing]


@every_architecture
def test_an_answer_depends_neither_on_padding_nor_on_the_batch(arch, trained):
    model, names = trained(arch).model, ["pos", "ner", "mood", "plain"]
    together = model.predict(SENTENCES, names, edges=True)
    alone = [answer for text in SENTENCES for answer in model.predict([text], names, edges=True)]
    by_one_task = [model.predict(SENTENCES, name, edges=True, batch_size=1) for name in names]
    for i, answer in enumerate(together):
        for other in (alone[i], by_one_task[i % 4][i // 4]):
            assert answer.keys() == other.keys()
            assert answer.get("labels") == other.get("labels")
            assert answer.get("label") == other.get("label")
            for ours, theirs in zip(answer["edges"], other["edges"], strict=True):
                assert json.loads(json.dumps(ours)) == approx(theirs)


def approx(value):
    if isinstance(value, dict):
        return {key: approx(own) for key, own in value.items()}
    if isinstance(value, list):
        return [approx(own) for own in value]
    return value if isinstance(value, str) else pytest.approx(value, abs=1e-5)


@every_architecture
def test_two_thousand_tokens(arch, trained):
    (answer,) = trained(arch).model.predict([["Ada", "left"] * 1000], "ner")
    assert len(answer["labels"]) == 2000


def test_edges_of_tokens_in_the_star(trained):
    (answer,) = trained("star").model.predict(["Ada left Rome !"], "ner", edges=True)
    assert len(answer["edges"]) == 4
    for (edge,) in answer["edges"]:
        assert (edge["source"], edge["target"]) == ("virtual", "ner")
        assert len(edge["reads"]) == 4
        assert sum(edge["reads"]) == pytest.approx(1, abs=1e-5)
    (sparse,) = trained("star").model.predict(["Ada left Rome !"], "ner", edges=True, reads=2)
    for (edge,), (whole,) in zip(sparse["edges"], answer["edges"], strict=True):
        assert [weight for _, weight in edge["reads"]] == sorted(whole["reads"], reverse=True)[:2]
        assert all(whole["reads"][place] == weight for place, weight in edge["reads"])


def test_what_a_token_reads_is_in_reading_order_in_both_directions():
    tasks = tagging_tasks("ner")
    model = model_of(tasks)
    data = encode_tasks(tasks, model.vocabulary, model.options)["ner"].test
    batch = data.batch(range(6))
    x = model.encode(batch).states
    read = model.architecture.read(x, batch.lengths, [0], True)[0][1].positions()
    lstms = (model.architecture.hub, model.architecture.lstms[0])
    for parameter in (own for lstm in lstms for own in lstm.parameters()):  # forward reads as backward did
        parameter.data = parameter.data.flip(0)
    for row, length in enumerate(batch.lengths.tolist()):
        mirrored = x[row : row + 1, :length].flip(1)
        other = model.architecture.read(mirrored, torch.tensor([length]), [0], True)[0][1].positions()[0]
        torch.testing.assert_close(read[row, :length, :length], other.flip(0, 1))
        assert not read[row, length:].any()
        assert not read[row, :, length:].any()


def test_edges_of_tokens_in_the_complete_graph(trained):
    model = trained("complete").model
    tagged, whole = model.predict(["Ada left Rome !"], ["ner", "mood"], edges=True)
    assert [edge["source"] for edge in tagged["edges"][0]] == ["pos", "mood", "plain"]
    assert all(sum(edge["weight"] for edge in own) == pytest.approx(1, abs=1e-5) for own in tagged["edges"])
    (by_token,) = model.predict(["Ada left Rome !"], "mood", edges="tokens")
    means = np.mean([[edge["weight"] for edge in own] for own in by_token["edges"]], axis=0)
    assert [edge["weight"] for edge in whole["edges"]] == pytest.approx(means.tolist(), abs=1e-5)
    assert by_token["label"] == whole["label"]


# ---------------------------------------------------------------------------------- one encoding serves all its tasks


@every_graph
def test_tasks_of_a_batch_say_what_each_says_alone(arch):
    tasks = tagging_tasks("pos", "ner", "mood", missing=0.3)
    model = model_of(tasks, arch)
    split = encode_tasks(tasks, model.vocabulary, model.options)["pos"].test
    together = model(split.batch(range(8)), edges=True)
    for name in tasks:
        alone = model(split.batch(range(8), tasks=[name]), edges=True)[name]
        torch.testing.assert_close(together[name].logits, alone.logits)
        if alone.edges is not None:
            torch.testing.assert_close(together[name].edges.weights, alone.edges.weights)


@pytest.mark.parametrize(("arch", "plain"), [("shared", 1), ("complete", 3), ("star", 1)])
def test_what_the_tasks_share_is_computed_once(arch, plain, monkeypatch):
    tasks = tagging_tasks("pos", "ner", "mood")
    model = model_of(tasks, arch)
    counted = []
    once = message_lstm.plain_lstms
    monkeypatch.setattr(message_lstm, "plain_lstms", lambda x, W, *rest: counted.append(W.size(1)) or once(x, W, *rest))
    model(encode_tasks(tasks, model.vocabulary, model.options)["pos"].test.batch([0, 1]))
    assert counted == [plain]


@every_architecture
def test_the_loss_of_a_batch_is_the_sum_over_its_tasks(arch):
    tasks = tagging_tasks("pos", "ner", "mood", missing=0.6)
    model = model_of(tasks, arch)
    split = encode_tasks(tasks, model.vocabulary, model.options)["pos"].test
    batch = split.batch(range(8))
    gradients = {}
    for names in (list(tasks), *([name] for name in tasks)):
        model.zero_grad()
        outputs = model(batch)
        sum(outputs.losses[name] for name in names).backward()
        gradients[tuple(names)] = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
    whole, *parts = gradients.values()
    for name, gradient in whole.items():
        torch.testing.assert_close(gradient, sum(part[name] for part in parts if name in part), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("arch", ["cmtr", "mmoe", "ple", "adapters", "adapter-fusion"])
def test_what_acts_after_pooling_reads_vectors_of_one_size(arch):
    usual = architecture_class(arch).auto_pooling
    beside_tags = "max" if usual == "max-mean" else usual
    assert model_of(tagging_tasks("ner", "plain"), arch).options.pooling == beside_tags
    assert model_of(tagging_tasks("mood", "plain"), arch).options.pooling == usual
    with pytest.raises(InputError, match=f"--pooling max-mean: --arch {arch} reads texts and the tokens of task 'ner'"):
        model_of(tagging_tasks("ner", "plain"), arch, pooling="max-mean")


def test_tags_without_a_label_count_for_nothing():
    tasks = tagging_tasks("pos", tasks={"pos": replace(POS, head="linear")})
    model = model_of(tasks, "shared")
    batch = encode_tasks(tasks, model.vocabulary, model.options)["pos"].test.batch(range(8))
    labels = batch.labels["pos"].clone()
    labels[2:, 1:] = NO_LABEL
    output = model(replace(batch, labels={**batch.labels, "pos": labels}))["pos"]
    known = labels != NO_LABEL
    expected = torch.nn.functional.cross_entropy(output.logits[known], labels[known])
    torch.testing.assert_close(output.loss(), expected)
    total = float(known.sum()) / 2
    torch.testing.assert_close(output.loss(total), 2 * expected)


# -------------------------------------------------------------------------------------------------------- options


@pytest.mark.parametrize(
    ("option", "own", "expected"),
    [
        ("auto", {}, (LinearTagHead, CRFHead)),
        ("linear", {}, (LinearTagHead, LinearTagHead)),
        ("crf", {}, (CRFHead, CRFHead)),
        ("linear", {"pos": replace(POS, head="crf")}, (CRFHead, LinearTagHead)),
        ("auto", {"ner": replace(NER, head="linear")}, (LinearTagHead, LinearTagHead)),
    ],
)
def test_the_head_of_a_task(option, own, expected):
    model = model_of(tagging_tasks("pos", "ner", tasks=own), tag_head=option)
    assert tuple(type(head) for head in model.heads) == expected
    crfs = {task: head for task, head in zip(model.tasks, model.heads, strict=True) if isinstance(head, CRFHead)}
    assert {task: bool(head.forbidden.any()) for task, head in crfs.items()} == {task: task == "ner" for task in crfs}


@pytest.mark.parametrize("chars", ["none", "cnn", "lstm"])
def test_case_is_seen_where_characters_are_read(chars):
    tasks = tagging_tasks("ner")
    model = model_of(tasks, chars=chars, char_size=7)
    upper, lower = (model(split_of(model, [[word]]).batch([0]))["ner"].logits for word in ("NYC", "nyc"))
    assert torch.equal(upper, lower) == (chars == "none")


def split_of(model, texts):
    forms = WordForms(model.vocabulary.alphabet, model.vocabulary.index)
    return EncodedSplit(tasks=["ner"], texts=[forms.encode(text) for text in texts], forms=forms)


@pytest.mark.parametrize("pooling", ["last", "attention"])
@every_architecture
def test_other_poolings_of_sentence_tasks(arch, pooling, tmp_path):
    model = model_of(tagging_tasks("mood", "plain", "ner"), arch, pooling=pooling)
    model.save_pretrained(tmp_path)
    loaded = MultiTaskModel.from_pretrained(tmp_path)
    assert loaded.predict(SENTENCES, ["mood", "plain"]) == model.predict(SENTENCES, ["mood", "plain"])
    groups = model.selection_groups()
    assert sorted(name for own in groups.values() for name in own) == sorted(dict(model.named_parameters()))


# --------------------------------------------------------------------------------------------------------- commands


def printed(capsys, *arguments):
    capsys.readouterr()
    main([str(argument) for argument in arguments])
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_predict(trained, tmp_path, capsys):
    run = trained("star").folder
    (tmp_path / "text").write_text("Ada left NYC!\n\nAda don't\n")
    raw = printed(capsys, "predict", run, "--task", "ner,mood", tmp_path / "text")
    assert [line["line"] for line in raw] == [1, 1, 2, 2, 3, 3]
    assert raw[0]["tokens"] == ["Ada", "left", "NYC", "!"]
    assert (raw[2]["labels"], raw[3]["label"]) == ([], None)
    assert raw[4]["tokens"] == ["Ada", "do", "n't"]
    assert (raw[2]["offsets"], raw[4]["offsets"]) == ([], [[0, 3], [4, 6], [6, 9]])
    assert not any("offsets" in line for line in (raw[1], raw[3], raw[5]))
    split = printed(capsys, "predict", run, "--task", "ner", "--pretokenized", "--edges", tmp_path / "text")
    assert [line["tokens"] for line in split] == [["Ada", "left", "NYC!"], [], ["Ada", "don't"]]
    assert [len(line["edges"]) for line in (split[0], split[2])] == [3, 2]
    few = printed(capsys, "predict", run, "--task", "ner", "--pretokenized", "--edges", "--reads", 2, tmp_path / "text")
    assert [len(edge["reads"]) for (edge,) in (*few[0]["edges"], *few[2]["edges"])] == [2] * 5


def test_answers_about_tokens_keep_the_texts_own_characters(trained):
    text = " “Ada” isn’t  ca\u0301lm…"
    (tags,), (read,) = (trained("star").model.predict([text], name, edges="tokens") for name in ("ner", "mood"))
    for answer in (tags, read):
        assert answer["tokens"] == ["“", "Ada", "”", "is", "n’t", "ca\u0301lm", "…"]
        assert [text[start:end] for start, end in answer["offsets"]] == answer["tokens"]
        assert len(answer["edges"]) == len(answer["tokens"])


def test_evaluate(trained, capsys, monkeypatch):
    run = trained("star")
    monkeypatch.setattr("graphmtl.training.finished.load_fitted_tasks", lambda run: tagging_tasks(missing=0.3))
    main(["evaluate", str(run.folder)])
    tasks = json.loads((run.folder / "evaluation.json").read_text())["tasks"]
    for name, own in tasks.items():
        assert own["test"] == pytest.approx(run.metrics["tasks"][name]["test"], abs=1e-6)
        assert own["n_test"] == run.metrics["tasks"][name]["n_test"]
    assert "PER" in tasks["ner"]["types"]
    assert "types" not in tasks["pos"]
    assert "Types of spans" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arch", "options"),
    [("star", []), ("complete", ["--task", "ner,plain", "--pretokenized"]), ("cmtr", ["--task", "ner,plain"])],
)
def test_plot_a_text(arch, options, trained, tmp_path, capsys):
    file = tmp_path / "text.png"
    main(["plot", str(trained(arch).folder), "--text", SENTENCES[0], "--output", str(file), *options])
    assert file.read_bytes().startswith(b"\x89PNG")
    assert capsys.readouterr().out == f"wrote {file}\n"


@pytest.mark.parametrize(
    ("arch", "text", "message"),
    [
        ("shared", "Ada", "task 'pos' reads from no other node"),
        ("star", " ", "--text has 0 tokens"),
        ("star", "a " * 121, "--text has 121 tokens; a text of 1 to 120"),
    ],
)
def test_a_text_that_cannot_be_drawn(arch, text, message, trained, tmp_path, error_of):
    assert message in error_of("plot", trained(arch).folder, "--text", text, "--output", tmp_path / "x.png")


def test_tagging_cannot_be_exported(trained, error_of):
    assert "task 'pos' of kind token-classification cannot be exported" in error_of("export", trained("star").folder)
    assert "--chars cnn cannot be exported" in error_of("export", trained("star").folder, "--task", "plain")
