import numpy as np
import pytest

from graphmtl.data.kind import Kind, default_kind, kind_class, suited_kind
from graphmtl.data.task import Task
from graphmtl.errors import InputError
from graphmtl.registry import KINDS

CLASSES = Task(name="a", labels=("x", "y", "z"))
TAGS = Task(name="t", kind="token-classification", labels=("N", "V"))


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_says_what_it_is(name):
    kind = kind_class(name)
    assert issubclass(kind, Kind)
    for what in ("form", "default_metrics", "arrow", "columns"):
        assert getattr(kind, what) is not None


def test_the_kind_of_a_task_that_does_not_say_it():
    assert Task(name="a").kind == default_kind() == "text-classification"
    assert default_kind(labels_tokens=True) == "token-classification"


def test_numbers_with_fractions_are_scores():
    assert suited_kind("y", ["0.5", "1.25", "3"]) == "regression"
    assert suited_kind("y", ["0", "1", "3"]) == suited_kind("y", ["a", "b"]) == default_kind()


def test_balanced_weights_give_every_class_the_same_share():
    weights = CLASSES.of_kind.class_weights("balanced", [0, 0, 0, 1, -100])
    assert weights == pytest.approx((4 / (3 * 3), 4 / (3 * 1), 1))  # z has no example
    tags = TAGS.of_kind.class_weights("balanced", [[0, 0, -100], [0, 1]])
    assert np.multiply(tags, [3, 1]).tolist() == pytest.approx([2, 2])


def test_weights_by_name():
    assert CLASSES.of_kind.class_weights({"y": 5}, []) == (1, 5, 1)
    with pytest.raises(InputError, match="unknown label in class_weights of task 'a' 'yy'; did you mean 'y'"):
        CLASSES.of_kind.class_weights({"yy": 5}, [])


def test_a_class_from_elsewhere_must_be_a_kind():
    with pytest.raises(InputError, match="expected a class derived from Kind"):
        kind_class("tests.data.test_kind:Task")
