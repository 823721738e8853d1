import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphmtl.metrics.numbers import mae, pearson, rmse, spearman
from tests.metrics.answers import numbers

METRICS = (pearson, spearman, rmse, mae)


def ranks(values):
    """The mean of the places that equal values take."""
    ordered = sorted(values)
    places = {value: [i for i, other in enumerate(ordered) if other == value] for value in values}
    return [np.mean(places[value]) for value in values]


def correlation(a, b):
    a, b = np.array(a) - np.mean(a), np.array(b) - np.mean(b)
    return (a * b).sum() / math.sqrt((a * a).sum() * (b * b).sum())


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(-9, 9), st.integers(-9, 9)), min_size=1, max_size=30))
def test_equal_to_the_definitions(pairs):
    right, answers = (list(column) for column in zip(*pairs, strict=True))
    found = numbers(np.array(right, np.float32), np.array(answers, np.float32))
    assert rmse(found) == pytest.approx(math.sqrt(np.mean([(a - b) ** 2 for a, b in pairs])))
    assert mae(found) == pytest.approx(np.mean([abs(a - b) for a, b in pairs]))
    if len(set(right)) == 1 or len(set(answers)) == 1:
        assert (pearson(found), spearman(found)) == (0, 0)
        return
    assert pearson(found) == pytest.approx(correlation(right, answers))
    assert spearman(found) == pytest.approx(correlation(ranks(right), ranks(answers)))


@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e9])
def test_the_unit_of_an_answer_does_not_matter_to_a_correlation(unit):
    right, answers = np.random.default_rng(0).normal(size=(2, 20)).astype(np.float32)
    for metric in (pearson, spearman):
        expected = metric(numbers(right, answers))
        assert metric(numbers(right, answers * np.float32(unit) + 3 * unit)) == pytest.approx(expected, abs=1e-5)


def test_small_differences_of_large_numbers_are_some():
    answers = 1e14 + np.array([0.0, 1.0, 3.0])
    assert pearson(numbers([1.0, 2.0, 4.0], answers)) == pytest.approx(1)


def test_errors_have_the_unit_of_the_labels():
    right, answers = np.array([1.0, 2.0, 4.0]), np.array([2.0, 2.0, 1.0])
    assert mae(numbers(10 * right, 10 * answers)) == pytest.approx(10 * mae(numbers(right, answers)))
    assert rmse(numbers(10 * right, 10 * answers)) == pytest.approx(10 * rmse(numbers(right, answers)))


def test_right_answers_are_the_best():
    right = [1.0, 2.0, 4.0]
    assert [metric(numbers(right, right)) for metric in METRICS] == pytest.approx([1, 1, 0, 0])


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_answers_of_a_failed_training_give_nan(broken):
    found = numbers([1.0, 2.0, 3.0], [1.0, broken, 2.0])
    assert all(math.isnan(metric(found)) for metric in METRICS)
