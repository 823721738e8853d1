"""Tasks that joined a graph have the rows that it has learned, and no others."""

from dataclasses import replace

import pytest
from datasets import Dataset

from graphmtl.data.overlap import Overlap
from graphmtl.data.task import Task, TaskData, TaskSet
from graphmtl.data.transferred import Draw, learned_rows, never_learned

NONE = Overlap(test_in_own=0, test_in_others=0, repeated=0, dropped=0, test_seen=0, valid_seen=0, empty=0)


def data_of(name, texts, *, test=(), corpus=""):
    def rows(own, **more):
        labels = [i % 2 for i in range(len(own))]
        return Dataset.from_dict({"text": list(own), "row": [*range(len(own))], "label": labels, **more})

    held = {split: rows(own, seen=[False] * len(own)) for split, own in {"valid": ["v"], "test": test}.items()}
    return TaskData(task=Task(name=name, labels=("no", "yes")), train=rows(texts), overlap=NONE, corpus=corpus, **held)


def drawn(name, examples=None, draw=0):
    return Draw(new=[name], examples=examples, draw=draw)


def set_of(*data):
    return TaskSet(name="set", data=[*data])


def test_what_was_never_learned_is_left_out_and_not_seen():
    whole = set_of(
        data_of("p", ["A", "b", "b ", "c"]), data_of("q", ["d"], test=["b", "c", "x y"]), data_of("n", ["x  Y"])
    )
    missing = never_learned(whole, set_of(data_of("p", ["A", "c"]), whole["q"]))
    assert [*missing] == ["p"]
    found = learned_rows(whole, draws=[drawn("n")], left_out=missing)
    assert found["p"].train["text"] == ["A", "c"]
    assert found["p"].overlap.dropped == 2
    assert found["q"].test["seen"] == [False, True, True]
    assert found["q"].train["text"] == ["d"]


def test_of_new_tasks_the_drawn_examples_alone_are_there():
    texts = [f"text {i}" for i in range(90)]
    whole = set_of(data_of("old", texts[:5], test=texts, corpus="c"), data_of("new", texts, corpus="c"))
    found = learned_rows(whole, draws=[drawn("new", 60, 1)], left_out={})
    assert (len(found["new"].train), len(found["new"].valid)) == (48, 12)
    learned = {*found["new"].train["text"], *texts[:5]}
    assert found["old"].test["seen"] == [text in learned for text in texts]
    assert (found["old"].corpus, found["new"].corpus) == ("c", "c+new")  # which have other rows now
    other = learned_rows(whole, draws=[drawn("new", 60, 2)], left_out={})
    assert other["new"].train["text"] != found["new"].train["text"]


def test_without_either_all_is_as_it_was():
    whole = set_of(data_of("p", ["a"]), data_of("q", ["b"]))
    assert learned_rows(whole, draws=[drawn("q")], left_out={}) is whole


@pytest.mark.parametrize("dropped", [0, 3])
def test_what_was_dropped_before_is_counted_too(dropped):
    own = replace(data_of("p", ["a", "b"]), overlap=replace(NONE, dropped=dropped))
    missing = never_learned(set_of(own), set_of(data_of("p", ["a"])))
    found = learned_rows(set_of(own), draws=[], left_out=missing)
    assert found["p"].overlap.dropped == dropped + 1


def test_tasks_that_joined_one_after_the_other_have_each_their_draw():
    texts = [f"text {i % 80}" for i in range(90)]  # some stand there twice
    whole = set_of(data_of("old", ["a"]), data_of("one", texts), data_of("two", texts))
    draws = [drawn("one", 20, 1), drawn("two", 60, 2)]
    both = learned_rows(whole, draws=draws, left_out={})
    first = learned_rows(whole, draws=draws[:1], left_out={})
    assert both["one"].train["text"] == first["one"].train["text"]
    assert [len(both[name].train) for name in ("old", "one", "two")] == [1, 20, 48]
    assert first["two"].train["text"] == texts
