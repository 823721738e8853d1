"""Correlations and areas of many draws of the same examples at once, from how often each draw has each example."""

from collections.abc import Callable
from functools import partial

import numpy as np

from graphmtl.metrics.answered import Answered
from graphmtl.metrics.numbers import pair
from graphmtl.metrics.probabilities import measured, probabilities_and_right

__all__ = ["OfDraws", "auc_of_draws", "correlation", "moments", "spearman_of_draws"]

_AT_ONCE = 1_000_000  # examples of all draws that are ranked in one go: some 50 MB
_CONSTANT = 1e-12  # share of the mean square below which a variance is rounding

OfDraws = Callable[[np.ndarray], np.ndarray]
"""How often each draw has each example, (draws, examples), to the scores of the draws, (draws,)."""


def moments(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """What the correlation of any examples follows from as a sum, (examples, 6), of their x and y, (examples,)."""
    x, y = (values - values.mean() for values in (x, y))  # so that no digits are lost in the difference of two sums
    return np.stack([np.ones_like(x), x, y, x * x, y * y, x * y], 1)


def correlation(sums: np.ndarray) -> np.ndarray:
    """Pearson's, of sums of moments (..., 6): (...); 0 where all x or all y are the same, nan where there are none."""
    n, x, y, xx, yy, xy = np.moveaxis(sums, -1, 0)
    spread_x, spread_y = n * xx - x * x, n * yy - y * y
    varies = (spread_x > _CONSTANT * n * xx) & (spread_y > _CONSTANT * n * yy)
    spread = np.where(varies, spread_x * spread_y, 1)
    constant = np.where(n > 0, 0 * (xx + yy), np.nan)  # nan of what is no number too
    return np.where(varies, (n * xy - x * y) / np.sqrt(spread), constant)


def spearman_of_draws(answered: Answered) -> OfDraws:
    """:func:`~graphmtl.metrics.numbers.spearman` of draws."""
    values = pair(answered)
    if not all(np.isfinite(own).all() for own in values):
        return _undefined
    right, given = (_Ranked(own) for own in values)

    def correlations(times: np.ndarray) -> np.ndarray:
        middle = (times.sum(1, keepdims=True) + 1) / 2  # (draws, 1)
        x, y = right.ranks(times) - middle, given.ranks(times) - middle  # (draws, examples)
        sums = [(times * own).sum(1) for own in (np.ones_like(x), x, y, x * x, y * y, x * y)]
        return correlation(np.stack(sums, -1))

    return partial(_in_blocks, correlations)


def auc_of_draws(answered: Answered) -> OfDraws:
    """:func:`~graphmtl.metrics.probabilities.auc` of draws."""
    probabilities, right = probabilities_and_right(answered)  # (examples, classes)
    if np.isnan(probabilities).any():
        return _undefined
    labels = [(_Ranked(probabilities[:, i]), right[:, i]) for i in measured(answered)]

    def means(times: np.ndarray) -> np.ndarray:
        areas = np.stack([_areas(ranked, own, times) for ranked, own in labels])  # (labels, draws)
        known = ~np.isnan(areas)
        count = known.sum(0)  # (draws,)
        return np.where(count > 0, np.where(known, areas, 0).sum(0) / np.maximum(count, 1), np.nan)

    return partial(_in_blocks, means)


class _Ranked:
    """Values (examples,), of which equal ones are one."""

    def __init__(self, values: np.ndarray):
        _, self._place, counts = np.unique(values, return_inverse=True, return_counts=True)  # (examples,), (values,)
        self._order = self._place.argsort(kind="stable")
        self._starts = np.cumsum(counts) - counts

    def counts(self, times: np.ndarray) -> np.ndarray:
        """How often each value is drawn, the smallest first, (draws, examples) to (draws, values)."""
        return np.add.reduceat(times[:, self._order], self._starts, axis=1)

    def ranks(self, times: np.ndarray) -> np.ndarray:
        """Of each example among those drawn, equal ones the mean of theirs, (draws, examples)."""
        counts = self.counts(times)
        return (counts.cumsum(1) - (counts - 1) / 2)[:, self._place]


def _areas(ranked: _Ranked, right: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Under the ROC curve of a label that some examples have, (examples,) bool: (draws,); nan where none or all do."""
    positive, negative = ranked.counts(times * right), ranked.counts(times * ~right)  # (draws, values)
    below = negative.cumsum(1) - negative / 2
    pairs = positive.sum(1) * negative.sum(1)  # (draws,)
    return np.where(pairs > 0, (positive * below).sum(1) / np.maximum(pairs, 1), np.nan)


def _in_blocks(score: OfDraws, times: np.ndarray) -> np.ndarray:
    """The scores of some draws at a time, of a long matrix (draws, examples)."""
    draws, examples = times.shape
    size = max(1, _AT_ONCE // max(examples, 1))
    return np.concatenate([score(times[start : start + size]) for start in range(0, draws, size)])


def _undefined(times: np.ndarray) -> np.ndarray:
    return np.full(len(times), np.nan)
