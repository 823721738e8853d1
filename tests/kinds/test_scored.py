import numpy as np
import pytest

from graphmtl.data.task import Task
from graphmtl.errors import InputError
from graphmtl.metrics.named import metrics_of
from tests.parts import class_predictions, lists, predictions_of

CLASSES = Task(name="a", labels=("x", "y"), metrics=tuple(metrics_of("classes"))[:10])
TAGS = Task(name="t", kind="token-classification", labels=("O", "B-x", "I-x"), metrics=("span_f1", "accuracy"))


def test_every_metric_of_a_kind_can_be_computed():
    perfect = class_predictions([1, 0, 1], [[0.0, 9.0], [9.0, 0.0], [0.0, 9.0]])
    scores = CLASSES.of_kind.scores(perfect)
    assert list(scores) == list(CLASSES.metrics)
    assert {name for name, score in scores.items() if score == 1} == {*CLASSES.metrics} - {"ece"}
    numbers = Task(name="n", kind="regression", metrics=("pearson", "rmse", "mae"))
    found = numbers.of_kind.scores(predictions_of(np.array([1.0, 2.0]), np.array([2.0, 3.0])))
    assert found == {"pearson": 1, "rmse": 1, "mae": 1}


def test_tokens_without_a_label_count_for_nothing():
    predictions = predictions_of(lists([[0, -100, 1], [-100, 2]]), lists([[0, 1, 1], [1, 0]]))
    assert TAGS.of_kind.scores(predictions)["accuracy"] == pytest.approx(2 / 3)


def test_what_classes_are_taken_for():
    found = CLASSES.of_kind.by_class(class_predictions([1, 0, 1], [[0.0, 9.0], [9.0, 0.0], [9.0, 0.0]]))
    assert found["confusion"] == {"labels": ["x", "y"], "counts": [[1, 0], [1, 1]]}
    assert found["classes"]["y"] == {"precision": 1, "recall": 0.5, "f1": pytest.approx(2 / 3), "support": 2}
    spans = TAGS.of_kind.by_class(predictions_of(lists([[1, 2, 0]]), lists([[1, 2, 1]])))
    assert spans == {"types": {"x": {"precision": 0.5, "recall": 1, "f1": pytest.approx(2 / 3), "spans": 1}}}
    assert Task(name="n", kind="regression").of_kind.by_class(predictions_of(np.ones(2), np.ones(2))) == {}


def test_an_error_cannot_select_the_epoch():
    with pytest.raises(InputError, match=r"metric of task .n.: rmse cannot be the first one.*such as pearson"):
        Task(name="n", kind="regression", metrics=("rmse", "pearson"))
