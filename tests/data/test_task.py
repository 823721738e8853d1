import json
from dataclasses import replace
from pathlib import Path

import pytest
from datasets import Dataset

from graphmtl.data.overlap import Overlap
from graphmtl.data.task import Task, TaskData, TaskSet
from graphmtl.errors import InputError

NOTHING = Overlap(test_in_own=0, test_in_others=0, repeated=0, dropped=0, test_seen=0, valid_seen=0, empty=0)


def data(name):
    rows = Dataset.from_dict({"text": ["a"], "label": [0]})
    return TaskData(task=Task(name=name, labels=("x", "y")), train=rows, valid=rows, test=rows, overlap=NOTHING)


def test_a_task_survives_json():
    task = Task(
        name="nli", text=("premise", "hypothesis"), label="gold", labels=("no", "yes"), metrics=("f1", "accuracy")
    )
    assert Task.from_dict(json.loads(json.dumps(task.to_dict()))) == task
    assert task.is_pair
    assert not Task(name="a").is_pair


def test_a_regression_survives_json_and_says_what_it_answers():
    task = Task(name="a", kind="regression", scale=(0.0, 5.0), in_mean=False)
    assert Task.from_dict(json.loads(json.dumps(task.to_dict()))) == task
    assert task.of_kind.in_words == "a number from 0 to 5"
    assert Task(name="a", kind="regression").of_kind.in_words == "a number"
    assert Task(name="a", labels=("x", "y")).of_kind.in_words == "x, y"


def test_metrics_by_default():
    assert Task(name="a").metrics == Task(name="a", kind="token-classification").metrics == ("accuracy",)
    assert Task(name="a", kind="regression").metrics == ("pearson", "spearman")


def test_a_task_of_tokens_survives_json():
    task = Task(
        name="ner", kind="token-classification", text=("word",), labels=("O", "B-x"), metrics=("span_f1",), head="crf"
    )
    assert Task.from_dict(json.loads(json.dumps(task.to_dict()))) == task
    assert task.tokens
    assert task.of_kind.labels_tokens
    assert task.of_kind.is_spans
    assert not Task(name="pos", kind="token-classification", labels=("O", "NN")).of_kind.is_spans
    intent = Task(name="intent", tokens=True, label="# intent", labels=("O", "B-x"))
    assert intent.tokens
    assert not intent.of_kind.labels_tokens


def test_a_task_alone_is_its_own_corpus():
    assert data("a").corpus == "a"
    layers = [replace(data(name), corpus="a+b") for name in "ab"]
    assert list(TaskSet(name="set", data=[*layers, data("c")]).overlap) == ["a+b", "c"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kind": "text-clasification"}, "did you mean 'text-classification'"),
        ({"metrics": ("acuracy",)}, "unknown metric of task 'a' 'acuracy'; did you mean 'accuracy'"),
        ({"kind": "regression", "labels": ("x", "y")}, "task 'a' of kind regression has `labels`"),
        ({"kind": "regression", "metrics": ("accuracy",)}, "unknown metric of task 'a' 'accuracy'.*pearson, spearman"),
        ({"kind": "regression", "scale": (5.0, 0.0)}, r"scale of task 'a': \(5.0, 0.0\), expected the lowest and"),
        ({"scale": (0.0, 5.0)}, "task 'a' of kind text-classification has `scale`, which is for tasks of regression"),
        ({"positive": "x"}, "task 'a' has a positive label 'x', but none of the metrics"),
        (
            {"positive": "z", "labels": ("x", "y"), "metrics": ("f1",)},
            r"unknown positive label of task 'a' 'z'.*known: x, y",
        ),
        ({"text": ("x", "y", "z")}, "3 text columns"),
        ({"text": ()}, "0 text columns"),
        ({"text": ("x", "y"), "tokens": True}, "2 text columns, expected one column of tokens"),
        (
            {"head": "crf"},
            "task 'a' of kind text-classification has `head`, which is for tasks of token-classification",
        ),
        ({"kind": "token-classification", "head": "crv"}, "unknown head of task 'a' 'crv'; did you mean 'crf'"),
        ({"kind": "token-classification", "metrics": ("auc",)}, "unknown metric of task 'a' 'auc'"),
        (
            {"kind": "token-classification", "labels": ("O", "S-x"), "metrics": ("accuracy", "span_f1")},
            r"metric of task 'a' 'span_f1': its tags are no spans",
        ),
        ({"name": "a b"}, "task name 'a b'"),
        ({"name": ""}, "task name ''"),
        ({"name": "virtual"}, "task name 'virtual'"),
        ({"name": ".."}, "task name '..'"),
    ],
)
def test_faults_of_a_task(fields, message):
    with pytest.raises(InputError, match=message):
        Task(**{"name": "a", **fields})


def test_a_task_set_keeps_its_order_and_finds_by_name():
    tasks = TaskSet(name="set", data=[data("b"), data("a"), data("c")])
    assert list(tasks) == list(tasks.tasks) == list(tasks.overlap) == ["b", "a", "c"]
    assert len(tasks) == 3
    assert tasks["a"].task.name == "a"
    assert "d" not in tasks
    assert str(tasks) == "TaskSet('set', 3 tasks: b, a, c)"
    assert str(tasks["b"]) == "TaskData('b', 1 / 1 / 1)"
    with pytest.raises(KeyError, match="tasks: b, a, c"):
        tasks["d"]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"max_length": 40}, "its `max_length` is None, the model's 40"),
        ({"scheme": "none"}, "its `scheme` is None, the model's 'none'"),
        ({"labels": ("x", "y", "z")}, r"its `labels` is \('x', 'y'\), the model's \('x', 'y', 'z'\)"),
        ({"text": ("a", "b")}, "its examples are single texts, the model's are not"),
    ],
)
def test_what_a_model_has_learned_otherwise_is_named(changes, named):
    tasks = TaskSet(name="set", data=[data("a"), data("b")])
    learned = {name: replace(task, source="a shop", text=("said",)) for name, task in tasks.tasks.items()}
    tasks.check_learned(learned, Path("runs/old"))
    with pytest.raises(InputError, match=f"^runs/old: task 'b' is not what the model has learned: {named}$"):
        tasks.check_learned(learned | {"b": replace(learned["b"], **changes)}, Path("runs/old"))
    with pytest.raises(InputError, match=r"^runs/old: the data has the tasks a, b, the model a$"):
        tasks.check_learned({"a": learned["a"]}, Path("runs/old"))
