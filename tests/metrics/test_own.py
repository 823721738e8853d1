"""Users' own functions; those of this file stand for files of users."""

import math

import numpy as np
import pytest

from graphmtl.errors import InputError
from graphmtl.metrics.own import own_metric
from tests.metrics.answers import classes, label_sets, numbers, tags, texts

SEEN = []
NUMBER = 3


def seen(labels, answers):
    SEEN.append((labels, answers))
    return np.float32(0.5)


def mistakes(labels, answers):
    return sum(label != answer for label, answer in zip(labels, answers, strict=True))


mistakes.higher_is_better = False


def fails(labels, answers):
    return labels[0][99]


def gives_nan(labels, answers):
    return math.nan


def gives_text(labels, answers):
    return "0.5"


def own(name: str):
    return own_metric(f"tests.metrics.test_own:{name}", "metric of task 'a'")


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (classes([0, 1], [1, 1], 2), (["label0", "label1"], ["label1", "label1"])),
        (label_sets([[1, 1], [0, 0]], [[0, 1], [1, 0]]), ([["label0", "label1"], []], [["label1"], ["label0"]])),
        (numbers(np.float32([0.5]), np.float32([2])), ([0.5], [2.0])),
        (tags(["A B"], ["A A"], ("A", "B")), ([["A", "B"]], [["A", "A"]])),
        (texts([["x", "y"]], ["z"]), ([["x", "y"]], ["z"])),
    ],
    ids=lambda value: getattr(value, "form", ""),
)
def test_a_function_is_given_plain_lists_of_names(found, expected):
    SEEN.clear()
    assert own("seen").function(found) == 0.5
    (given,) = SEEN
    assert given == expected
    assert all(type(value) in (str, list, float) for side in given for value in side)
    assert found.form in own("seen").forms


def test_a_function_may_say_that_lower_is_better():
    assert own("seen").higher_is_better
    assert not own("mistakes").higher_is_better
    assert own("mistakes").function(classes([0, 1], [1, 1], 2)) == 1.0


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("fails", r"the function failed \(IndexError: string index out of range\)"),
        ("gives_nan", "the function returned nan, expected a finite number"),
        ("gives_text", "the function returned '0.5', expected a finite number"),
    ],
)
def test_a_function_that_gives_no_number_is_named(name, problem):
    with pytest.raises(InputError, match=f"metric of task 'a' 'tests.metrics.test_own:{name}': {problem}"):
        own(name).function(classes([0, 1], [1, 1], 2))


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("gives_nam", "no 'gives_nam' in 'tests.metrics.test_own'; did you mean 'gives_nan'?"),
        ("NUMBER", "found 3, expected a function"),
    ],
)
def test_a_function_that_is_not_there_is_named(name, problem):
    with pytest.raises(InputError, match=f"metric of task 'a' 'tests.metrics.test_own:{name}': {problem}"):
        own(name)
