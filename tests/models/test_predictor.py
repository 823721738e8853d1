import warnings
from dataclasses import replace

import datasets
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphmtl.data.task import Task
from graphmtl.errors import DataWarning, InputError
from tests.models.small import TASKS, VOCABULARY, WORDS, batch, build, every_architecture


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


def test_rows_are_answered_as_their_texts():
    """In every form that test_raw_texts.py has."""
    model = build("star")
    found = model.predict(FRAME, ["b", "a"])
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
        (np.arange(3), "a", "texts[0]: found 0, expected a text, a list of tokens, a pair of texts, or a context"),
        (range(2), "a", "texts[0]: found 0, expected a text"),
        (["good", {"text": "bad"}], "a", "texts[1]: found {'text': 'bad'}, expected a text"),
        (FRAME, ["a", "pairs"], "texts: task 'pairs' reads column 'p', which is not there (columns: id, text)"),
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
    with pytest.warns(DataWarning, match=r"^a, the texts to be predicted: 1 cut to 3 tokens, as in training$"):
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


@pytest.mark.parametrize("training", [True, False])
def test_a_training_goes_on_as_it_was(training):
    model = build("star").train(training)
    model.predict("good film", "a")
    assert model.training is training


def test_a_very_long_sentence_is_named_before_it_is_read(monkeypatch):
    tagging = Task(name="ner", kind="token-classification", labels=("O", "B-x", "I-x"))
    model = build("star", tasks=[tagging], chars="none")
    monkeypatch.setattr(model, "forward", None)  # calling it fails
    with (
        pytest.warns(DataWarning, match="ner, the texts to be predicted, row 2: 12,000 tokens"),
        pytest.raises(TypeError),
    ):
        model.predict([["good"], "", ["good"] * 12_000], "ner")


@pytest.mark.parametrize(
    ("given", "message"), [({"task": 3}, "task: found 3"), ({"edges": "token"}, "edges: found 'token'")]
)
def test_arguments_of_another_kind(given, message):
    with pytest.raises(InputError, match=message):
        build("star").predict(["good"], **{"task": "a", **given})


def test_an_unknown_task_is_named_even_if_there_is_no_text():
    for texts in ([], ["good"]):
        with pytest.raises(InputError, match="unknown task 'pair'; did you mean 'pairs'"):
            build("star").predict(texts, ["a", "pair"])


@every_architecture
def test_a_task_reads_as_much_of_a_text_as_it_says(arch):
    tasks = [replace(TASKS[0], max_length=3), *TASKS[1:]]
    model = build(arch, tasks=tasks, truncate="head")
    long, short = " ".join(WORDS[:5]), " ".join(WORDS[:3])
    with pytest.warns(DataWarning, match=f"^{TASKS[0].name}, .* 1 cut to 3 tokens"):
        both = model.predict([long, short], [TASKS[0].name])
    assert_same_answers(both[:1], both[1:])
    assert model.predict([long], [TASKS[1].name]) != model.predict([short], [TASKS[1].name])


def test_a_refused_prediction_leaves_every_part_in_its_mode():
    model = build("star").train()
    model.encoders.eval()
    before = [module.training for module in model.modules()]
    with pytest.raises(InputError):
        model.predict([("good", "bad")], "a")
    assert [module.training for module in model.modules()] == before
    model.predict(["good"], "a")
    assert [module.training for module in model.modules()] == before


def test_a_task_that_is_read_whole_is_not_cut():
    tasks = [replace(TASKS[0], whole=True), *TASKS[1:]]
    model = build("shared", tasks=tasks, max_length=2)
    texts = [" ".join(WORDS[:5]), " ".join(WORDS[:2])]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        long, short = model.predict(texts, tasks[0].name)
    assert_same_answers([long], [{**long, "probabilities": answer_alone(model, texts[0], tasks[0])}])
    assert long["probabilities"] != short["probabilities"]
