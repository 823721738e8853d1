import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphmtl.graph.comparison import auroc, compare, row_spearman

NAN = np.nan


def matrix(rows: int = 6, seed: int = 0) -> np.ndarray:
    weights = np.random.default_rng(seed).random((rows, rows))
    np.fill_diagonal(weights, NAN)
    return weights


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=2, max_size=12))
def test_row_spearman_is_the_libraries(pairs):
    ours, theirs = np.array(pairs, dtype=float).T
    (found,) = row_spearman(ours[None], theirs[None])
    if len(set(ours)) == 1 or len(set(theirs)) == 1:
        assert np.isnan(found)
    else:
        assert found == pytest.approx(pd.Series(ours).corr(pd.Series(theirs), method="spearman"), abs=1e-12)


def test_a_graph_agrees_with_itself_and_with_any_rising_function_of_it():
    for theirs in (matrix(), np.exp(3 * matrix()), matrix() * np.arange(1, 7)[:, None]):
        found = compare(matrix(), theirs)
        assert found.within == pytest.approx(1)
        assert found.overlap == 1
        assert found.rows == 6
        assert found.p_value == pytest.approx(1 / 2001)


def test_a_falling_function_is_the_opposite():
    found = compare(matrix(), -matrix())
    assert found.within == pytest.approx(-1)
    assert found.overall == pytest.approx(-1)
    assert found.p_value == 1


def test_scales_of_the_rows_play_no_part_within_and_do_overall():
    scaled = matrix() * np.array([[1], [100], [1], [100], [1], [100]])
    assert compare(matrix(), scaled).within == pytest.approx(1)
    assert compare(matrix(), scaled).overall < 0.9


def test_edges_that_one_graph_lacks_play_no_part():
    ours, theirs = matrix(), matrix()
    theirs[2, 3], ours[4, 1] = NAN, NAN
    theirs[0, 1:] = NAN
    found = compare(ours, theirs)
    assert found.within == pytest.approx(1)
    assert found.rows == 5


def test_p_values_of_unrelated_graphs_are_spread_out():
    p_values = [compare(matrix(seed=2 * i), matrix(seed=2 * i + 1)).p_value for i in range(60)]
    assert 0.3 < np.mean(p_values) < 0.7
    assert sum(p < 0.1 for p in p_values) < 16


def test_where_nothing_varies_there_is_nothing_to_say():
    found = compare(np.full((3, 3), 0.5), matrix(3))
    assert (found.within, found.p_value, found.overall, found.rows) == (None, None, None, 0)
    assert compare(np.full((2, 2), NAN), matrix(2)).overall is None


def test_rounding_is_no_difference():
    nearly = 0.2 + 1e-8 * matrix(5)
    assert compare(nearly, matrix(5, seed=1)).within is None
    assert np.isnan(row_spearman(nearly, matrix(5, seed=1))).all()
    truth = np.roll(np.eye(5), 1, axis=1)
    np.testing.assert_array_equal(auroc(nearly, truth), 0.5)
    assert compare(nearly, matrix(5, seed=1)).overlap is None
    some = 0.2 + 1e-5 * matrix(5)
    assert compare(some, matrix(5)).within == pytest.approx(1)


def test_overlap_counts_the_largest():
    ours = np.array([[5.0, 4, 3, 2, 1], [NAN, 4, 3, 2, NAN]])
    theirs = np.array([[5.0, 1, 2, 4, 3], [NAN, 4, 3, 2, NAN]])
    assert compare(ours, theirs, k=2).overlap == pytest.approx((0.5 + 1) / 2)
    assert compare(ours, theirs, k=3).overlap == pytest.approx(1 / 3)  # the second row has but three edges
    assert compare(ours, theirs, k=5).overlap is None


def test_auroc_by_counting_pairs():
    scores = np.array([[0.9, 0.5, 0.5, 0.1, 7.0], [1.0, 2.0, NAN, NAN, 0.0], [1.0, 2.0, 3.0, 4.0, 5.0]])
    truth = np.array([[1, 0, 1, 0, NAN], [1, 0, 1, 1, 0], [0, 0, 0, NAN, 0]])
    found = auroc(scores, truth)
    assert found[:2] == pytest.approx([(1 + 1 + 0.5 + 1) / 4, 0.5])
    assert np.isnan(found[2])
