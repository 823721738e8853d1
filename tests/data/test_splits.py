from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphmtl.data.source import Corpus, Source
from graphmtl.data.splits import build
from graphmtl.data.table import Table
from graphmtl.data.task import Task
from graphmtl.errors import DataWarning, InputError


def rows(pairs, source="train.tsv", **fields):
    return Table(source=source, columns={"text": [a for a, _ in pairs], "label": [b for _, b in pairs]}, **fields)


def source(train, valid=0.2, test=None, **fields):
    test = rows([("t", "a"), ("u", "b")], "test.tsv") if test is None else test
    task = Task(name=fields.pop("name", "one"), **fields)
    stratify = "label" if task.of_kind.stratified else None
    corpus = Corpus(name=task.name, train=train, valid=valid, test=test, texts=(task.text,), stratify=stratify)
    return Source(task=task, corpus=corpus)


def many(n=100, offset=0):
    return rows([(f"text {i + offset}", "ab"[i % 4 == 0]) for i in range(n)])


def test_a_cut_depends_on_the_seed_and_not_on_the_other_tasks():
    one, other = source(many()), source(many(60, offset=1000), name="other")
    alone = build({"one": one}, seed=3, keep_overlap=False)[0]
    joined = build({"other": other, "one": one}, seed=3, keep_overlap=False)[1]
    assert alone.valid["text"][:] == joined.valid["text"][:]
    assert alone.valid["text"][:] != build({"one": one}, seed=4, keep_overlap=False)[0].valid["text"][:]


def test_a_cut_loses_nothing_and_doubles_nothing():
    data = build({"one": source(many(), valid=0.2, test=0.3)}, seed=0, keep_overlap=False)[0]
    texts = [text for split in (data.train, data.valid, data.test) for text in split["text"]]
    assert sorted(texts) == sorted(many()["text"])
    assert (len(data.test), len(data.valid)) == (30, 14)


def test_more_training_rows_than_asked_for_are_left_out_and_counted():
    test = rows([("text 0", "a"), ("text 1", "a"), ("text 4", "b")], "test.tsv")
    whole, some = (
        build({"one": source(many(), test=test)}, seed=3, keep_overlap=False, max_train=n)[0] for n in (0, 20)
    )
    again, other = (
        build({"one": source(many())}, seed=seed, keep_overlap=False, max_train=20)[0].train["text"][:]
        for seed in (3, 4)
    )
    assert (len(whole.train), whole.overlap.beyond, len(some.train), some.overlap.beyond) == (80, 0, 20, 60)
    assert sum(some.train["label"]) * 4 == sum(whole.train["label"])  # labels in the proportions of the whole
    assert {*some.train["text"]} < {*whole.train["text"]}
    assert some.valid["text"][:] == whole.valid["text"][:]
    assert some.test["seen"][:] == [text in some.train["text"][:] for text in test["text"]] != whole.test["seen"][:]
    assert some.train["text"][:] == again != other
    assert len(build({"one": source(many())}, seed=3, keep_overlap=False, max_train=80)[0].train) == 80


def test_a_value_that_means_none_and_stands_nowhere_is_said():
    sources = {name: replace(source(many(), name=name), missing=("unknwon",)) for name in ("one", "two")}
    with pytest.warns(DataWarning) as told:
        build(sources, seed=0, keep_overlap=True)
    assert [str(each.message) for each in told] == [
        "task 'one' (train.tsv), task 'two' (train.tsv): `missing` 'unknwon' stands nowhere among the labels"
    ]
    test = rows([("t", "a"), ("u", "b"), ("v", "unknwon")], "test.tsv")  # one of them has it
    build({**sources, "two": replace(source(many(), test=test), missing=("unknwon",))}, seed=0, keep_overlap=True)


def test_columns_and_labels():
    train, valid = rows([("x", "10"), ("y", "9"), ("z", "10")]), rows([("v", "9")], lines=[4])
    train, valid = (
        replace(table, columns={**table.columns, "second": second})
        for table, second in ((train, ["p", "q", "r"]), (valid, ["s"]))
    )
    data = build(
        {"renamed": source(train, valid=valid, test=valid, text=("text", "second"))}, seed=0, keep_overlap=False
    )[0]
    assert data.task.name == "renamed"
    assert data.task.labels == ("9", "10")
    assert data.train["label"][:] == [1, 0, 1]
    assert data.train.column_names == ["text", "text_pair", "row", "label"]
    assert data.test.column_names == ["text", "text_pair", "row", "seen", "label"]
    assert (data.train["text_pair"][:], data.test["seen"][:]) == (["p", "q", "r"], [False])
    assert (data.train["row"][:], data.test["row"][:]) == ([1, 2, 3], [4])


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
    names = {"label": declared} if declared else {}
    one = source(rows([("x", "a"), ("y", "b")], names=names), valid=rows([("v", "a")]), labels=task_labels)
    data = build({"one": one}, seed=0, keep_overlap=False)[0]
    assert data.task.labels == labels
    assert data.train["label"][:] == train


def test_labels_get_names():
    one = source(many(), labels=("b", "a"))
    named = replace(one, names={"a": "good", "b": "bad"})
    assert build({"one": named}, seed=0, keep_overlap=False)[0].task.labels == ("bad", "good")


def test_clean_evaluation_reaches_the_data():
    one = source(many(20), valid=rows([("v", "a")]), test=rows([(" Text  3", "a"), ("other", "b")]))
    two = source(
        rows([("text 3", "a"), ("OTHER", "b"), ("  ", "a"), ("more", "b")]),
        valid=rows([("w", "a")]),
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
    return rows([(f"text {i + offset}", str(i / 8)) for i in range(n)])


def test_scores_are_numbers_and_a_cut_takes_any_of_them():
    one = source(scores(), valid=0.25, test=scores(5, 50), kind="regression", scale=(0.0, 5.0))
    data = build({"one": one}, seed=0, keep_overlap=False)[0]
    assert data.task.labels == ()
    assert len(data.valid) == 10
    assert data.test["label"][:] == [0, 0.125, 0.25, 0.375, 0.5]
    assert sorted([*data.train["label"], *data.valid["label"]]) == [i / 8 for i in range(40)]


def test_further_test_splits_are_labelled_and_held_out():
    other = rows([("text 3", "b"), ("v", "a")])
    one = source(many(), valid=many(4, 200))
    one = replace(one, corpus=replace(one.corpus, other_tests={"test_other": other}))
    two = source(rows([("v", "a"), ("w", "b"), ("x", "a")]), valid=rows([("y", "b")]), name="two")
    first, second = build({"one": one, "two": two}, seed=0, keep_overlap=False)
    assert first.other_tests["test_other"]["label"][:] == [1, 0]
    assert first.other_tests["test_other"]["seen"][:] == [True, False]
    assert len(first.test["seen"]) == 2
    assert second.train["text"][:] == ["w", "x"]


def test_what_must_stay_together_stays_together():
    def together(texts):
        return [None if text.endswith("7") else text[:6] for text in texts]  # by the tens

    one = source(many(), valid=0.3)
    one = replace(one, corpus=replace(one.corpus, together=together))
    data = build({"one": one}, seed=0, keep_overlap=False)[0]
    train, valid = ({text[:6] for text in own["text"] if not text.endswith("7")} for own in (data.train, data.valid))
    assert valid
    assert not train & valid
    assert not any(text.endswith("7") for text in data.valid["text"])


def table(n=40, **columns):
    return Table(source="all.csv", columns={"text": [f"text {i}" for i in range(n)], **columns})


def layers(corpus, *tasks):
    return {task.name: Source(task=task, corpus=corpus) for task in tasks}


def test_tasks_of_one_corpus_have_the_same_rows_whoever_else_is_there():
    whole = table(tone=[*"abb_" * 10], stars=[str(i % 5) for i in range(40)])
    corpus = Corpus(name="tone", train=whole, valid=0.2, test=0.2, stratify="tone")
    tone, stars = Task(name="tone", label="tone"), Task(name="stars", label="stars", kind="regression")
    a, b = build(layers(corpus, tone, stars), seed=0, keep_overlap=False)
    (alone,) = build(layers(corpus, stars), seed=0, keep_overlap=False)
    assert a.corpus == b.corpus == "tone+stars"
    for split in ("train", "valid", "test"):
        texts = [getattr(data, split)["text"][:] for data in (a, b, alone)]
        assert texts[0] == texts[1] == texts[2]
    assert len(a.train) == 26  # of 32, a fifth of which is for validation: nothing is dropped as another task's
    assert (a.overlap.dropped, b.overlap.dropped) == (0, 0)
    assert a.overlap is not None


def test_rows_without_a_label_are_in_no_class_and_counted():
    tone = ["good", " bad ", "", None, float("nan"), "?", "good", "bad"]
    whole = table(8, tone=tone, stars=["1", "", "3", None, "5", "n/a", "2", "4"])
    held_out = table(2, tone=["good", ""], stars=["", "2"])
    corpus = Corpus(name="c", train=whole, valid=held_out, test=held_out)
    sources = layers(
        corpus, Task(name="tone", label="tone"), Task(name="stars", label="stars", kind="regression", scale=(1, 5))
    )
    sources = {name: replace(each, missing=("?", "n/a")) for name, each in sources.items()}
    tone, stars = build(sources, seed=0, keep_overlap=True)
    assert tone.task.labels == ("bad", "good")
    assert tone.train["label"][:] == [1, 0, -100, -100, -100, -100, 1, 0]
    assert [None if x != x else x for x in stars.train["label"]] == [1, None, 3, None, 5, None, 2, 4]
    assert tone.unlabelled == {"train": 4, "valid": 1, "test": 1}
    assert stars.unlabelled == {"train": 3, "valid": 1, "test": 1}


def test_a_cut_leaves_every_task_some_labels_on_each_side():
    tone = [["good", "bad"][i // 10 % 2] if i % 10 == 0 else "" for i in range(60)]  # six of 60, by chance often none
    whole = table(60, topic=[*"abc" * 20], tone=tone)
    corpus = Corpus(name="c", train=whole, valid=0.2, test=0.2, present=("topic", "tone"))
    tasks = Task(name="topic", label="topic"), Task(name="tone", label="tone")
    for seed in range(8):
        _, data = build(layers(corpus, *tasks), seed=seed, keep_overlap=False)
        for split, rows in (("valid", data.valid), ("test", data.test)):
            assert len(rows) - data.unlabelled.get(split, 0) == 1


def test_a_label_that_the_cut_took_out_of_training_is_known_all_the_same():
    whole = table(40, topic=[*"ab" * 20], tone=["rare", *["good", "bad"] * 19, "good"])
    corpus = Corpus(name="c", train=whole, valid=0.2, test=0.2, stratify="topic")
    tasks = Task(name="topic", label="topic"), Task(name="tone", label="tone")
    made = [build(layers(corpus, *tasks), seed=seed, keep_overlap=False)[1] for seed in range(12)]
    assert {data.task.labels for data in made} == {("bad", "good", "rare")}
    assert any(2 in data.test["label"] for data in made)


def test_a_task_may_read_other_columns_of_the_same_rows():
    pairs = table(30, second=[f"other {i // 3}" for i in range(30)], same=[*"yn" * 15], tone=[*"yyn" * 10])
    corpus = Corpus(name="c", train=pairs, valid=0.2, test=0.2, texts=(("text", "second"), ("second",)))
    pair, single = (
        Task(name="pair", label="same", text=("text", "second")),
        Task(name="single", label="tone", text=("second",)),
    )
    a, b = build(layers(corpus, pair, single), seed=0, keep_overlap=False)
    assert (a.corpus, b.corpus) == ("pair", "single")
    for split in ("train", "valid", "test"):
        assert getattr(a, split)["text_pair"][:] == getattr(b, split)["text"][:]
    assert not {*b.train["text"]} & {*b.test["text"], *b.valid["text"]}  # a text that stands thrice is on one side


@given(st.data())
def test_no_text_stands_on_two_sides_of_a_cut(data):
    text = st.lists(st.sampled_from("abcdefgh"), min_size=12, max_size=12)
    first, second = data.draw(text), data.draw(text)
    whole = Table(source="x", columns={"a": first, "b": second, "label": [*"xy" * 6]})
    corpus = Corpus(name="c", train=whole, valid=0.2, test=0.2, texts=(("a",), ("b",)))
    try:
        one, two = build(
            layers(corpus, Task(name="one", text=("a",)), Task(name="two", text=("b",))), seed=0, keep_overlap=True
        )
    except InputError:  # nothing can be cut off, or one label is left
        return
    for task in (one, two):
        sides = [{*own["text"]} for own in (task.train, task.valid, task.test)]
        assert sum(map(len, sides)) == len(set.union(*sides))


@pytest.mark.parametrize(
    ("found", "labels"),
    [
        (["0.0", "1.0"], ("0", "1")),
        ([0.0, 1.0], ("0", "1")),
        ([0, 1], ("0", "1")),
        ([True, False], ("False", "True")),
        (["1.0", "1.5"], ("1.0", "1.5")),
        (["10", "9"], ("9", "10")),
        (["v1.0", "v2"], ("v1.0", "v2")),
    ],
)
def test_whole_numbers_are_the_same_label_however_they_are_written(found, labels):
    held_out = rows([("v", found[0] if isinstance(found[0], str) else str(found[0]))])
    data = build(
        {"a": source(rows([("x", found[0]), ("y", found[1])]), held_out, held_out)}, seed=0, keep_overlap=False
    )
    assert data[0].task.labels == labels


def test_a_label_that_is_none_by_all_the_others_is_said(recwarn):
    train = rows([("x", "yes"), ("y", "no"), ("z", "-")])
    with pytest.warns(UserWarning, match="the label '-', which stands 1 times, is taken for none"):
        (data,) = build({"a": source(train, rows([("v", "no")]), rows([("w", "yes")]))}, seed=0, keep_overlap=False)
    assert (data.task.labels, data.train["label"][:]) == (("no", "yes"), [1, 0, -100])
    with pytest.warns(UserWarning, match="the label 'null' stands 1 times; if it means .* `missing: ..null..`"):
        (data,) = build(
            {"a": source(rows([("x", "yes"), ("y", "no"), ("z", "null")]), rows([("v", "no")]), rows([("w", "yes")]))},
            seed=0,
            keep_overlap=False,
        )
    assert data.task.labels == ("no", "null", "yes")
    listed = source(train, rows([("v", "no")]), rows([("w", "yes")]), labels=("-", "yes", "no"))
    assert build({"a": listed}, seed=0, keep_overlap=False)[0].train["label"][:] == [1, 2, 0]


def test_a_listed_label_may_be_missing_from_training():
    test = rows([("t", "c"), ("u", "b")])
    (data,) = build({"a": source(many(), test=test, labels=("a", "b", "c"))}, seed=0, keep_overlap=False)
    assert data.test["label"][:] == [2, 1]


def test_the_positive_label_gets_its_name():
    one = source(many(), labels=("b", "a"), positive="a", metrics=("f1",))
    named = replace(one, names={"a": "good", "b": "bad"})
    assert build({"one": named}, seed=0, keep_overlap=False)[0].task.positive == "good"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"test": rows([("x", "a"), ("y", "c")], "my.tsv")},
            r"my.tsv, line 2: label 'c' training never saw; list all labels under the key `labels` .known: a, b",
        ),
        ({"valid": rows([("x", "q")], "v.tsv", lines=[7])}, r"v.tsv, line 7: label 'q' training never saw"),
        ({"labels": ("a", "x")}, r"train.tsv, line 1: label 'b' is not among the task's labels .known: a, x"),
        (
            {"train": rows([("x", "a"), ("y", "a")]), "valid": rows([("v", "a")]), "test": rows([("v", "a")])},
            r"train.tsv .train.: every label is 'a', two are needed in 'label'",
        ),
        (
            {"train": scores(), "kind": "regression", "scale": (0.0, 4.0)},
            r"train.tsv, line 34: score '4.125', expected a number from 0 to 4",
        ),
        (
            {"train": scores(), "kind": "regression", "test": rows([("v", "inf")], "v.tsv")},
            "v.tsv, line 1: score 'inf', expected a number",
        ),
        (
            {"train": scores(), "kind": "regression", "test": rows([("u", "3.4e38"), ("v", "-1e300")], "v.tsv")},
            r"v.tsv, line 2: score '-1e300', expected a number that single precision holds, up to 3.4e\+38",
        ),
        (
            {
                "train": rows([("x", "1e-50"), ("y", "1e-60")]),
                "kind": "regression",
                "valid": scores(1),
                "test": scores(1),
            },
            "every label is 0.0, two are needed",
        ),
        (
            {
                "train": rows([("x", "1"), ("y", "1.0")]),
                "kind": "regression",
                "valid": scores(1),
                "test": scores(1),
            },
            "every label is 1.0, two are needed",
        ),
        ({"valid": rows([("x", "")])}, r"train.tsv .valid.: no row has a label in 'label'"),
        (
            {"train": rows([("x", 0.5), ("y", 1.0)])},
            "line 1: label 0.5, expected a text or a whole number; scores are for",
        ),
        ({"train": rows([("x", "a"), ([], "b")])}, "line 2: column 'text' holds .., expected a text"),
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


def test_what_a_corpus_carries_stays_with_its_texts():
    numbers = {f"text {i}": i % 3 for i in range(110)}
    tables = [replace(t, columns={**t.columns, "who": [*map(numbers.get, t["text"])]}) for t in (many(), many(10, 100))]
    one = source(tables[0], test=tables[1])
    one = replace(one, corpus=replace(one.corpus, carried=("who",)))
    other = source(many(20, offset=200), test=many(30, offset=10), name="other")
    data, without = build({"one": one, "other": other}, seed=0, keep_overlap=False)
    assert 0 < data.overlap.dropped < 30
    assert sum(map(len, data.splits.values())) == 110 - data.overlap.dropped
    for rows_of_split in data.splits.values():
        assert rows_of_split["who"][:] == [*map(numbers.get, rows_of_split["text"])]
    assert all("who" not in rows_of_split.column_names for rows_of_split in without.splits.values())
