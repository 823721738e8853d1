import json
from copy import deepcopy
from dataclasses import replace
from hashlib import sha256

import pytest
from datasets import Dataset, Features, Value, concatenate_datasets
from hypothesis import given, settings
from hypothesis import strategies as st

from graphmtl.data.fingerprint import check_data, difference, fingerprint, read_fingerprint
from graphmtl.data.kind import NO_LABEL
from graphmtl.data.task import Task, TaskData, TaskSet
from graphmtl.errors import InputError
from tests.tagging import tagging_tasks

CLASSES = Task(name="one", labels=("no", "yes"))
SCORES = Task(name="one", kind="regression")
SPLITS = ("train", "valid", "test")

few = settings(max_examples=20)  # a data set takes milliseconds to make

examples = st.lists(st.tuples(st.text(st.characters(codec="utf-8")), st.integers(0, 1)), min_size=1, max_size=5)


def rows(pairs, **columns):
    texts, labels = ([pair[i] for pair in pairs] for i in (0, 1))
    return Dataset.from_dict({"text": texts, "label": labels, **columns})


def one(train, valid=(("v", 0),), test=(("t", 1),), *, task=CLASSES, name="set", **fields):
    train, valid, test = (each if isinstance(each, Dataset) else rows(each) for each in (train, valid, test))
    return TaskSet(name=name, data=[TaskData(task=task, train=train, valid=valid, test=test, overlap=None, **fields)])


def of(*arguments, **fields):
    """The splits of the only task."""
    (found,) = fingerprint(one(*arguments, **fields))["tasks"].values()
    return found


def words(then, now, *, in_order=False):
    return difference(fingerprint(then), fingerprint(now), in_order=in_order)


def test_the_digests_are_those_of_the_description():
    """They stand in files: another version of a library, or of this one, must find the same."""
    train = of([("déjà", 1), ('"b"\n', NO_LABEL)])["train"]
    texts = [sha256(text).digest() for text in (b'["d\\u00e9j\\u00e0"]', b'["\\"b\\"\\n"]')]
    both = [sha256(text + label).digest() for text, label in zip(texts, (b'"yes"', b"null"), strict=True)]
    assert train == {
        "examples": 2,
        "texts": sha256(b"".join(texts)).hexdigest(),
        "labels": sha256(b'"yes"\nnull').hexdigest(),
        "text_sum": f"{sum(int.from_bytes(text, 'big') for text in texts) % 2**256:064x}",
        "example_sum": f"{sum(int.from_bytes(each, 'big') for each in both) % 2**256:064x}",
    }


@few
@given(examples, st.data())
def test_how_the_columns_are_laid_out_counts_for_nothing(pairs, data):
    plain, cut = rows(pairs), data.draw(st.integers(0, len(pairs)))
    pieces = concatenate_datasets([plain.select([*range(cut)]), plain.select([*range(cut, len(pairs))])])
    upside_down = rows(pairs[::-1]).select(range(len(pairs))[::-1])  # rows by a list of their places
    other_types = plain.cast(Features(text=Value("large_string"), label=Value("int8")))
    for same in (pieces, upside_down, other_types, plain.with_format("numpy", columns=["label"])):
        assert of(same) == of(plain)


@few
@given(examples, st.data())
def test_every_character_label_and_place_counts(pairs, data):
    i = data.draw(st.integers(0, len(pairs) - 1))
    text, label = pairs[i]
    before = of(pairs)
    others = [
        [*pairs[:i], (f"{text} ", label), *pairs[i + 1 :]],
        [*pairs[:i], (f"{text}\0", label), *pairs[i + 1 :]],
        [*pairs[:i], (text, 1 - label), *pairs[i + 1 :]],
        [*pairs[:i], (text, NO_LABEL), *pairs[i + 1 :]],
        [*pairs, pairs[i]],
    ]
    for other in others:
        assert of(other)["train"] != before["train"]
        assert words(one(pairs), one(other)) is not None
    moved = of([*pairs[:i], *pairs[i + 1 :], ("", 0)], test=[pairs[i]])
    assert moved["train"]["example_sum"] != before["train"]["example_sum"] or pairs[i] == ("", 0)


@few
@given(examples, st.randoms())
def test_the_sums_alone_do_not_depend_on_the_order(pairs, random):
    shuffled = random.sample(pairs, len(pairs))
    assert words(one(pairs), one(shuffled)) is None
    found = words(one(pairs), one(shuffled), in_order=True)
    assert found == (None if shuffled == pairs else "task 'one' has the same examples, but in another order in train")


@pytest.mark.parametrize(
    "texts",
    [
        [["ab", "c"], ["a", "bc"]],
        [["a b"], ["a", "b"]],
        [['a","b'], ["a", "b"]],
        [["a", ""], ["a"]],
    ],
)
def test_tokens_and_pairs_are_not_run_together(texts):
    task = replace(CLASSES, tokens=True)
    by_tokens = [of(Dataset.from_dict({"tokens": [own], "label": [0]}), task=task)["train"] for own in texts]
    assert by_tokens[0]["text_sum"] != by_tokens[1]["text_sum"]
    pairs = [of(rows([(own[0], 0)], text_pair=[own[-1]]))["train"]["text_sum"] for own in texts]
    assert pairs[0] != pairs[1]
    assert not {of([(own[0], 0)])["train"]["text_sum"] for own in texts} & {*pairs, by_tokens[0]["text_sum"]}


def test_labels_go_by_their_names():
    other_order = replace(CLASSES, labels=("yes", "no"))
    pairs, flipped = [("a", 0), ("b", 1)], [("a", 1), ("b", 0)]
    assert of(pairs)["train"] == of(flipped, task=other_order)["train"]
    assert of(pairs)["train"] != of(pairs, task=other_order)["train"]
    assert of(pairs)["train"] != of(pairs, task=replace(CLASSES, labels=("no", "maybe")))["train"]


def test_scores_are_numbers_and_a_missing_one_is_none_of_them():
    def labels(*scores):
        return of([(f"text {i}", score) for i, score in enumerate(scores)], task=SCORES)["train"]["labels"]

    assert labels(1.0, 2.5) == labels(1, 2.5)
    found = [labels(*own) for own in ((0.0,), (float("nan"),), (0.1,), (0.1 + 1e-9,), (0.0, 0.1))]
    assert len(set(found)) == len(found)


def test_what_is_found_about_the_data_counts_for_nothing():
    """Which texts are seen, the names of the task and of the set, and where the rows are."""
    plain = of([("a", 0)], test=rows([("t", 1)]))
    assert plain == of([("a", 0)], test=rows([("t", 1)], seen=[True]), name="other", task=replace(CLASSES, name="two"))
    with_rows = one(rows([("a", 0)], row=[7]))
    assert words(one([("a", 0)]), with_rows) is None
    assert words(with_rows, one(rows([("a", 0)], row=[8])), in_order=True) is None


def test_the_rows_of_the_source_stand_there_as_ranges():
    found = of(rows([(str(i), 0) for i in range(6)], row=[2, 3, 4, 7, 6, 5]))
    assert found["train"]["rows"] == "2-4,7,6,5"
    assert "rows" not in found["test"]
    assert of(rows([], row=[]))["train"]["rows"] == ""


def test_layers_of_a_corpus_share_texts_and_have_labels_of_their_own():
    tasks = tagging_tasks(missing=0.3)
    before = fingerprint(tasks)["tasks"]
    assert before["pos"]["train"]["texts"] == before["ner"]["train"]["texts"] == before["mood"]["train"]["texts"]
    assert len({before[name]["train"]["labels"] for name in ("pos", "ner", "mood")}) == 3
    train = tasks["ner"].train
    other = train.remove_columns("label").add_column("label", list(train["label"])[::-1])
    changed = [replace(data, train=other) if name == "ner" else data for name, data in tasks.items()]
    after = fingerprint(TaskSet(name="set", data=changed))["tasks"]
    assert {name for name in before if before[name] != after[name]} == {"ner"}
    assert after["ner"]["train"]["texts"] == before["ner"]["train"]["texts"]


def test_further_test_splits_are_there_too():
    found = of([("a", 0)], other_tests={"test_other": rows([("o", 1)])})
    assert list(found) == [*SPLITS, "test_other"]
    assert words(one([("a", 0)]), one([("a", 0)], other_tests={"test_other": rows([("o", 1)])})) == (
        "task 'one' has the splits train, valid, test and test_other, and had train, valid and test"
    )


ABC = [("a", 0), ("b", 1), ("c", 0)]


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (one(ABC), None),
        (one([*ABC, ("d", 1)]), "task 'one' has other texts in train (3 then, 4 now)"),
        (
            one([("a", 0), ("b", 1), ("x", 0)], test=[("u", 1)]),
            "task 'one' has other texts in train (3 then and now) and test (1 then and now)",
        ),
        (
            one([("a", 0), ("b", 1), ("t", 0)], test=[("c", 1)]),
            "task 'one' has the same 5 texts in all, but others of them in train and test",
        ),
        (one([("a", 1), ("b", 0), ("c", 0)]), "task 'one' has the same texts, but other labels in train"),
        (one(ABC, task=replace(CLASSES, name="two")), "the tasks were one and are now two"),
    ],
)
def test_what_differs_is_said_in_words(now, expected):
    assert words(one(ABC), now) == expected


@pytest.mark.parametrize(
    ("count", "more"), [(1, ""), (2, "; task 't1' differs too"), (4, "; 3 more of its tasks differ")]
)
def test_of_several_tasks_the_first_is_spoken_of(count, more):
    def several(text):
        data = [one([(text, 0)], task=replace(CLASSES, name=f"t{i}"))[f"t{i}"] for i in range(count)]
        return TaskSet(name="set", data=data)

    assert words(several("a"), several("b")) == f"task 't0' has other texts in train (1 then and now){more}"


# the file


WHOLE = fingerprint(one(ABC))


def broken(change):
    found = deepcopy(WHOLE)
    change(found["tasks"]["one"])
    return json.dumps(found)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff", ", line 1: byte 0xff is not UTF-8"),
        (b"{", ", line 1: not JSON"),
        (b"[]", ": an object ({...}) is expected"),
        (b"[" * 10_000, ", line 1: not JSON that can be read"),
        (b"{}", ": format None; this version of graphmtl reads format 1"),
        (b'{"format": 2}', ": format 2; this version"),
        (b'{"format": 1}', ": damaged, expected `tasks`"),
        (b'{"format": 1, "tasks": {"one": []}}', ": damaged, expected `tasks`"),
        (
            broken(lambda task: task.update(test=3)).encode(),
            ": damaged, the test split of task 'one' lacks one of examples",
        ),
        (broken(lambda task: task["valid"].pop("text_sum")).encode(), ": damaged, the valid split of task 'one'"),
        (broken(lambda task: task["valid"].update(text_sum="zz")).encode(), ": damaged, the valid split of task 'one'"),
        (broken(lambda task: task["train"].update(examples="3")).encode(), ": damaged, the train split of task 'one'"),
    ],
)
def test_a_damaged_file_is_one_line(content, message, tmp_path):
    (tmp_path / "data.json").write_bytes(content)
    with pytest.raises(InputError, match=r"^[^\n]*$") as error:
        check_data(tmp_path / "data.json", WHOLE, tasks="set", otherwise="")
    assert str(error.value).startswith(f"{tmp_path}/data.json{message}")


def test_the_file_is_compared(tmp_path):
    path = tmp_path / "data.json"
    assert read_fingerprint(path) is None
    check_data(path, WHOLE, tasks="set", otherwise="")  # of a run before there were such files
    path.write_text(json.dumps(WHOLE))
    assert read_fingerprint(path) == WHOLE
    check_data(path, WHOLE, tasks="set", in_order=True, otherwise="")
    with pytest.raises(InputError) as error:
        check_data(path, fingerprint(one(ABC[:2])), tasks="t.yaml", otherwise="begin anew")
    changed = "the data of --tasks t.yaml has changed since: task 'one' has other texts in train (3 then, 2 now)"
    assert str(error.value) == f"{path}: {changed}; begin anew"
