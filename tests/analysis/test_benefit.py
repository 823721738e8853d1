import numpy as np
import pytest

from graphmtl.analysis.benefit import chosen_by_other_seeds, noise_ceiling, predict, top_sources

TASKS = 8


def off_diagonal(matrix):
    """A matrix with nan where target and source are one."""
    matrix = matrix.copy()
    np.fill_diagonal(matrix, np.nan)
    return matrix


def simulated(rng, *, noise, seeds=3, texts=60, tasks=TASKS):
    """True gains, and gains of texts: the true ones, noise of each training, and noise of each text."""
    true = off_diagonal(rng.normal(size=(tasks, tasks)))
    gains = [
        own[None, :, None] + noise * rng.normal(size=(seeds, tasks, 1)) + 0.5 * rng.normal(size=(seeds, tasks, texts))
        for own in true
    ]
    return true, gains


def means(gains):
    return np.stack([own.mean((0, 2)) for own in gains])


@pytest.mark.parametrize("seeds", [2, 3, 5])
@pytest.mark.parametrize("noise", [0.3, 1.0, 2.0])
def test_the_true_gain_reaches_the_ceiling_and_no_more(noise, seeds):
    rng = np.random.default_rng(0)
    found = []
    for _ in range(8):
        true, gains = simulated(rng, noise=noise, seeds=seeds)
        found.append((noise_ceiling(gains).correlation, predict(true[None], means(gains)).within))
    ceiling, within = np.mean(found, axis=0)
    assert ceiling == pytest.approx(within, abs=0.1)


def test_the_ceiling_of_gains_without_noise_is_1_and_of_noise_alone_near_0():
    rng = np.random.default_rng(0)
    true, _ = simulated(rng, noise=0)
    ceiling = noise_ceiling([np.tile(own[None, :, None], (3, 1, 10)) for own in true])
    assert (ceiling.split_half, ceiling.reliability, ceiling.correlation) == pytest.approx((1, 1, 1))
    assert ceiling.p_value < 0.001
    nothing = [noise_ceiling([rng.normal(size=(3, TASKS, 30)) for _ in range(TASKS)]) for _ in range(20)]
    assert abs(np.mean([own.split_half for own in nothing])) < 0.05
    assert np.mean([own.p_value < 0.05 for own in nothing]) <= 0.2


def test_for_which_targets_it_is_settled_who_helps():
    rng = np.random.default_rng(0)
    _, gains = simulated(rng, noise=0.1)
    gains[3] = rng.normal(size=gains[3].shape)
    by_target = noise_ceiling(gains).by_target
    assert min((r, k) for k, r in enumerate(by_target))[1] == 3
    assert min(np.delete(by_target, 3)) > 0.7


def test_the_ceiling_needs_two_seeds():
    with pytest.raises(ValueError, match="found 1 seed, expected 2 or more"):
        noise_ceiling([np.zeros((1, 3, 4))] * 3)


def test_p_values_of_pictures_that_know_nothing_are_uniform():
    rng = np.random.default_rng(0)
    shape = (TASKS, TASKS)
    found = [predict(rng.normal(size=(1, *shape)), off_diagonal(rng.normal(size=shape))) for _ in range(100)]
    p = np.array([own.p_value for own in found])
    assert abs(np.mean([own.within for own in found])) < 0.04
    for level in (0.05, 0.2, 0.5):
        assert np.mean(p <= level) == pytest.approx(level, abs=3 * np.sqrt(level * (1 - level) / len(p)))


def test_p_values_of_several_seeds_alike_pictures_are_uniform_too():
    """A picture that is much the same with each seed is one piece of evidence, not three."""
    rng = np.random.default_rng(0)
    p = []
    for _ in range(80):
        picture = rng.normal(size=(1, TASKS, TASKS)) + 0.1 * rng.normal(size=(3, TASKS, TASKS))
        p.append(predict(picture, off_diagonal(rng.normal(size=(TASKS, TASKS)))).p_value)
    assert np.mean(np.array(p) <= 0.05) < 0.13


def test_a_picture_that_is_the_gain():
    rng = np.random.default_rng(0)
    gains = off_diagonal(rng.normal(size=(TASKS, TASKS)))
    found = predict(np.exp(3 * gains)[None], gains)  # whatever its scale
    assert (found.within, found.sign, found.rows) == (pytest.approx(1), 1, TASKS)
    assert found.p_value < 0.001
    assert found.choice.regret == 0
    assert found.choice.share == 1
    assert predict(-gains[None], gains).within == pytest.approx(-1)


def test_rows_are_compared_within_alone():
    """That some targets gain more from everyone, and weigh everyone more, is no evidence."""
    rng = np.random.default_rng(0)
    rows = 100 * rng.normal(size=(TASKS, 1))
    found = [
        predict(rows + rng.normal(size=(1, TASKS, TASKS)), off_diagonal(rows + rng.normal(size=(TASKS, TASKS)))).within
        for _ in range(20)
    ]
    assert abs(np.mean(found)) < 0.06


def test_the_choice_is_that_of_the_strongest_source_and_of_equal_ones_the_mean():
    gains = np.array([[np.nan, 3.0, 1.0, 2.0], [0.0, np.nan, 4.0, 2.0]])
    picture = np.array([[9.0, 0.1, 0.8, 0.1], [0.5, 9.0, 0.2, 0.5]])  # what is read from oneself is no choice
    choice = predict(picture[None], gains).choice
    assert (choice.chosen, choice.random, choice.best) == pytest.approx((1.0, 2.0, 3.5))
    assert (choice.regret, choice.share) == pytest.approx((2.5, -2 / 3))


def test_a_picture_that_shows_nothing():
    gains = off_diagonal(np.random.default_rng(0).normal(size=(TASKS, TASKS)))
    flat = predict(np.full((2, TASKS, TASKS), 1 / 7) + 1e-9 * np.arange(TASKS), gains)
    assert (flat.within, flat.p_value, flat.rows) == (None, None, 0)
    assert flat.sign == pytest.approx(0.5)
    assert flat.choice.share == pytest.approx(0)
    missing = predict(np.full((1, TASKS, TASKS), np.nan), gains)
    assert (missing.within, missing.p_value, missing.sign, missing.choice) == (None, None, None, None)


def test_edges_that_a_picture_has_not_are_left_out_of_the_correlation():
    rng = np.random.default_rng(0)
    gains = off_diagonal(rng.normal(size=(TASKS, TASKS)))
    picture = gains.copy()
    picture[:, :3] = np.nan
    assert predict(picture[None], gains).within == pytest.approx(1)


def test_so_few_tasks_have_no_small_p_value():
    rng = np.random.default_rng(0)
    gains = off_diagonal(rng.normal(size=(3, 3)))
    assert predict(gains[None], gains).within == pytest.approx(1)
    assert predict(gains[None], gains).p_value is None  # one of eight orders
    assert noise_ceiling([np.tile(own[None, :, None], (2, 1, 4)) for own in gains]).p_value is None


def test_other_seeds_choose_as_well_as_the_gains_are_reliable():
    rng = np.random.default_rng(0)
    _, gains = simulated(rng, noise=0)
    sure = chosen_by_other_seeds(np.stack([own.mean(-1) for own in gains], 1))
    assert sure.share > 0.9
    lucky = [
        chosen_by_other_seeds(np.where(np.eye(TASKS), np.nan, rng.normal(size=(3, TASKS, TASKS)))).share
        for _ in range(50)
    ]
    assert abs(np.mean(lucky)) < 0.1


def test_the_strongest_sources():
    picture = np.array([[np.nan, 0.2, 0.5, 0.5], [np.nan, np.nan, np.nan, 0.1], [0.3, 0.3, np.nan, 0.3]])
    assert top_sources(picture, 2) == [[2, 3], [3], [0, 1]]
