"""Test examples are the same where their texts are, and tasks of the same texts are drawn together."""

import numpy as np
import pytest
from datasets import Dataset
from hypothesis import given
from hypothesis import strategies as st

from graphmtl.comparison.examples import Pool, in_order_of_texts, pools
from graphmtl.data.fingerprint import text_ids
from graphmtl.data.task import TaskData, TaskSet
from tests.comparison.small import named
from tests.parts import lists, predictions_of


def tasks_of(**rows):
    """Tasks of two labels whose test splits have these columns."""
    found = []
    for name, own in rows.items():
        split = Dataset.from_dict(own)
        found.append(TaskData(task=named(name), train=split, valid=split, test=split, overlap=None))
    return TaskSet(name="set", data=found)


def ids(*values):
    return np.array(values, dtype=np.uint64)


def same(texts):
    return dict.fromkeys(texts, True)


@given(st.permutations([*range(8)]))
def test_the_order_of_a_file_says_nothing(order):
    texts = ["a b", "b", "a b", "c", "d", "e", "a b", "f"]
    labels = np.array([0, 1, 1, 0, 1, 0, 1, 1])
    answers = np.arange(8)  # such as those of a model, which says the same of the same text
    answers[[2, 6]] = answers[0]

    def read(places):
        rows = {"text": [texts[i] for i in places], "label": labels[places].tolist()}
        return in_order_of_texts({"a": predictions_of(labels[places], answers[places])}, tasks_of(a=rows))["a"]

    ours, theirs = read([*range(8)]), read([*order])
    for name in ("labels", "answers", "texts"):
        assert np.array_equal(getattr(ours, name), getattr(theirs, name))
    assert np.array_equal(ours.texts, np.sort(ours.texts))


def test_texts_without_a_label_are_not_among_those_that_are_known():
    rows = {"text": ["x", "y", "z"], "label": [1, -100, 0]}
    found = text_ids(tasks_of(a=rows, b={"text": ["z"], "label": [1]}), "test")
    assert found["a"].tolist()[1:] == found["b"].tolist()
    assert len(found["a"]) == 2
    assert text_ids(tasks_of(a=rows), "test_other") == {}


def test_tasks_that_label_the_same_texts_are_drawn_together():
    texts = {"pos": [ids(1, 2, 3, 3)], "ner": [ids(1, 3, 2)], "alone": [ids(7, 8, 1)]}
    found = {name: own[0] for name, own in pools(texts, same=same(texts)).items()}
    assert (found["alone"].key, found["alone"].size, found["alone"].places) == ("alone", 3, None)
    assert found["pos"].key == found["ner"].key == "ner+pos"
    assert found["pos"].size == found["ner"].size == 4
    assert found["ner"].places.tolist() == [0, 1, 2]
    assert found["pos"].places.tolist() == [0, 2, 1, 3]  # the second 3 is one of its own


def test_those_that_share_texts_with_the_same_one_are_drawn_together():
    texts = {"a": [ids(1, 2)], "b": [ids(1, 2, 3, 4, 5, 6)], "c": [ids(5, 6)], "d": [ids(9)], "none": [ids()]}
    keys = {name: own[0].key for name, own in pools(texts, same=same(texts)).items()}
    assert keys == {"a": "a+b+c", "b": "a+b+c", "c": "a+b+c", "d": "d", "none": "none"}


def test_a_few_texts_join_no_large_tasks():
    texts = {"a": [np.arange(200)], "few": [np.array([0, 1, 500, 501])], "b": [np.arange(500, 700)]}
    assert {own[0].key for own in pools(texts, same=same(texts)).values()} == {"a", "few", "b"}


def test_some_of_the_examples_of_a_pool():
    kept = np.array([True, False, True])
    assert Pool(key="a", size=3).only(kept).places.tolist() == [0, 2]
    assert Pool(key="a", size=9, places=np.array([4, 5, 6])).only(kept).places.tolist() == [4, 6]


def test_long_labels_of_the_same_text_are_ordered_by_all_of_them():
    long = [np.zeros(2000, dtype=np.int64) for _ in range(3)]
    for i, own in enumerate(long):
        own[1000] = i  # what numpy leaves out of its words
    rows = {"text": ["a"] * 3, "label": [0, 0, 0]}
    read = [
        in_order_of_texts({"a": predictions_of(lists([long[i] for i in places]), np.arange(3))}, tasks_of(a=rows))["a"]
        for places in ([0, 1, 2], [2, 0, 1])
    ]
    assert [own.labels[i][1000] for own in read for i in range(3)] == [0, 1, 2] * 2


@pytest.mark.parametrize("alike", [True, False])
def test_seeds_of_the_same_examples_have_the_same_draws(alike):
    texts = {"a": [ids(1, 2), ids(1, 2) if alike else ids(2, 3)], "b": [ids(1, 2)] * 2}
    found = pools(texts, same={"a": alike, "b": True})
    for own in found.values():
        assert [pool.key for pool in own] == (["a+b"] * 2 if alike else ["a+b 0", "a+b 1"])
    assert [pool.size for pool in found["a"]] == ([2, 2] if alike else [2, 3])
