import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import pearsonr

from graphmtl.metrics import of_draws
from graphmtl.metrics.answered import Answered
from graphmtl.metrics.numbers import spearman
from graphmtl.metrics.of_draws import auc_of_draws, correlation, moments, spearman_of_draws
from graphmtl.metrics.probabilities import auc

FEW = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=12)


def drawn(answered, times):
    """The answers of one draw, in full."""
    some = np.repeat(np.arange(len(times)), times)
    probabilities = None if answered.probabilities is None else answered.probabilities[some]
    return Answered(
        form=answered.form,
        labels=answered.labels[some],
        answers=answered.answers[some],
        probabilities=probabilities,
        names=answered.names,
    )


@given(FEW, st.booleans(), st.integers(0, 9))
def test_the_area_is_that_of_the_examples_that_are_drawn(rows, of_three, seed):
    label, first, second = np.array(rows).T  # equal probabilities are many
    label = label if of_three else label % 2
    probabilities = np.stack([first, second, 3 - first], 1)[:, : 3 if of_three else 2] / 3
    names = ("a", "b", "c")[: probabilities.shape[1]]
    answered = Answered(form="classes", labels=label, answers=label, probabilities=probabilities, names=names)
    times = np.random.default_rng(seed).multinomial(len(rows), np.full(len(rows), 1 / len(rows)), size=3)
    expected = [auc(drawn(answered, own)) for own in times]
    assert auc_of_draws(answered)(times) == pytest.approx(expected, abs=1e-12, nan_ok=True)


@given(FEW, st.integers(0, 9))
def test_ranks_are_those_of_the_examples_that_are_drawn(rows, seed):
    _, labels, answers = np.array(rows, float).T
    answered = Answered(form="numbers", labels=labels, answers=answers)
    times = np.random.default_rng(seed).multinomial(len(rows), np.full(len(rows), 1 / len(rows)), size=3)
    expected = [spearman(drawn(answered, own)) for own in times]
    assert spearman_of_draws(answered)(times) == pytest.approx(expected, abs=1e-9)


def test_many_examples_are_read_in_blocks_of_draws(monkeypatch):
    rng = np.random.default_rng(0)
    labels, answers = rng.normal(size=(2, 30))
    answered = Answered(form="numbers", labels=labels, answers=answers)
    times = rng.multinomial(30, np.full(30, 1 / 30), size=7)
    whole = spearman_of_draws(answered)(times)
    monkeypatch.setattr(of_draws, "_AT_ONCE", 60)  # two draws at a time, and one is left
    assert np.array_equal(spearman_of_draws(answered)(times), whole)
    monkeypatch.setattr(of_draws, "_AT_ONCE", 1)
    assert np.array_equal(spearman_of_draws(answered)(times), whole)


@pytest.mark.parametrize("unit", [1e-30, 1e-5, 1, 1e12])
def test_a_correlation_has_no_unit_and_is_0_of_what_does_not_vary(unit):
    x, y = unit * np.array([1.0, 2, 5, 1, 1]), np.array([3.0, 1, 4, 1, 5])
    own = moments(x, y)
    assert correlation(own.sum(0)) == pytest.approx(pearsonr(x, y).statistic)
    assert correlation(own[:3].sum(0)) == pytest.approx(pearsonr(x[:3], y[:3]).statistic)
    assert correlation(own[3:].sum(0)) == 0  # x is the same twice
    assert correlation(own[[2, 2, 2]].sum(0)) == 0
    assert np.isnan(correlation(own[:0].sum(0)))
