import io
import json
import re
import shutil

import datasets
import numpy as np
import pandas as pd
import pytest
import torch
from huggingface_hub import ModelCard
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from graphmtl.architectures import ARCHITECTURES
from graphmtl.config import ModelOptions, Options
from graphmtl.data.batching import EncodedSplit
from graphmtl.data.task import Task
from graphmtl.data.vectors import Vectors
from graphmtl.data.vocabulary import Vocabulary
from graphmtl.errors import DataWarning, InputError
from graphmtl.models.encoded import Encoded
from graphmtl.models.model import MultiTaskModel

TASKS = [
    Task(name="a", labels=("no", "yes")),
    Task(name="b", labels=("1", "2", "3"), metrics=("f1", "accuracy")),
    Task(name="pairs", labels=("x", "y"), text=("p", "q")),
]
WORDS = ["good", "bad", "film", "book", "not", "very"]
VOCABULARY = Vocabulary.build(WORDS)
every_architecture = pytest.mark.parametrize("arch", list(ARCHITECTURES))


WITH_SELF = dict.fromkeys(("cmtr", "adapter-fusion"), ("a", "b", "pairs"))  # after pooling, once for a text


def build(arch, tasks=TASKS, **options):
    torch.manual_seed(0)
    options = {"hidden": 4, "attention": 3, "embedding_size": 5} | options
    model = MultiTaskModel(tasks=tasks, vocabulary=VOCABULARY, options=ModelOptions(arch=arch, **options))
    for parameter in model.parameters():  # so that the tasks' answers differ
        torch.nn.init.normal_(parameter, std=0.7)
    return model.eval()


def batch(task, texts=((3, 4), (5, 6, 7, 8), (1,))):
    return EncodedSplit(tasks=[task], texts=texts).batch(range(len(texts)))


@every_architecture
@pytest.mark.parametrize("pooling", ["max", "max-mean"])
@pytest.mark.parametrize("bidirectional", [True, False])
def test_every_task_has_logits_of_its_own_labels(arch, pooling, bidirectional):
    model = build(arch, pooling=pooling, bidirectional=bidirectional)
    for task in TASKS:
        output = model(batch(task.name))[task.name]
        assert output.logits.shape == (3, len(task.labels))
        assert output.edges is None


@every_architecture
def test_edges_only_when_asked_for_and_they_change_no_logits(arch):
    model = build(arch)
    output = model(batch("b"), edges=True)["b"]
    assert torch.equal(output.logits, model(batch("b"))["b"].logits)
    sources = {"complete": ("a", "pairs"), "star": ("virtual",), **WITH_SELF}.get(arch)
    assert (output.edges is None) == (sources is None)
    if sources is not None:
        assert (output.edges.target, output.edges.sources) == ("b", sources)
        assert output.edges.weights.shape == (3, 1 if arch in WITH_SELF else 4, len(sources))


@every_architecture
def test_forward_is_encoder_architecture_and_head_of_the_task(arch):
    model = build(arch)
    encoded = model.encode(batch("b"))
    assert encoded.states.shape == (3, 4, 5)
    assert encoded.pooled is None
    states, _ = model.architecture(encoded.states, encoded.lengths, 1)
    seen = model.architecture.interact(model.represent(states, encoded, "b"), encoded.lengths, 1)
    assert torch.equal(model.classify(seen.h, "b"), model(batch("b"))["b"].logits)
    before = {task.name: model(batch(task.name))[task.name].logits for task in TASKS}
    model.heads[1].linear.bias.data += 1
    torch.testing.assert_close(model(batch("b"))["b"].logits, before["b"] + 1)
    assert torch.equal(model(batch("a"))["a"].logits, before["a"])


def test_locked_dropout_lies_on_the_states_in_training():
    model = build("shared", locked_dropout=0.5, output_dropout=0.0, embedding_dropout=0.0, pooling="mean")
    encoded = Encoded(torch.ones(1, 4, 8), torch.tensor([4]))
    pooled = {tuple(model.train().represent(encoded.states, encoded, "a")[0].tolist()) for _ in range(10)}
    assert len(pooled) > 1
    assert len({tuple(model.eval().represent(encoded.states, encoded, "a")[0].tolist()) for _ in range(10)}) == 1


@every_architecture
def test_encoders_are_shared_by_all_but_single(arch):
    model = build(arch)
    assert len(model.encoders) == (3 if arch == "single" else 1)
    before = {task.name: model(batch(task.name))[task.name].logits for task in TASKS}
    model.encoders[0].embedding.weight.data += 1
    changed = {
        task.name for task in TASKS if not torch.equal(model(batch(task.name))[task.name].logits, before[task.name])
    }
    assert changed == ({"a"} if arch == "single" else {"a", "b", "pairs"})


@every_architecture
def test_selection_groups_are_all_parameters_once_and_for_single_each_tasks(arch):
    many = [Task(name=f"t{i}", labels=("x", "y")) for i in range(12)]  # t1 must not get the parameters of t11
    model = build(arch, tasks=many)
    groups = model.selection_groups()
    assert sorted(name for names in groups.values() for name in names) == sorted(dict(model.named_parameters()))
    if arch != "single":
        assert list(groups) == ["mean"]
        return
    assert list(groups) == [task.name for task in many]
    for name in ("t0", "t1", "t11"):
        model.zero_grad()
        model(batch(name))[name].logits.square().sum().backward()
        assert {n for n, p in model.named_parameters() if p.grad is not None} == set(groups[name])


@every_architecture
def test_embedding_parameters_are_those_that_are_trained(arch):
    model = build(arch)
    assert [id(p) for p in model.embedding_parameters()] == [id(e.embedding.weight) for e in model.encoders]
    assert build(arch, freeze_embeddings=True).embedding_parameters() == []


@every_architecture
def test_vectors_go_into_every_encoder(arch):
    model = build(arch, embedding_size=2)
    model.load_vectors(Vectors(["film"], np.array([[3, 4]], dtype=np.float32)))
    index = VOCABULARY.encode("film")[0]
    assert [encoder.embedding.weight[index].tolist() for encoder in model.encoders] == [[3, 4]] * len(model.encoders)


def untouched(arch, **options):
    """A model with the weights that it starts with; the second and fourth task have labels of their own."""
    torch.manual_seed(0)
    labels = {"a": ("x", "y"), "b": ("y", "x"), "c": ("x", "y"), "d": ("x", "y", "z")}
    tasks = [Task(name=name, labels=each) for name, each in labels.items()]
    options = ModelOptions(arch=arch, hidden=4, attention=3, embedding_size=5, **options)
    return MultiTaskModel(tasks=tasks, vocabulary=VOCABULARY, options=options)


def alike(one, other):
    values = [dict(module.named_parameters()) for module in (one, other)]
    assert not {id(value) for value in values[0].values()} & {id(value) for value in values[1].values()}
    return all(torch.equal(values[0][name], values[1][name]) for name in values[0] if "bias" not in name)


@every_architecture
def test_parts_of_tasks_start_alike_and_heads_where_the_labels_are_the_same(arch):
    model = untouched(arch, common_head=False)
    for parts in (model.encoders, getattr(model.architecture, "lstms", [])):
        assert all(alike(parts[0], part) for part in parts[1:])
    assert alike(model.heads[0], model.heads[2])
    assert not alike(model.heads[0], model.heads[1])


def test_tasks_with_different_numbers_of_sources_start_alike():
    first, *others = untouched("complete", topology="[[b, a], [c, a], [a, b]]").architecture.lstms
    assert all(alike(first, other) for other in others)
    assert [None if lstm.node_bias is None else len(lstm.node_bias) for lstm in (first, *others)] == [2, 1, None, None]


@every_architecture
def test_parts_of_tasks_start_apart_when_told_so(arch):
    model = untouched(arch, same_start=False, common_head=False)
    for parts in (model.encoders, getattr(model.architecture, "lstms", []), [model.heads[0], model.heads[2]]):
        assert not any(alike(parts[0], part) for part in parts[1:])


def test_heads_with_the_same_labels_begin_at_a_common_one():
    model = untouched("shared")
    assert len(model.common_heads) == 1
    assert [model.common_head(k) is None for k in range(4)] == [False, True, False, True]
    assert [bool(head.linear.weight.any()) for head in model.heads] == [False, True, False, True]


def test_a_step_of_one_task_moves_another_by_the_common_head_alone():
    model = untouched("shared").eval()
    pooled = torch.randn(1, model.heads[0].linear.in_features)

    def logits():
        return [head(pooled, model.common_head(k)).detach() for k, head in enumerate(model.heads)]

    before = logits()
    model(batch("a"))["a"].logits[:, 0].sum().backward()
    torch.optim.SGD([*model.heads.parameters(), *model.common_heads.parameters()], lr=1.0).step()
    a, b, c, d = (new - old for new, old in zip(logits(), before, strict=True))
    assert a.any()
    assert not b.any()
    assert not d.any()
    torch.testing.assert_close(a, 2 * c)


@every_architecture
def test_without_a_common_head_and_in_single_there_is_none(arch):
    assert not untouched(arch, common_head=False).common_heads
    assert bool(untouched(arch).common_heads) == (arch != "single")


def test_the_head_of_the_star_may_see_the_hub():
    plain, wide = (build("star", hub_to_head=hub, pooling="mean") for hub in (False, True))
    assert (plain.heads[0].linear.in_features, wide.heads[0].linear.in_features) == (8, 16)
    x = wide.encode(batch("a")).states
    states, _ = wide.architecture(x, batch("a").lengths, 0)
    torch.testing.assert_close(states[..., 8:], wide.architecture.hub(x, batch("a").lengths))
    logits = wide(batch("a"))["a"].logits
    wide.architecture.lstms[0].load_state_dict(wide.architecture.lstms[1].state_dict())
    assert torch.equal(wide.architecture(x, batch("a").lengths, 0)[0][..., 8:], states[..., 8:])
    assert not torch.equal(wide(batch("a"))["a"].logits, logits)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"arch": "stra"}, "unknown arch 'stra'; did you mean 'star'?"),
        ({"encoder": "lstn"}, "unknown encoder 'lstn'; did you mean 'lstm'?"),
        ({"arch": "complete", "topology": "star:pears"}, "unknown task 'pears'; did you mean 'pairs'?"),
    ],
)
def test_unknown_names(options, message):
    with pytest.raises(InputError) as error:
        MultiTaskModel(tasks=TASKS, vocabulary=VOCABULARY, options=ModelOptions(**options))
    assert message in str(error.value)


# predict


def answer_alone(model, text, task):
    """The answer to one text, without anything that predict does for many."""
    texts = text if isinstance(text, tuple) else (text,)
    ids = VOCABULARY.encode(*texts)
    with torch.no_grad():
        probabilities = model(batch(task.name, texts=[ids]))[task.name].logits.softmax(-1)[0].tolist()
    return dict(zip(task.labels, probabilities, strict=True))


def assert_same_answers(actual, expected):
    assert [{**answer, "probabilities": None} for answer in actual] == [
        {**answer, "probabilities": None} for answer in expected
    ]
    for ours, theirs in zip(actual, expected, strict=True):
        assert ours.get("probabilities", {}) == pytest.approx(theirs.get("probabilities", {}), abs=1e-6)


sentences = st.lists(st.sampled_from([*WORDS, "zebra"]), min_size=1, max_size=6).map(" ".join)


@every_architecture
@settings(max_examples=15, deadline=None)
@given(texts=st.lists(sentences | st.sampled_from(["", "  ", "\t\n"]), max_size=7), batch_size=st.integers(1, 4))
def test_every_text_gets_the_answer_it_gets_alone(arch, texts, batch_size):
    model = build(arch)
    answers = model.predict(texts, "b", batch_size=batch_size)
    assert len(answers) == len(texts)
    for text, answer in zip(texts, answers, strict=True):
        assert answer["task"] == "b"
        if not text.strip():
            assert answer == {"task": "b", "label": None}
            continue
        assert answer["probabilities"] == pytest.approx(answer_alone(model, text, TASKS[1]), abs=1e-5)
        assert list(answer["probabilities"]) == ["1", "2", "3"]
        assert answer["probabilities"][answer["label"]] == max(answer["probabilities"].values())


def test_several_tasks_answer_text_by_text():
    model = build("star")
    answers = model.predict(["good film", "", "bad"], ["b", "a"])
    assert [answer["task"] for answer in answers] == ["b", "a"] * 3
    for i, task in enumerate(["b", "a"]):
        assert_same_answers(answers[i::2], model.predict(["good film", "", "bad"], task))


def test_pairs_are_read_with_the_separator():
    model = build("shared")
    (answer,) = model.predict([("good film", "bad book")], "pairs")
    assert answer["probabilities"] == pytest.approx(answer_alone(model, ("good film", "bad book"), TASKS[2]), abs=1e-6)
    half, blank = model.predict([("good film", ""), (" ", "")], "pairs")
    assert half["probabilities"] == pytest.approx(answer_alone(model, ("good film", ""), TASKS[2]), abs=1e-6)
    assert blank["label"] is None


def test_a_tuple_is_tokens_for_tasks_of_tokens_but_not_beside_pairs():
    tags = Task(name="tags", kind="token-classification", labels=("o", "x"), tokens=True, text=("words",))
    model = build("shared", tasks=[tags, TASKS[2]], chars="none")
    assert model.predict([("good", "film", "not")], "tags") == model.predict([["good", "film", "not"]], "tags")
    with pytest.raises(InputError, match="task 'tags' reads one text, found"):
        model.predict([("good", "bad")], ["tags", "pairs"])


FRAME = pd.DataFrame({"id": [1, 2, 3], "text": ["good film", None, "bad"]}, index=[7, 7, 9])
ROWS = datasets.Dataset.from_pandas(FRAME, preserve_index=False)
SAME = {  # three texts, the second of which is missing
    "an iterator": lambda: iter(["good film", "", "bad"]),
    "a generator": lambda: map(str, ["good film", "", "bad"]),
    "a tuple": lambda: ("good film", "", "bad"),
    "an array": lambda: np.array(["good film", "", "bad"]),
    "an array of objects": lambda: np.array(["good film", float("nan"), "bad"], dtype=object),
    "missing texts": lambda: ["good film", None, "bad"],
    "a column of pandas": lambda: FRAME["text"],
    "categories": lambda: FRAME["text"].astype("category"),
    "texts of pandas": lambda: FRAME["text"].astype("string"),
    "a column of datasets": lambda: ROWS["text"],
    "a frame": lambda: FRAME,
    "a data set": lambda: ROWS,
    "a list of dicts": lambda: [{"text": "good film"}, {"id": 3}, {"text": "bad", "id": 3}],
    "a dict of lists": lambda: {"text": ["good film", None, "bad"], "id": [1, 2, 3]},
    "a dict of columns": lambda: {"text": ROWS["text"], "id": FRAME["id"]},
}


@pytest.mark.parametrize("texts", SAME.values(), ids=SAME)
def test_texts_may_be_given_in_many_forms(texts):
    model = build("star")
    found = model.predict(texts(), ["b", "a"])
    assert found == model.predict(["good film", "", "bad"], ["b", "a"])
    assert [answer["label"] is None for answer in found] == [False, False, True, True, False, False]


def test_a_text_alone_has_one_answer():
    model = build("star")
    for text in ("good film", np.array("good film"), np.str_("good film")):
        assert model.predict(text, "a") == model.predict(["good film"], "a")


@pytest.mark.parametrize("rows", [FRAME[:0], ROWS.select([]), {"text": []}, [], FRAME["text"][:0]])
def test_no_rows_no_answers(rows):
    assert build("star").predict(rows, "a") == []


def test_tasks_read_columns_of_their_own():
    """Pairs and single texts at once, which a list of texts cannot be."""
    model = build("star")
    rows = pd.DataFrame({"q": ["bad", "", "film"], "text": ["very good", "bad", None], "p": ["good", None, "not"]})
    found = model.predict(rows, ["a", "pairs", "b"])
    assert [answer["task"] for answer in found] == ["a", "pairs", "b"] * 3
    for i, task in ((0, "a"), (2, "b")):
        assert_same_answers(found[i::3], model.predict(["very good", "bad", ""], task))
    assert_same_answers(found[1::3], model.predict([("good", "bad"), ("", ""), ("not", "film")], "pairs"))


def test_tokens_of_a_column_are_read_as_they_are():
    tags = Task(name="tags", kind="token-classification", labels=("o", "x"), tokens=True, text=("words",))
    model = build("shared", tasks=[tags], chars="none")
    tokens = [["good", "film not"], ["bad"]]
    for words in (tokens, [np.array(own, dtype=object) for own in tokens]):
        assert model.predict(pd.DataFrame({"words": words}), "tags") == model.predict(tokens, "tags")
    assert model.predict({"words": ["good film"]}, "tags")[0]["tokens"] == ["good", "film"]
    written = {"words": ["['good', 'film not']", '["bad"]']}  # as pandas and csv files have lists
    assert model.predict(written, "tags") == model.predict(tokens, "tags")


@pytest.mark.parametrize("arch", ["shared", "complete", "star"])
def test_texts_are_encoded_once_for_all_tasks_that_read_the_same(arch, monkeypatch):
    model, read = build(arch), []
    encode = model.encode
    monkeypatch.setattr(model, "encode", lambda batch, task=None: read.append(batch) or encode(batch, task))
    model.predict({"text": ["good", "bad"], "p": ["good", "bad"], "q": ["film", "book"]}, ["a", "pairs", "b"])
    assert [batch.tasks for batch in read] == [("a", "b"), ("pairs",)]


@pytest.mark.parametrize("size", [0, -1, 1.5, "2", None, True])
def test_a_batch_size_that_cannot_be(size):
    with pytest.raises(InputError, match=r"^batch_size: found .*, expected a whole number from 1 on$"):
        build("shared").predict(["good"], "a", batch_size=size)


@pytest.mark.parametrize(
    ("texts", "task", "message"),
    [
        (None, "a", "texts: found None, expected a text; a list or a column of texts"),
        (b"good film", "a", "texts: found b'good film', expected a text; a list"),
        ({"good", "bad"}, "a", "texts: found a set, expected a text; a list"),
        ({"a": "good"}, "a", "texts: found a dict, expected a text; a list"),
        ({}, "a", "texts: found a dict, expected a text; a list"),
        (datasets.DatasetDict(test=ROWS), "a", "texts: found a DatasetDict, expected a text; a list"),
        (io.StringIO("text\ngood\n"), "a", "texts: found a StringIO, expected a text; a list"),
        (np.array(3), "a", "texts: found 3, expected a text; a list"),
        (np.arange(3), "a", "texts[0]: found 0, expected a text, a list of tokens or a pair of texts"),
        (range(2), "a", "texts[0]: found 0, expected a text"),
        (["good", {"text": "bad"}], "a", "texts[1]: found {'text': 'bad'}, expected a text"),
        (FRAME, ["a", "pairs"], "texts: task 'pairs' reads column 'p', which is not there (columns: id, text)"),
        (FRAME[["id"]], "a", "texts: task 'a' reads column 'text', which is not there (columns: id)"),
        (FRAME[["text", "text"]], "a", "texts: task 'a' reads column 'text', which stands there 2 times"),
        (FRAME[:0][["id"]], "a", "texts: task 'a' reads column 'text', which is not there (columns: id)"),
        (FRAME.assign(text=[1, 2, 3]), "a", "texts, row 1: column 'text' holds 1, expected a text or a list of tokens"),
        ({"p": ["x"], "q": [["y"]]}, "pairs", "texts, row 1: column 'q' holds ['y'], expected a text"),
        ({"p": ["x"], "q": ["y", "z"]}, "pairs", "texts: the columns have unlike lengths (p: 1, q: 2)"),
        (iter(["good", "bad", 3.5]), ["a", "b"], "texts[2]: found 3.5, expected a text"),
        ([["good", None]], "a", "texts[0]: found ['good', None], expected a text"),
        ([("good", None)], "pairs", "texts[0]: found ('good', None), expected a text"),
        (["", "good"], "pairs", "texts[1]: task 'pairs' reads a pair of texts (a tuple), found 'good'"),
        ([["good", "bad"]], "pairs", "texts[0]: task 'pairs' reads a pair of texts (a tuple), found ['good', 'bad']"),
        ([("good", "bad", "x")], "pairs", "texts[0]: task 'pairs' reads a pair of texts (a tuple), found ('good', "),
        (["good", ("good", "bad")], "a", "texts[1]: task 'a' reads one text, found ('good', 'bad')"),
        ([("good", "bad")], ["pairs", "b"], "texts[0]: task 'b' reads one text, found ('good', 'bad')"),
    ],
)
def test_what_is_no_text_for_the_task_is_named_with_its_place(texts, task, message):
    with pytest.raises(InputError) as error:
        build("shared").predict(texts, task)
    assert str(error.value).startswith(message)


def test_long_texts_are_cut_as_in_training():
    model = build("shared", max_length=3, truncate="both")
    long, cut = model.predict(["good film very bad book", "good film book"], "a")
    assert long["probabilities"] == pytest.approx(cut["probabilities"], abs=1e-6)


def test_edges_of_each_text():
    model = build("complete")
    answers = model.predict(["good film", "bad", ""], "b", edges=True)
    for text, answer in zip(["good film", "bad"], answers, strict=False):
        with torch.no_grad():
            expected = model(batch("b", texts=[VOCABULARY.encode(text)]), edges=True)["b"].edges.per_instance()[0]
        assert [(edge["source"], edge["target"]) for edge in answer["edges"]] == [("a", "b"), ("pairs", "b")]
        assert [edge["weight"] for edge in answer["edges"]] == pytest.approx(expected.tolist(), abs=1e-6)
        assert sum(edge["weight"] for edge in answer["edges"]) == pytest.approx(1, abs=1e-6)
    assert answers[2]["label"] is None
    assert [edge["source"] for edge in build("star").predict(["good"], "b", edges=True)[0]["edges"]] == ["virtual"]
    for arch in ("single", "shared"):
        assert build(arch).predict(["good"], "b", edges=True)[0]["edges"] == []


def test_dropout_is_off_when_predicting():
    model = build("star", word_dropout=0.5, embedding_dropout=0.5, locked_dropout=0.5, output_dropout=0.5).train()
    expected = model.predict(["good film", "bad"], "a")
    assert_same_answers(model.train().predict(["good film", "bad"], "a"), expected)


def test_a_very_long_sentence_is_named_before_it_is_read(monkeypatch):
    tagging = Task(name="ner", kind="token-classification", labels=("O", "B-x", "I-x"))
    model = build("star", tasks=[tagging], chars="none")
    monkeypatch.setattr(model, "forward", None)  # calling it fails
    with (
        pytest.warns(DataWarning, match="ner, the texts to be predicted, row 2: 12,000 tokens"),
        pytest.raises(TypeError),
    ):
        model.predict([["good"], "", ["good"] * 12_000], "ner")


def test_an_unknown_task_is_named_even_if_there_is_no_text():
    for texts in ([], ["good"]):
        with pytest.raises(InputError, match="unknown task 'pair'; did you mean 'pairs'"):
            build("star").predict(texts, ["a", "pair"])


# saving and loading


@pytest.fixture
def saved(tmp_path):
    def saved(arch, **options):
        model = build(arch, **options)
        model.save_pretrained(tmp_path / "model")
        return model, tmp_path / "model"

    return saved


@every_architecture
def test_a_model_that_is_loaded_back_predicts_the_same(arch, saved):
    model, folder = saved(arch)
    loaded = MultiTaskModel.from_pretrained(folder)
    assert not loaded.training
    for task in ("a", "b"):
        texts = ["good film", "very bad", "", "zebra"]
        assert loaded.predict(texts, task, edges=True) == model.predict(texts, task, edges=True)
    assert loaded.predict([("good", "bad")], "pairs") == model.predict([("good", "bad")], "pairs")
    assert list(loaded.tasks.values()) == TASKS
    assert loaded.options == model.options
    assert loaded.vocabulary.words == VOCABULARY.words


@every_architecture
def test_what_is_shared_is_shared_after_loading_and_what_is_not_is_not(arch, saved):
    loaded = MultiTaskModel.from_pretrained(saved(arch)[1])
    used = {}
    for task in TASKS:
        loaded.zero_grad()
        loaded(batch(task.name))[task.name].logits.square().sum().backward()
        used[task.name] = {id(parameter) for parameter in loaded.parameters() if parameter.grad is not None}
    common = used["a"] & used["b"] & used["pairs"]
    embeddings = {id(encoder.embedding.weight) for encoder in loaded.encoders}
    if arch == "single":
        assert len(embeddings) == 3
        assert not any(used[x] & used[y] for x, y in (("a", "b"), ("a", "pairs"), ("b", "pairs")))
    else:
        assert len(embeddings) == 1
        assert embeddings <= common
    heads = [{id(parameter) for parameter in head.parameters()} for head in loaded.heads]
    assert not common & set.union(*heads)
    if arch not in ("single", "complete"):
        lstm = loaded.architecture.hub if arch == "star" else loaded.architecture.lstm
        assert {id(parameter) for parameter in lstm.parameters()} <= common


@every_architecture
def test_the_folder_holds_tensors_json_and_text_only(arch, saved):
    model, folder = saved(arch)
    names = {"model.safetensors", "config.json", "vocabulary.txt", "tokenizer.json", "README.md"}
    assert {path.name for path in folder.iterdir()} == names
    assert json.loads((folder / "config.json").read_text())["format"] == 1
    assert load_file(folder / "model.safetensors").keys() == model.state_dict().keys()


def test_the_model_card_says_what_the_model_is(saved):
    _, folder = saved("star")
    card = ModelCard.load(folder / "README.md")
    assert card.data.library_name == "graphmtl"
    assert "star" in card.data.tags
    for task in TASKS:
        assert f"- {task.name} ({task.kind}): {', '.join(task.labels)}" in card.text


def test_every_option_of_the_model_is_saved_and_others_are_left_out(tmp_path):
    options = Options(arch="complete", hidden=3, attention=2, embedding_size=2, score="dot", epochs=99)
    model = MultiTaskModel(tasks=TASKS, vocabulary=VOCABULARY, options=options)
    model.save_pretrained(tmp_path)
    resolved = {"chars": "none", "pooling": "max-mean"}  # what auto means here
    expected = ModelOptions(arch="complete", hidden=3, attention=2, embedding_size=2, score="dot", **resolved)
    assert MultiTaskModel.from_pretrained(tmp_path).options == expected


@pytest.mark.parametrize("fault", ["deleted", "added", "shape"])
def test_tensors_that_do_not_fit_are_not_passed_over(fault, saved):
    _, folder = saved("star")
    tensors = load_file(folder / "model.safetensors")
    name = "heads.1.linear.weight"
    if fault == "deleted":
        del tensors[name]
    else:
        tensors[name if fault == "shape" else "heads.7.linear.weight"] = torch.zeros(1)
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises((InputError, RuntimeError), match=r"heads\.[17]\.linear\.weight"):
        MultiTaskModel.from_pretrained(folder)


@pytest.mark.parametrize(
    ("name", "times"), [("runs/none", 1), ("none", 1), ("./none", 0), ("/nowhere/model", 0), ("runs/star/model", 0)]
)
def test_what_is_neither_a_folder_nor_on_the_hub_is_asked_for_once(name, times, monkeypatch, capfd):
    asked = []

    def no_route(url, **_options):
        asked.append(url)
        raise OSError("no route to host")

    monkeypatch.setattr("graphmtl.models.hub.get_hf_file_metadata", no_route)
    with pytest.raises(InputError, match=f"there is no folder '{name}', nothing of that name in the cache "):
        MultiTaskModel.from_pretrained(name)
    assert len(asked) == times
    assert capfd.readouterr().err == ""  # nothing of huggingface_hub's retries


def test_a_cached_model_is_loaded_without_the_hub(saved, tmp_path, monkeypatch):
    model, folder = saved("star")
    repository = tmp_path / "models--our--model"
    shutil.copytree(folder, repository / "snapshots" / "abc")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("abc")
    monkeypatch.setattr("graphmtl.models.hub.get_hf_file_metadata", None)  # calling it fails
    loaded = MultiTaskModel.from_pretrained("our/model", cache_dir=tmp_path)
    assert loaded.predict(["good film"], "a") == model.predict(["good film"], "a")


def test_a_runs_folder_gives_the_model_in_it(finished):
    run = finished("star").run
    for folder in (run.folder, str(run.folder)):
        loaded = MultiTaskModel.from_pretrained(folder)
        assert loaded.state_dict().keys() == run.model.state_dict().keys()
        assert loaded.predict(["good film"], "parent1") == run.model.predict(["good film"], "parent1")


def test_a_runs_folder_whose_model_lacks_a_file_names_it(copy_of):
    folder = copy_of("star")
    (folder / "model" / "config.json").unlink()
    with pytest.raises(InputError, match=f"^{folder / 'model'}: no config.json"):
        MultiTaskModel.from_pretrained(folder)


def _changed(*path, value):
    def change(config):
        for key in path[:-1]:
            config = config[key]
        config[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_changed("options", "hidden", value=0), "--hidden: found 0, expected a number from 1 to 16384"),
        (_changed("options", "hidden", value=10**6), "--hidden: found 1000000, expected"),
        (_changed("options", "hidden", value="x"), "--hidden: Expected a int"),
        (_changed("options", "hidden", value=["x"]), "--hidden: Expected a int. Got value: ['x']"),
        (
            _changed("options", "hidden", value=16384),
            "tensor architecture.hub.W: [2, 5, 16] in model.safetensors, [2, 5, 65536] in the model",
        ),
        (_changed("options", "hidden", value=None), "hidden has no value"),
        (_changed("options", "arch", value="stra"), "config.json: unknown arch 'stra'; did you mean 'star'?"),
        (_changed("options", value=[]), "expected `tasks`, a list of one or more, and `options`, an object"),
        (_changed("tasks", value=[]), "expected `tasks`, a list of one or more, and `options`, an object"),
        (_changed("tasks", 1, value=148), "found 148, expected a task"),
        (_changed("tasks", 1, "labels", value="no"), "labels of task 'b': found 'no'"),
        (_changed("tasks", 1, "labels", value=[1, 2]), "labels of task 'b': found [1, 2]"),
        (_changed("tasks", 1, "name", value=["b"]), "name of task ['b']: found ['b']"),
        (_changed("tasks", 1, "name", value="a"), "two of the tasks have the same name"),
        (_changed("tasks", 1, "kin", value="x"), "unknown key of a task 'kin'; did you mean 'kind'?"),
        (_changed("format", value=99), "format 99; this version of graphmtl reads 1"),
    ],
)
def test_what_config_json_may_not_hold(change, message, saved):
    _, folder = saved("star")
    path = folder / "config.json"
    config = json.loads(path.read_text())
    change(config)
    path.write_text(json.dumps(config))
    with pytest.raises(InputError, match=re.escape(message)) as error:
        MultiTaskModel.from_pretrained(folder)
    assert str(error.value).startswith(str(folder))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", ["[]", "[" * 10_000, "9" * 5_000, "{", "null"])
def test_a_config_json_that_is_no_json_object(content, saved):
    _, folder = saved("star")
    (folder / "config.json").write_text(content)
    with pytest.raises(InputError, match=r"config\.json"):
        MultiTaskModel.from_pretrained(folder)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "vocabulary.txt"])
def test_a_file_that_is_missing(name, saved):
    _, folder = saved("star")
    (folder / name).unlink()
    with pytest.raises(InputError, match=f"no {name}"):
        MultiTaskModel.from_pretrained(folder)


def test_an_empty_folder(tmp_path):
    with pytest.raises(InputError, match=f"{tmp_path}: no config.json"):
        MultiTaskModel.from_pretrained(tmp_path)


def test_the_encoder_of_words_has_no_vector_of_its_own_for_a_text():
    with pytest.raises(InputError, match="--pooling cls: the encoder lstm has no vector of its own"):
        build("shared", pooling="cls")
