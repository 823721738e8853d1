import numpy as np
import pytest

from graphmtl.analysis.holm import holm, p_of
from graphmtl.graph.comparison import Comparison


def test_holm():
    assert holm([0.01, 0.04, 0.03]) == [0.03, 0.06, 0.06]
    assert holm([0.6, 0.9]) == [1, 1]
    assert holm([0.04]) == [0.04]
    assert holm([]) == []


def test_of_many_tasks_without_differences_holm_seldom_finds_any():
    rng = np.random.default_rng(0)
    found = [min(holm(rng.random(16).tolist())) < 0.05 for _ in range(500)]
    assert 0.02 < np.mean(found) < 0.08


def test_comparisons_are_corrected_by_name_and_those_without_a_test_count_for_nothing():
    def of(p):
        return Comparison(within=0.5, p_value=p, overall=0.5, overlap=None, rows=3)

    found = p_of({"a": of(0.01), "b": of(None), "c": of(0.03)})
    assert found == {"a": pytest.approx(0.02), "b": None, "c": pytest.approx(0.03)}
    assert p_of({}) == {}
