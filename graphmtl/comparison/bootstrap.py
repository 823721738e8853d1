r"""Paired differences of two models' scores, with intervals that hold for other test examples and other seeds.

:math:`d_s` is the difference with seed s on the test examples, :math:`d_{s,b}` on the b-th draw of as many examples
with replacement; both models are scored on the same draws, and where the seeds have the same test examples these are
the same for all seeds too. The mean over seeds varies by

.. math:: \bar d_b + t_b \sqrt{\hat\sigma^2 / S}, \quad
    \hat\sigma^2 = \max(0, \mathrm{var}_s d_s - w), \quad
    w = \mathrm{mean}_b \mathrm{var}_s d_{s,b} - \mathrm{var}_s d_s

with :math:`t_b` drawn from Student's distribution of S - 1 degrees of freedom. The first part is what hangs on the
examples, the second what hangs on the seeds: of what differs between seeds, w is due to the examples, and stands in the
first part already. With very many examples the interval becomes Student's over seeds; with one seed, or seeds that do
not matter, it is the percentile interval of the bootstrap. To draw the S seeds with replacement instead would make
intervals too narrow, since S is 3 or 5.

What 2 or 3 seeds say of :math:`\sigma` is little. Of several tasks it is drawn towards their mean, as moderated t
statistics do it (Smyth 2004): the others count as 4 seeds more, or as many as they are, in :math:`\hat\sigma^2` and in
the degrees of freedom. What is drawn towards the mean is :math:`\hat\sigma^2` as a multiple of the variance of
:math:`\bar d_b`: the score of a task of few spans varies more than that of one of many tokens, by seeds as by examples.

Of one seed, or of several tasks, intervals hold the true difference in about 95 of 100 cases. Of one task or one mean
they do where examples matter as much as seeds; where seeds matter more, with 2 seeds in as few as 88, with 3 in 91 and
with 5 in 93: of seeds that happen to differ little, :math:`\hat\sigma^2` is 0.

Tasks that label the same texts are drawn together (:mod:`~graphmtl.comparison.examples`), so that a mean over them is
no surer than it should be.

``scipy.stats.bootstrap(paired=True)`` draws the examples of two models, and that alone: it knows of no seeds, and so
gives the interval of one model, which is too narrow for a method. It also draws anew for every pair and scores every
draw by itself, where here all rows share their draws and most scores are one product of matrices
(:mod:`~graphmtl.training.example_sums`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from graphmtl.comparison.examples import Pool
from graphmtl.training.example_sums import ExampleSums, draws

__all__ = ["DRAWS", "Difference", "differences", "drawn_scores", "is_defined", "mean_scores"]

DRAWS = 10_000
_LEVEL = 0.05
_DEFINED = 0.5  # share of the draws of which there must be scores
_OTHERS_COUNT = 4  # degrees of freedom that other tasks' variance between seeds counts as, at most


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A difference of scores.

    Attributes:
        mean: over seeds.
        low: the lower end of its 95 % interval.
        high: the upper end.
        p: the probability of a difference as large, either way, where there is none.
    """

    mean: float
    low: float
    high: float
    p: float

    def times(self, factor: float) -> "Difference":
        """In another unit."""
        return Difference(mean=factor * self.mean, low=factor * self.low, high=factor * self.high, p=self.p)


def drawn_scores(cells: Mapping[str, Sequence[ExampleSums]], pools: Sequence[Pool]) -> dict[str, np.ndarray]:
    """A task's scores with each seed, on its test examples and on 10,000 draws of as many.

    Args:
        cells: of every row of the comparison what each seed's model made of the examples.
        pools: of each seed what is drawn; of the same pool the same draws.

    Returns:
        Of every row (1 + draws, seeds), nan where a draw has none of the task's examples.
    """
    seeds = max(map(len, cells.values()))
    found = {name: np.empty((1 + DRAWS, len(own)), np.float32) for name, own in cells.items()}
    for seed in range(seeds):
        those = {name: own[seed] for name, own in cells.items() if seed < len(own)}
        pool = pools[seed]
        for name, own in those.items():
            found[name][0, seed] = own.whole()
        for start, times in draws(pool.key, pool.size, DRAWS):
            times = times if pool.places is None else times[:, pool.places]  # (some draws, examples)
            for name, own in those.items():
                scores = np.where(times.any(1), own.drawn(times), np.nan)  # (some draws,)
                found[name][1 + start : 1 + start + len(times), seed] = scores
    return found


def differences(
    pairs: Mapping[str, tuple[np.ndarray, np.ndarray]],
) -> dict[str, Difference]:
    """The difference of two rows for each of several tasks, its interval and how far it is beyond chance.

    Args:
        pairs: of each task the scores of the one row and of the other, each (1 + draws, seeds), of `drawn_scores` or
            a mean of such over tasks, of the same examples and seeds. Draws in which a score is undefined (nan), as the
            area under the ROC curve is without a right example, are left out; see :func:`is_defined`.
    """
    found = {name: _defined((ours - theirs).astype(np.float64)) for name, (ours, theirs) in pairs.items()}
    by_seeds = np.array([_variance_by_seeds(own) for own in found.values()])  # (tasks,)
    by_examples = np.array([own[1:].mean(1).var() for own in found.values()])
    variances = _moderated(by_seeds, by_examples, max((own.shape[1] for own in found.values()), default=1))
    return {
        name: _difference(own, variance, tasks=len(found))
        for (name, own), variance in zip(found.items(), variances.tolist(), strict=True)
    }


def is_defined(scores: np.ndarray) -> bool:
    """Whether there is a score, and one of most draws too, (1 + draws, seeds)."""
    known = ~np.isnan(scores).any(1)  # (1 + draws,)
    return bool(known[0]) and known.mean() > _DEFINED


def mean_scores(tasks: Sequence[Sequence[np.ndarray]]) -> list[np.ndarray]:
    """The mean over tasks of each of some rows.

    Where a task has no score in some draws, others take their places in the mean, the same for all rows: the draws of
    most tasks are independent of another's, and in next to none of them all of many such tasks would have a score.

    Args:
        tasks: of each task the scores of each row, (1 + draws, seeds).

    Returns:
        Of each row (1 + draws, seeds), nan in all draws where of a task most have no score of some row.
    """
    tasks = [_with_scores(rows) for rows in tasks] if len(tasks) > 1 else tasks
    return [np.mean(own, axis=0) for own in zip(*tasks, strict=True)]


def _with_scores(rows: Sequence[np.ndarray]) -> list[np.ndarray]:
    known = np.all([~np.isnan(own[1:]).any(1) for own in rows], axis=0)  # (draws,)
    kept = np.flatnonzero(known) if known.mean() > _DEFINED else np.arange(len(known))
    places = np.append(0, 1 + np.resize(kept, len(known)))  # (1 + draws,)
    return [own[places] for own in rows]


def _defined(found: np.ndarray) -> np.ndarray:
    """The draws in which there is a difference, (1 + draws, seeds)."""
    return found[~np.isnan(found).any(1)]


def _variance_by_seeds(found: np.ndarray) -> float:
    """How much of the variance between seeds is not due to the examples, an estimate that may be below 0.

    Args:
        found: the differences, (1 + draws, seeds).
    """
    if found.shape[1] == 1:
        return 0.0
    between = found[0].var(ddof=1)
    return float(2 * between - found[1:].var(axis=1, ddof=1).mean())


def _degrees(seeds: int, tasks: int) -> tuple[int, int]:
    """The degrees of freedom of a task's own variance between seeds, and those that the other tasks count as."""
    return seeds - 1, min(_OTHERS_COUNT, (seeds - 1) * (tasks - 1))


def _moderated(by_seeds: np.ndarray, by_examples: np.ndarray, seeds: int) -> np.ndarray:
    """The variance between seeds of each task, drawn towards that of all, (tasks,), 0 where it is estimated below.

    Args:
        by_seeds: each task's own, (tasks,), which may be below 0.
        by_examples: the variance that is due to the examples, (tasks,), of which the other is taken as a multiple. A
            task that has none, since both rows answer it alike, has none by seeds; where no task has, the others are
            taken as they stand.
        seeds: how many there are.
    """
    own, others = _degrees(seeds, len(by_seeds))
    unit = by_examples if by_examples.any() else np.ones_like(by_examples)
    multiples = np.divide(by_seeds, unit, out=np.zeros_like(unit), where=unit > 0)
    mean = multiples[unit > 0].mean() if len(unit) else 0.0
    return np.maximum(0, (own * multiples + others * mean) / max(1, own + others)) * unit


def _difference(found: np.ndarray, variance: float, *, tasks: int) -> Difference:
    """A task's, one of so many, whose variance between seeds is ``variance``."""
    mean, drawn, seeds = float(found[0].mean()), found[1:].mean(1), found.shape[1]  # drawn (draws,)
    if seeds > 1:
        own, others = _degrees(seeds, tasks)
        t = np.random.default_rng(0).standard_t(own + others, size=len(drawn))  # (draws,)
        drawn = drawn + np.sqrt(variance / seeds) * t
    low, high = np.percentile(drawn, [100 * _LEVEL / 2, 100 - 100 * _LEVEL / 2])
    tail = min((drawn <= 0).sum(), (drawn >= 0).sum())
    return Difference(mean=mean, low=float(low), high=float(high), p=min(1.0, 2 * (1 + int(tail)) / (1 + len(drawn))))
