import numpy as np
import pytest

from graphmtl.comparison import bootstrap
from graphmtl.comparison.bootstrap import differences, drawn_scores
from graphmtl.comparison.examples import Pool
from graphmtl.training.example_sums import sums_of
from tests.comparison.small import KNOWN, classes


@pytest.fixture
def few_draws(monkeypatch):
    monkeypatch.setattr(bootstrap, "DRAWS", 1000)


def drawn(*seeds, key="known", same=True, **rows):
    """Of rows of {name: [which are right, for every seed]} the drawn scores."""
    cells = {name: [sums_of(KNOWN, classes(right)) for right in own] for name, own in rows.items()}
    sizes = [len(own) for own in next(iter(rows.values()))]
    return drawn_scores(cells, [Pool(key=key if same else f"{key} {s}", size=n) for s, n in enumerate(sizes)])


def one(ours, theirs):
    return differences({"known": (ours, theirs)})["known"]


def test_of_one_seed_the_interval_is_that_of_paired_examples():
    rng = np.random.default_rng(0)
    ours, theirs = rng.random(900) < 0.8, rng.random(900) < 0.7
    found = one(*drawn(ours=[ours], theirs=[theirs]).values())
    gain = ours.astype(float) - theirs
    assert found.mean == pytest.approx(gain.mean())
    half = 1.96 * gain.std() / 30
    assert (found.low, found.high) == pytest.approx((found.mean - half, found.mean + half), abs=0.1 * half)
    assert found.p < 0.001


def test_what_is_the_same_differs_by_nothing(few_draws):
    right = np.arange(50) % 2 > 0
    found = one(*drawn(ours=[right, right], theirs=[right, right]).values())
    assert (found.mean, found.low, found.high, found.p) == (0, 0, 0, 1)


def test_a_loss_is_a_gain_of_the_other_and_no_difference_is_impossible():
    ours, theirs = np.random.default_rng(0).normal(0.1, 0.05, (1001, 1)), np.zeros((1001, 1))
    gain, loss = one(ours, theirs), one(theirs, ours)
    assert (loss.mean, loss.low, loss.high, loss.p) == pytest.approx((-gain.mean, -gain.high, -gain.low, gain.p))
    assert 2 / 1001 < gain.p < 0.2
    assert one(np.ones((1001, 1)), theirs).p == pytest.approx(2 / 1001)


def test_seeds_that_differ_by_less_than_their_examples_do_not_widen_the_interval():
    scores = np.random.default_rng(0).normal(0.5, 0.1, (1001, 2))
    scores[0] = 0.5
    found = one(scores, np.zeros((1001, 2)))
    assert (found.low, found.high) == pytest.approx(np.percentile(scores[1:].mean(1), [2.5, 97.5]))


def test_with_very_many_examples_the_interval_is_students_over_seeds():
    """As good as no example can be drawn otherwise; one task, so that no other says what hangs on the seeds."""
    gains = np.array([0.1, 0.2, 0.25])
    found = one(np.tile(gains, (20_001, 1)), np.zeros((20_001, 3)))
    half = 4.303 * gains.std(ddof=1) / 3**0.5
    assert (found.low, found.high) == pytest.approx((gains.mean() - half, gains.mean() + half), abs=0.05 * half)


def test_seeds_that_differ_widen_the_interval_and_other_tasks_steady_it(few_draws):
    def scores(*values):
        return np.tile(np.array(values), (1001, 1))

    none = scores(0.0, 0.0)
    alone = one(scores(0.1, 0.2), none)
    steady = {"known": (scores(0.1, 0.2), none), **{f"t{i}": (scores(0.14, 0.16), none) for i in range(4)}}
    among = differences(steady)["known"]
    assert among.mean == alone.mean == pytest.approx(0.15)
    assert alone.low < among.low < 0.15 < among.high < alone.high


def test_a_task_that_is_answered_alike_is_no_less_sure_for_the_others(few_draws):
    rng = np.random.default_rng(0)
    noisy = rng.normal(0.1, 0.05, (1001, 2))
    noisy[0] = 0.0, 0.3
    found = differences({"alike": (np.ones((1001, 2)), np.ones((1001, 2))), "other": (noisy, np.zeros((1001, 2)))})
    assert (found["alike"].low, found["alike"].high) == (0, 0)
    assert found["other"].low < one(noisy[1:], np.zeros((1000, 2))).low


def test_draws_are_paired_between_rows_and_between_seeds_of_the_same_examples(few_draws):
    right = np.random.default_rng(0).random(80) < 0.6
    found = drawn(a=[right, right], b=[right, right])
    assert np.array_equal(found["a"], found["b"])
    assert np.array_equal(found["a"][:, 0], found["a"][:, 1])
    other = drawn(a=[right, right], same=False)["a"]
    assert not np.array_equal(other[:, 0], other[:, 1])
    assert np.array_equal(other, drawn(a=[right, right], same=False)["a"])  # and the same again


def coverage(seeds, *, by_seed, same, times=160, n=80, scales=(1, 1, 1, 1)):
    """How often the interval holds the true difference, 0, where tasks, seeds and examples are drawn anew: (tasks,).

    ``by_seed`` is the standard deviation of a seed's own difference, beside 0.03 that is due to the examples, both
    times the task's scale.
    """
    rng, inside = np.random.default_rng(1), []
    for _ in range(times):
        pairs = {}
        weights = rng.multinomial(n, np.full(n, 1 / n), size=400) / n  # (draws, examples)
        for task, scale in enumerate(scales):
            gains = rng.normal(0, 0.3, size=(1 if same else seeds, n)) + rng.normal(0, 0.1, size=(seeds, n))
            gains = scale * (gains + rng.normal(0, by_seed, size=(seeds, 1)))
            draws = [weights[rng.permutation(len(weights))] if not same else weights for _ in range(seeds)]
            scores = np.stack([own @ gains[s] for s, own in enumerate(draws)], 1)  # (draws, seeds)
            pairs[task] = (np.concatenate([gains.mean(1)[None], scores]), np.zeros((401, seeds)))
        inside.append([own.low <= 0 <= own.high for own in differences(pairs).values()])
    return np.mean(inside, axis=0)


@pytest.mark.parametrize("same", [True, False], ids=["same examples", "others"])
@pytest.mark.parametrize(("seeds", "by_seed"), [(1, 0.0), (2, 0.03), (3, 0.0), (3, 0.1), (5, 0.03)])
def test_intervals_hold_the_true_difference_at_about_their_rate(seeds, by_seed, same):
    assert 0.915 <= coverage(seeds, by_seed=by_seed, same=same).mean() <= 0.99


def test_they_do_so_of_tasks_whose_scores_vary_more_and_less():
    found = coverage(2, by_seed=0.03, same=True, scales=(0.05, 1, 1, 10))
    assert ((found >= 0.9) & (found < 1)).all()


def test_another_unit():
    assert one(np.ones((11, 1)), np.zeros((11, 1))).times(100).high == 100


def test_a_draw_that_has_none_of_a_tasks_examples_has_no_score(few_draws):
    sums = [sums_of(KNOWN, classes(np.ones(2, dtype=bool)))]
    scores = drawn_scores({"a": sums}, [Pool(key="known", size=40, places=np.array([3, 7]))])["a"][:, 0]
    assert scores[0] == 1
    assert set(scores[~np.isnan(scores)]) == {1}  # none is 0
    assert np.isnan(scores).mean() == pytest.approx((1 - 2 / 40) ** 40, abs=0.04)
