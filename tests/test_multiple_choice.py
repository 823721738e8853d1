import json

import pytest
import torch

from graphmtl import load_tasks, train
from graphmtl.analysis.faithfulness import explain_model
from graphmtl.cli import main
from graphmtl.config import ModelOptions
from graphmtl.data.batching import encode_tasks
from graphmtl.data.vocabulary import Vocabulary
from graphmtl.errors import InputError
from graphmtl.models.model import MultiTaskModel
from graphmtl.registry import ARCHITECTURES
from graphmtl.reporting.example_texts import example_texts
from graphmtl.training.loader import loader
from graphmtl.training.run import Run
from tests import tiny
from tests.choosing import examples, write_tasks

FAST = {"epochs": 3, "lr": 0.02, "batch_size": 16, "embedding_size": 12, "output_dropout": 0.0, "locked_dropout": 0.0}
TEXTS = [("0 saw w3", ["then w1 came", "then w3 came"]), ("", []), ("1 saw w5", [f"then w{i} came" for i in (5, 2, 7)])]


@pytest.fixture(scope="module")
def tasks(tmp_path_factory):
    return write_tasks(tmp_path_factory.mktemp("choices"))


@pytest.fixture(scope="module")
def finished_choice(tmp_path_factory, tasks):
    """The finished run of an architecture, which is made when it is first asked for."""
    runs = {}

    def finished_choice(arch, **options):
        key = (arch, *options)
        if key not in runs:
            output = tmp_path_factory.mktemp("runs") / arch
            runs[key] = tiny.run(arch=arch, tasks=tasks, output=output, **FAST | options).run
        return runs[key]

    return finished_choice


every_architecture = pytest.mark.parametrize("arch", list(ARCHITECTURES))
some_architectures = pytest.mark.parametrize("arch", ["single", "star", "cmtr"])


@every_architecture
def test_a_run_predicts_as_it_was_measured(finished_choice, arch, tmp_path):
    run = finished_choice(arch)
    cause = run.metrics["tasks"]["cause"]
    assert (cause["kind"], cause["metric"], cause["n_train"]) == ("multiple-choice", "accuracy", 102)
    main(["evaluate", str(run.folder), "--overwrite", "--predictions", str(tmp_path / "p.jsonl")])
    found = json.loads((run.folder / "evaluation.json").read_text())["tasks"]["cause"]
    assert found["test"] == pytest.approx(cause["test"], abs=1e-6)
    assert "classes" not in found
    lines = [json.loads(line) for line in (tmp_path / "p.jsonl").read_text().splitlines()]
    lines = [line for line in lines if line["task"] == "cause"]
    assert sum(line["label"] == line["answer"] for line in lines) / len(lines) == pytest.approx(
        cause["test"]["accuracy"]
    )
    assert all(len(line["probabilities"]) == len(line["choices"]) for line in lines)
    again = MultiTaskModel.from_pretrained(run.folder / "model")
    answers = again.predict([(line["text"], line["choices"]) for line in lines], "cause")
    assert [answer["choice"] for answer in answers] == [line["answer"] for line in lines]
    for answer, line in zip(answers, lines, strict=True):
        assert answer["probabilities"] == pytest.approx(line["probabilities"], abs=1e-5)
        assert answer["label"] == line["choices"][answer["choice"]]


@some_architectures
def test_the_order_of_choices_and_other_examples_change_nothing(finished_choice, arch):
    model = finished_choice(arch).model
    first, blank, second = model.predict(TEXTS, "cause", edges=True)
    assert blank == {"task": "cause", "choice": None}
    assert [len(first["probabilities"]), len(second["probabilities"])] == [2, 3]
    assert sum(second["probabilities"]) == pytest.approx(1, abs=1e-6)
    context, own = TEXTS[2]
    (turned,) = model.predict([(context, own[::-1])], "cause", edges=True)
    assert turned["label"] == second["label"]
    assert turned["choice"] == 2 - second["choice"]
    assert turned["probabilities"][::-1] == pytest.approx(second["probabilities"], abs=1e-6)
    assert [edge["weight"] for edge in turned["edges"]] == pytest.approx(
        [e["weight"] for e in second["edges"]], abs=1e-6
    )


@pytest.mark.parametrize(("arch", "epochs"), [("cmtr", 12), ("adapters", 12), ("star", 25)])
def test_a_word_of_the_context_is_found_in_the_right_choice(finished_choice, arch, epochs):
    """What every example asks for can be learned of all of them: no training example is answered wrongly."""
    run = finished_choice(arch, epochs=epochs, hidden=16)
    main(["evaluate", str(run.folder), "--split", "train", "--overwrite"])
    found = json.loads((run.folder / "evaluation.json").read_text())["tasks"]["cause"]["train"]
    assert found["accuracy"] == 1
    assert found["ece"] < 0.1
    assert run.metrics["tasks"]["cause"]["test"]["accuracy"] > 0.9


@pytest.mark.parametrize("arch", ["shared", "complete"])
def test_a_transformer_reads_choices(transformer, tasks, arch, tmp_path):
    encoder = transformer()
    run = tiny.run(arch=arch, encoder=encoder, tasks=tasks, output=tmp_path / "run", epochs=1).run
    whole = run.model.predict(TEXTS, "cause", edges="tokens")
    assert whole[2]["tokens"][0] == "[CLS]"
    for text, answer in zip(TEXTS[::2], whole[::2], strict=True):
        (alone,) = run.model.predict([text], "cause")
        assert alone["probabilities"] == pytest.approx(answer["probabilities"], abs=1e-6)
    assert run.metrics["tasks"]["cause"]["n_test"] == 32


class StopError(Exception):
    """What a callback may raise."""


@some_architectures
def test_resuming_is_exact(tasks, arch, tmp_path):
    def stop(line: dict) -> None:
        raise StopError

    options = {**tiny.OPTIONS, "arch": arch}
    whole = train(tasks, output=tmp_path / "whole", **options)
    with pytest.raises(StopError):
        train(tasks, callbacks=[stop], output=tmp_path / "parts", **options)
    resumed = train(tasks, output=tmp_path / "parts", resume=True, **options)
    assert tiny.without_clock(resumed.metrics) == tiny.without_clock(whole.metrics)
    for (name, ours), theirs in zip(whole.model.named_parameters(), resumed.model.parameters(), strict=True):
        assert torch.equal(ours, theirs), name


def test_data_in_memory_are_read_as_files(tasks):
    given = {"train": examples(160), "test": 0.2, "valid": 0.2, "kind": "multiple-choice", "text": "premise"}
    ours, theirs = load_tasks({"cause": {**given, "choices": "endings"}})["cause"], load_tasks(tasks)["cause"]
    for split in ("train", "valid", "test"):
        assert ours.splits[split]["choices"] == theirs.splits[split]["choices"]
        assert [*ours.splits[split]["label"]] == [*theirs.splits[split]["label"]]


def test_a_batch_holds_whole_examples(finished_choice, tasks):
    model, data = finished_choice("star").model, load_tasks(tasks)
    train_rows = data["cause"].train
    encoded = encode_tasks({"cause": data["cause"]}, model.vocabulary, model.options)["cause"].train
    rows = [5, 0, 7]
    batch = encoded.batch(rows, fillers=1)
    assert batch.groups.tolist() == [len(train_rows[i]["choices"]) for i in rows]
    assert len(batch.tokens) == len(batch.lengths) == batch.groups.sum()
    assert batch.weights.tolist() == [1, 1, 0]
    assert batch.labels["cause"].tolist() == [train_rows[i]["label"] for i in rows]
    texts = [(train_rows[i]["text"], choice) for i in rows for choice in train_rows[i]["choices"]]
    expected = [model.vocabulary.encode(*text) for text in texts]
    assert [ids[:n] for ids, n in zip(batch.tokens.tolist(), batch.lengths.tolist(), strict=True)] == expected
    assert encoded.lengths[rows].tolist() == [int(own.sum()) for own in batch.lengths.split(batch.groups.tolist())]
    assert batch.by_text(torch.tensor([3, 4, 5])).tolist() == [3] * len(texts[: batch.groups[0]]) + [
        value for value, n in zip([4, 5], batch.groups.tolist()[1:], strict=True) for _ in range(n)
    ]
    for each in loader(data, model, batch_size=8):
        assert model(each).loss.isfinite()


def test_edges_are_counted_for_every_text(finished_choice, tasks):
    texts = sum(len(own) for own in load_tasks(tasks)["cause"].test["choices"])
    (edge,) = finished_choice("star").task_graph.incoming("cause")
    assert edge.count == texts


def test_lines_and_columns_are_labelled(finished_choice, tmp_path, capsys, error_of):
    run = finished_choice("cmtr")
    (tmp_path / "lines.txt").write_text("0 saw w3\tthen w1 came\tthen w3 came\n\n1 saw w5\tthen w5 came\n")
    error = error_of("predict", run.folder, "--task", "cause", tmp_path / "lines.txt")
    reads = "task 'cause' reads a context and two or more choices with a TAB between, found"
    assert f"{tmp_path / 'lines.txt'}, line 3: {reads} 1 choices" in error
    (tmp_path / "lines.txt").write_text("0 saw w3\tthen w1 came\t\t\n")
    error = error_of("predict", run.folder, "--task", "cause", tmp_path / "lines.txt")
    assert f"{tmp_path / 'lines.txt'}, line 1: {reads} 1 choices" in error
    (tmp_path / "lines.txt").write_text("0 saw w3\tthen w1 came\t\tthen w3 came\n")
    error = error_of("predict", run.folder, "--task", "cause", tmp_path / "lines.txt")
    assert f"{tmp_path / 'lines.txt'}, line 1: choice 2 of 3 is empty, expected a text" in error
    (tmp_path / "lines.txt").write_text("0 saw w3\tthen w1 came\tthen w3 came\t\n\n")
    main(["predict", str(run.folder), "--task", "cause", str(tmp_path / "lines.txt")])
    first, blank = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    (expected,) = run.model.predict(TEXTS[:1], "cause")
    assert first == {"line": 1, **expected, "probabilities": pytest.approx(expected["probabilities"], abs=1e-6)}
    assert blank == {"line": 2, "task": "cause", "choice": None}
    (tmp_path / "x.csv").write_text("premise,endings\n0 saw w3,\"['then w1 came', 'then w3 came']\"\n,\n")
    main(["predict", str(run.folder), "--task", "cause", "--output", str(tmp_path / "y.csv"), str(tmp_path / "x.csv")])
    names, one, none = (tmp_path / "y.csv").read_text().splitlines()
    assert names == "premise,endings,cause.choice,cause.label,cause.probability"
    assert one.split(",")[-3:-1] == [str(expected["choice"]), expected["label"]]
    assert none == ",,,,"
    (tmp_path / "z.csv").write_text("ctx,a,b\n0 saw w3,then w1 came,then w3 came\n")
    error = error_of("predict", run.folder, "--task", "cause", "--text", "ctx,a,b", tmp_path / "z.csv")
    assert "--text ctx,a,b: task 'cause' reads 2 columns, found 3" in error
    error = error_of("predict", run.folder, "--task", "cause", tmp_path / "z.csv")
    assert "task 'cause' reads column 'premise', which is not there (columns: ctx, a, b)" in error


@pytest.mark.parametrize(
    ("text", "task"),
    [
        ("a text", "cause"),
        (("a", ["b"]), "cause"),
        (("a", ["b", ""]), "cause"),
        (("a", ["", " "]), "cause"),
        (("a", []), "cause"),
        (("a", "b"), "cause"),
        (TEXTS[0], "films"),
    ],
)
def test_what_a_task_does_not_read_is_named(finished_choice, text, task):
    with pytest.raises(
        InputError, match=r"texts\[0\]: task '(cause' reads a context and a list of two or|films' reads one)"
    ):
        finished_choice("star").model.predict([text], task)


def test_an_empty_choice_at_the_end_is_none(finished_choice):
    model, (context, choices) = finished_choice("star").model, TEXTS[0]
    assert model.predict([(context, [*choices, "", " "])], "cause") == model.predict([(context, choices)], "cause")
    assert model.predict([("", ["", ""])], "cause") == [{"task": "cause", "choice": None}]
    with pytest.raises(InputError, match=r"texts\[0\]: choice 1 of 2 is empty, expected a text"):
        model.predict([(context, ["", "b"])], "cause")


def test_verbs_of_a_run_with_choices(finished_choice, tmp_path, error_of):
    run = finished_choice("star")
    (text, *_) = example_texts(run, per_task=1, seed=0)["cause"]
    assert "<sep>" in text["tokens"]
    assert {text["label"], text["gold"]} <= {f"choice {i}" for i in range(4)}
    main(["report", str(run.folder), "--output", str(tmp_path / "report.html")])
    assert f"predicted <b>{text['label']}</b>" in (tmp_path / "report.html").read_text()
    line = "\t".join([TEXTS[0][0], *TEXTS[0][1]])
    main(["plot", str(run.folder), "--text", line, "--task", "cause", "--output", str(tmp_path / "x.png")])
    assert (tmp_path / "x.png").is_file()
    error = error_of("export", run.folder, "--task", "cause", "--output", tmp_path / "model.onnx")
    assert "task 'cause' of kind multiple-choice cannot be exported" in error


def test_explain_cuts_edges_of_choices(finished_choice, tasks):
    run = finished_choice("star")
    data = encode_tasks(load_tasks(tasks), run.model.vocabulary, run.model.options)
    found = explain_model(run.model, data, split="test", seed=0, per_task=20, probe=10)
    for picture in ("attention", "contribution", "ablation", "affinity"):
        assert [edge.target for edge in found.pictures[picture].incoming("cause")] == ["cause"], picture
    assert found.pictures["ablation"].incoming("cause")[0].count == 20


def test_teachers_are_refused(tasks, tmp_path, error_of):
    flags = tiny.flags(
        **tiny.OPTIONS | {"arch": "cmtr", "tasks": tasks, "output": tmp_path / "run", "teachers": "train"}
    )
    error = error_of("run", *flags)
    assert "--teachers: an example of task 'cause' of kind multiple-choice is several texts" in error


@pytest.mark.parametrize("freeze", ["all-but-new", "none"])
def test_choices_join_a_graph(finished, tasks, freeze, tmp_path):
    flags = ["--freeze", freeze, "--steps", "0", "--epochs", "1", "--output", str(tmp_path / "new")]
    main(["transfer", str(finished("complete").run.folder), "--task", f"{tasks}:cause", *flags])
    run = Run.open(tmp_path / "new")
    (answer,) = run.model.predict(TEXTS[:1], "cause")
    assert len(answer["probabilities"]) == 2


def test_a_long_context_leaves_the_choices_whole():
    rows = [
        {"premise": "so " * 50 + f"t{i}", "endings": [f"w{i} came", f"w{i + 1} came"], "label": 0} for i in range(9)
    ]
    given = {"train": rows, "test": 1, "valid": 1, "kind": "multiple-choice", "text": "premise", "choices": "endings"}
    data = load_tasks({"cause": {**given, "max_length": 6}})["cause"]
    vocabulary = Vocabulary.build(text for own in data.train["choices"] for text in own)
    encoded = encode_tasks({"cause": data}, vocabulary, ModelOptions())["cause"].train
    for i, own in enumerate(data.train["choices"]):
        tokens = encoded.batch([i]).tokens
        assert tokens.shape == (2, 6)
        assert [ids[-2:] for ids in tokens.tolist()] == [vocabulary.encode(choice) for choice in own]


def test_a_validation_split_may_be_trained_on_too(tasks, tmp_path):
    run = tiny.run(arch="shared", tasks=tasks, output=tmp_path / "run", refit_on_valid=True).run
    assert run.metrics["tasks"]["cause"]["test"]["accuracy"] > 0
