"""What a training asks of a split; that all processes read it together is in test_trainer.py."""

import math

import pytest
from accelerate import Accelerator

from graphmtl.data.batching import EncodedSplit
from graphmtl.errors import DataWarning, InputError
from graphmtl.graph.recorder import EdgeRecorder
from graphmtl.training.validation import Validation
from tests.parts import label_arrays
from tests.training.toy import ToyModel, toy_data

METRICS = {
    "a": {"accuracy": 0.5, "matthews": 0.0, "loss": 1.0},
    "b": {"accuracy": 0.9, "matthews": 0.0, "loss": 3.0},
}


def make(data, **options) -> Validation:
    return Validation(data=data, accelerator=Accelerator(cpu=True), batch_size=8, **options)


def test_groups_are_compared_by_their_tasks_first_metric_then_by_loss():
    data = toy_data(a=3, b=3)
    assert make(data).scores(METRICS, ["mean"]) == {"mean": (pytest.approx(0.7), -2.0)}
    assert make(data, select_by="b").scores(METRICS, ["mean"]) == {"mean": (0.9, -3.0)}
    assert make(data).scores(METRICS, ["a", "b"]) == {"a": (0.5, -1.0), "b": (0.9, -3.0)}
    object.__setattr__(data["b"].task, "in_mean", False)
    assert make(data).scores(METRICS, ["mean"]) == {"mean": (0.5, -1.0)}


def test_a_metric_that_is_undefined_leaves_the_choice_to_the_others_and_is_said_once():
    own = make(toy_data(a=3, b=3))
    undefined = {"a": {"accuracy": math.nan, "loss": 1.0}, "b": {"accuracy": 0.5, "loss": 3.0}}
    with pytest.warns(DataWarning, match="task 'a': accuracy is undefined on the validation split") as said:
        first = own.scores(undefined, ["mean", "a"])
    later = own.scores({**undefined, "b": {"accuracy": 0.9, "loss": 3.0}}, ["mean", "a"])
    assert len(said) == 1
    assert later["mean"] > first["mean"]
    assert first["a"] == later["a"] == (0.0, -1.0)
    assert own.scores({**undefined, "a": {"accuracy": math.nan, "loss": 0.5}}, ["a"])["a"] > first["a"]


def test_no_such_task():
    with pytest.raises(InputError, match=r"unknown select_by 'c'.*\(known: mean, a, b\)"):
        make(toy_data(a=3, b=3), select_by="c")


def test_a_task_without_validation_examples():
    data = toy_data(a=3, b=3)
    make(data).check_examples()
    data["b"].valid = EncodedSplit(tasks=["b"], texts=[], labels={"b": label_arrays([])})
    with pytest.raises(InputError, match="task 'b' has no validation example"):
        make(data).check_examples()


def test_losses_that_are_not_finite():
    data = toy_data(a=3, b=3)
    make(data).check_losses(METRICS, step=7)
    with pytest.raises(InputError, match="task 'a', step 7: the validation loss is nan"):
        make(data).check_losses({"a": {"loss": math.nan}}, step=7)


def test_every_example_is_read_and_its_edges_counted():
    data = toy_data(a=3, b=3)
    model, recorder = ToyModel([task.task for task in data.values()]), EdgeRecorder()
    predictions = make(data).predict_split(model, "test", recorder=recorder)
    assert {name: len(own) for name, own in predictions.items()} == {"a": 21, "b": 21}
    assert {edge.target: edge.count for edge in recorder.edges()} == {"a": 21, "b": 21}
    assert set(make(data).evaluate(model, "valid")["a"]) == {"accuracy", "matthews", "loss"}
