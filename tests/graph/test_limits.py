import numpy as np
import pytest
from scipy.stats import t

from graphmtl.graph.limits import _prior, limits_of_shares, limits_of_texts


def shares(rng: np.random.Generator, spread: np.ndarray, sources: int = 7) -> np.ndarray:
    """Ratios to the equal share less 1, (rows, sources), of a spread in each row."""
    x = rng.normal(size=(len(spread), sources)) * spread[:, None]
    return x - x.mean(1, keepdims=True)


@pytest.mark.parametrize("widest", [1, 10])
def test_one_control_is_above_the_limits_of_another_in_one_of_twenty_cases(widest):
    """Whether all rows are alike or some have ten times the spread of others."""
    rng = np.random.default_rng(0)
    spread = np.geomspace(0.03, 0.03 * widest, 8)
    found = [
        (shares(rng, spread) > limits_of_shares(shares(rng, spread))[:, None]).any()  # (rows, sources) each
        for _ in range(1000)
    ]
    assert 0.015 < np.mean(found) < 0.06


def test_a_row_that_hardly_moves_on_shuffled_labels_has_a_lower_limit():
    rng = np.random.default_rng(1)
    spread = np.array([0.01] * 6 + [0.3] * 6)
    limits = limits_of_shares(shares(rng, spread, 11))
    assert limits[:6].max() < 0.2 * limits[6:].min()
    assert limits[:6].max() < 0.01 * 8


def test_where_rows_differ_no_more_than_by_chance_all_have_one_limit():
    rows = np.stack([np.roll(shares(np.random.default_rng(0), np.ones(1))[0], i) for i in range(5)])
    limits = limits_of_shares(rows)  # all variances are the same
    spread = np.exp(_prior(np.full(5, 1.0), np.full(5, 6.0))[1]) / np.e  # how far the scale is beyond that of one row
    assert limits == pytest.approx(limits[0])
    assert spread > 0
    assert limits[0] >= t.ppf(1 - 0.05 / 35, 30) * np.sqrt(np.square(rows[0]).sum() / 6)


def test_what_the_variances_come_from_is_found_again():
    rng = np.random.default_rng(0)
    d_0, s_0, d = 6.0, 0.04, np.resize([3.0, 9.0, 14.0], 6000)
    variances = s_0 * d_0 / rng.chisquare(d_0, len(d)) * rng.chisquare(d) / d
    found = _prior(variances, d)
    assert found[0] == pytest.approx(d_0, rel=0.1)
    assert found[1] == pytest.approx(s_0, rel=0.03)


def test_one_row_is_left_as_it_is():
    row = shares(np.random.default_rng(0), np.ones(1), 9)
    bound = t.ppf(1 - 0.05 / 9, 8) * np.sqrt(np.square(row).sum() / 8)
    assert limits_of_shares(row) == pytest.approx([bound])


def test_a_row_of_one_edge_or_none_has_no_limit_and_plays_no_part():
    rows = shares(np.random.default_rng(0), np.ones(4), 5)
    more = np.vstack([rows, [[0, np.nan, np.nan, np.nan, np.nan], [np.nan] * 5]])
    assert limits_of_shares(more) == pytest.approx([*limits_of_shares(rows), 0, 0])
    assert limits_of_shares(more[4:]) == pytest.approx([0, 0])


def test_edges_that_are_all_alike_have_no_limit_and_one_such_row_does_no_harm():
    assert limits_of_shares(np.zeros((3, 4))) == pytest.approx([0, 0, 0])
    rows = shares(np.random.default_rng(0), np.array([0.0, 1.0, 1.0, 1.0]))
    limits = limits_of_shares(rows)
    assert np.isfinite(limits).all()
    assert 0 <= limits[0] < limits[1:].min()


def test_an_edge_of_the_control_itself_is_never_above():
    rows = shares(np.random.default_rng(0), np.full(12, 0.01), 40)
    rows[3, 5] = 5.0
    assert (rows <= limits_of_shares(rows)[:, None] + 1e-12).all()


def test_means_over_texts_that_are_around_0_are_above_in_one_of_twenty_cases():
    """Where the edges of a row vary alike; rows of other spreads do not matter. Where one varies twice as much as the
    others of its row, the limit is too low for it."""
    rng = np.random.default_rng(0)
    spread = np.geomspace(0.01, 1, 6)[:, None, None]

    def above(widest: float) -> bool:
        own = rng.normal(size=(6, 5, 50)) * spread  # (rows, edges, texts)
        own[:, 0] *= widest
        limits = limits_of_texts(own.std(2), np.full((6, 5), 50))
        return bool((own.mean(2) > limits[:, None]).any())

    assert 0.03 < np.mean([above(1) for _ in range(2000)]) < 0.07
    assert 0.12 < np.mean([above(2) for _ in range(500)]) < 0.22


def test_edges_of_few_instances_are_means_over_runs_and_play_no_part():
    std = np.array([[0.3, 0.4, np.nan], [0.2, np.nan, np.nan]])
    count = np.array([[26, 26, np.nan], [19, np.nan, np.nan]])
    bound = t.ppf(1 - 0.05 / 3, 50) * np.sqrt((0.09 + 0.16) / 2 / 25)
    assert limits_of_texts(std, count) == pytest.approx([bound, 0])
    std[0, 2], count[0, 2] = 9.0, 3
    more = bound * t.ppf(1 - 0.05 / 4, 50) / t.ppf(1 - 0.05 / 3, 50)
    assert limits_of_texts(std, count) == pytest.approx([more, 0])
    count[1, 0] = 20
    assert limits_of_texts(std, count)[1] == pytest.approx(t.ppf(1 - 0.05 / 4, 19) * 0.2 / np.sqrt(19))
    assert limits_of_texts(np.full((2, 2), np.nan), np.full((2, 2), np.nan)) == pytest.approx([0, 0])
