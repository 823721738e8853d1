import pytest
import torch

from graphmtl.data.batching import EncodedSplit, EncodedTask
from graphmtl.data.task import Task
from graphmtl.training import results
from graphmtl.training.results import mean_of_first_metrics, split_scores, versions
from tests.parts import class_predictions


def predictions(logits, labels):
    return class_predictions(labels, torch.tensor(logits, dtype=torch.float32).view(len(labels), 2))


def encoded(name):
    split = EncodedSplit(tasks=[name], texts=[])
    return EncodedTask(Task(name=name, labels=("x", "y")), split, split, split)


def test_scores_hold_no_loss_and_none_where_there_is_no_example():
    data = {"a": encoded("a"), "b": encoded("b")}
    found = {"a": predictions([[1, 0], [1, 0], [0, 1], [0, 1]], [0, 0, 0, 1]), "b": predictions([], [])}
    assert split_scores(data, found) == {"a": {"accuracy": 0.75}, "b": {"accuracy": None}}


def test_what_is_read_from_its_source_folder_has_no_version(monkeypatch):
    monkeypatch.setattr(results, "_VERSIONS", ("torch", "graphmtl-of-a-folder"))
    assert versions()["torch"] == torch.__version__
    assert versions()["graphmtl-of-a-folder"] == "not installed"


def test_the_mean_is_over_first_metrics_that_exist():
    tasks = {
        "a": {"metric": "f1", "test": {"f1": 0.5, "accuracy": 0.9}},
        "b": {"metric": "accuracy", "test": {"accuracy": 0.7}},
        "c": {"metric": "accuracy", "test": {"accuracy": None}},
    }
    assert mean_of_first_metrics(tasks, "test") == pytest.approx(0.6)
    assert mean_of_first_metrics({"c": tasks["c"]}, "test") is None
