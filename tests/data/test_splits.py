from dataclasses import replace

import pytest

from graphmtl.data.examples import Examples
from graphmtl.data.source import Source
from graphmtl.data.splits import build
from graphmtl.data.task import Task
from graphmtl.errors import InputError


def examples(pairs, source="train.tsv", **fields):
    return Examples(source=source, text=[text for text, _ in pairs], label=[label for _, label in pairs], **fields)


def source(train, valid=0.2, test=None, **fields):
    test = examples([("t", "a"), ("u", "b")], "test.tsv") if test is None else test
    return Source(task=Task(name=fields.pop("name", "one"), **fields), train=train, valid=valid, test=test)


def many(n=100, offset=0):
    return examples([(f"text {i + offset}", "ab"[i % 4 == 0]) for i in range(n)])


def test_a_cut_depends_on_the_seed_and_not_on_the_other_tasks():
    one, other = source(many()), source(many(60, offset=1000), name="other")
    alone = build({"one": one}, seed=3, keep_overlap=False)[0]
    joined = build({"other": other, "one": one}, seed=3, keep_overlap=False)[1]
    assert alone.valid["text"][:] == joined.valid["text"][:]
    assert alone.valid["text"][:] != build({"one": one}, seed=4, keep_overlap=False)[0].valid["text"][:]


def test_a_cut_loses_nothing_and_doubles_nothing():
    data = build({"one": source(many(), valid=0.2, test=0.3)}, seed=0, keep_overlap=False)[0]
    texts = [text for split in (data.train, data.valid, data.test) for text in split["text"]]
    assert sorted(texts) == sorted(many().text)
    assert (len(data.test), len(data.valid)) == (30, 14)


def test_columns_and_labels():
    train = examples([("x", "10"), ("y", "9"), ("z", "10")], text_pair=["p", "q", "r"])
    valid = examples([("v", "9")], text_pair=["s"])
    data = build(
        {"renamed": source(train, valid=valid, test=valid, text=("text", "text_pair"))}, seed=0, keep_overlap=False
    )[0]
    assert data.task.name == "renamed"
    assert data.task.labels == ("9", "10")
    assert data.train["label"][:] == [1, 0, 1]
    assert data.train.column_names == ["text", "label", "text_pair"]
    assert data.test.column_names == ["text", "label", "text_pair", "seen"]
    assert data.test["seen"][:] == [False]


@pytest.mark.parametrize(
    ("task_labels", "declared", "labels", "train"),
    [
        ((), (), ("a", "b"), [0, 1]),
        ((), ("b", "c", "a"), ("b", "c", "a"), [2, 0]),
        (("b", "a"), ("a", "b"), ("b", "a"), [1, 0]),
    ],
    ids=["sorted", "declared by the file", "given by the task"],
)
def test_where_the_order_of_the_labels_comes_from(task_labels, declared, labels, train):
    one = source(examples([("x", "a"), ("y", "b")], labels=declared), valid=examples([("v", "a")]), labels=task_labels)
    data = build({"one": one}, seed=0, keep_overlap=False)[0]
    assert data.task.labels == labels
    assert data.train["label"][:] == train


def test_labels_get_names():
    one = source(many(), labels=("b", "a"))
    named = Source(task=one.task, train=one.train, valid=one.valid, test=one.test, names={"a": "good", "b": "bad"})
    assert build({"one": named}, seed=0, keep_overlap=False)[0].task.labels == ("bad", "good")


def test_clean_evaluation_reaches_the_data():
    one = source(many(20), valid=examples([("v", "a")]), test=examples([(" Text  3", "a"), ("other", "b")]))
    two = source(
        examples([("text 3", "a"), ("OTHER", "b"), ("  ", "a"), ("more", "b")]),
        valid=examples([("w", "a")]),
        name="two",
    )
    first, second = build({"one": one, "two": two}, seed=0, keep_overlap=False)
    assert second.train["text"][:] == ["  ", "more"]
    assert (second.overlap.dropped, second.overlap.empty) == (2, 1)
    assert first.test["seen"][:] == [True, False]
    kept = build({"one": one, "two": two}, seed=0, keep_overlap=True)
    assert len(kept[1].train) == 4
    assert kept[0].test["seen"][:] == [True, True]


def scores(n=40, offset=0):
    return examples([(f"text {i + offset}", str(i / 8)) for i in range(n)])


def test_scores_are_numbers_and_a_cut_takes_any_of_them():
    one = source(scores(), valid=0.25, test=scores(5, 50), kind="regression", scale=(0.0, 5.0))
    data = build({"one": one}, seed=0, keep_overlap=False)[0]
    assert data.task.labels == ()
    assert len(data.valid) == 10
    assert data.test["label"][:] == [0, 0.125, 0.25, 0.375, 0.5]
    assert sorted([*data.train["label"], *data.valid["label"]]) == [i / 8 for i in range(40)]


def test_further_test_splits_are_labelled_and_held_out():
    other = examples([("text 3", "b"), ("v", "a")])
    one = replace(source(many(), valid=many(4, 200)), other_tests={"test_other": other})
    two = source(examples([("v", "a"), ("w", "b"), ("x", "a")]), valid=examples([("y", "b")]), name="two")
    first, second = build({"one": one, "two": two}, seed=0, keep_overlap=False)
    assert first.other_tests["test_other"]["label"][:] == [1, 0]
    assert first.other_tests["test_other"]["seen"][:] == [True, False]
    assert len(first.test["seen"]) == 2
    assert second.train["text"][:] == ["w", "x"]


def test_what_must_stay_together_stays_together():
    def together(texts):
        return [None if text.endswith("7") else text[:6] for text in texts]  # by the tens

    data = build({"one": replace(source(many(), valid=0.3), together=together)}, seed=0, keep_overlap=False)[0]
    train, valid = ({text[:6] for text in rows["text"] if not text.endswith("7")} for rows in (data.train, data.valid))
    assert valid
    assert not train & valid
    assert not any(text.endswith("7") for text in data.valid["text"])


def test_sources_of_one_corpus_keep_their_rows_together():
    texts = [f"text {i}" for i in range(8)]
    both = Examples(source="x", text=[*texts, texts[0]], label=[*"aabbaabb", "a"])
    numbers = replace(both, label=["1", "2", "3", "1", "2", "3", "1", "2", "3"])
    fields = {"valid": both.take([0, 3]), "test": both.take([0, 1, 2])}
    first = replace(source(both, **fields), corpus="x")
    fields = {"valid": numbers.take([0, 3]), "test": numbers.take([0, 1, 2])}
    second = replace(source(numbers, kind="regression", name="two", **fields), corpus="x")
    a, b = build({"one": first, "two": second}, seed=0, keep_overlap=False)
    assert a.corpus == b.corpus == "one+two"
    assert a.train["text"][:] == b.train["text"][:] == both.text  # nothing dropped as another task's
    assert a.overlap is not None
    assert b.train["label"][:] == [1, 2, 3, 1, 2, 3, 1, 2, 3]


def test_the_positive_label_gets_its_name():
    one = source(many(), labels=("b", "a"), positive="a", metrics=("f1",))
    named = replace(one, names={"a": "good", "b": "bad"})
    assert build({"one": named}, seed=0, keep_overlap=False)[0].task.positive == "good"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"test": examples([("x", "a"), ("y", "c")], "my.tsv")},
            r"my.tsv, line 2: label 'c' that training never saw.*a, b",
        ),
        ({"valid": examples([("x", "A")], "v.tsv", lines=[7])}, r"v.tsv, line 7: label 'A' that training never saw"),
        ({"labels": ("a", "x")}, r"train.tsv, line 1: label 'b' that is not among the task's labels .known: a, x"),
        (
            {"labels": ("a", "b", "c"), "test": examples([("x", "c")], "my.tsv")},
            r"my.tsv, line 1: label 'c' that training",
        ),
        (
            {"train": examples([("x", "a"), ("y", "a")]), "valid": examples([("v", "a")])},
            "the label 'a'; two are needed",
        ),
        (
            {"train": scores(), "kind": "regression", "scale": (0.0, 4.0)},
            r"train.tsv, line 34: score '4.125', expected a number from 0 to 4",
        ),
        (
            {"train": scores(), "kind": "regression", "test": examples([("v", "nan")], "v.tsv")},
            "v.tsv, line 1: score 'nan', expected a number",
        ),
        (
            {"train": scores(), "kind": "regression", "test": examples([("u", "3.4e38"), ("v", "-1e300")], "v.tsv")},
            r"v.tsv, line 2: score '-1e300', expected a number that single precision holds, up to 3.4e\+38",
        ),
        (
            {
                "train": examples([("x", "1e-50"), ("y", "1e-60")]),
                "kind": "regression",
                "valid": scores(1),
                "test": scores(1),
            },
            "every training example has the label '1e-50'; two are needed",
        ),
        (
            {
                "train": examples([("x", "1"), ("y", "1.0")]),
                "kind": "regression",
                "valid": scores(1),
                "test": scores(1),
            },
            "every training example has the label '1'; two are needed",
        ),
        ({"valid": 100}, "cannot cut a valid split of 100 off 100 examples"),
        ({"test": 0.001}, "cannot cut a test split of 0.001 off 100 examples"),
    ],
)
def test_faults(fields, message):
    with pytest.raises(InputError, match=message):
        build({"one": source(**{"train": many(), **fields})}, seed=0, keep_overlap=False)


def test_training_that_stands_in_anothers_test_split_altogether():
    tasks = {"one": source(many(), test=many(), name="one"), "two": source(many(), valid=many(3, 500), name="two")}
    with pytest.raises(InputError, match="every training example stands in a held-out split of another task"):
        build(tasks, seed=0, keep_overlap=False)
