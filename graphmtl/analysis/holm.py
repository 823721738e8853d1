"""Several tests at once: probabilities corrected for their number."""

from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

import numpy as np

from graphmtl.graph.comparison import Comparison

__all__ = ["holm", "p_of"]

_Key = TypeVar("_Key", bound=Hashable)


def holm(p: Sequence[float]) -> list[float]:
    """Probabilities corrected for their number (Holm 1979): below 0.05 with a probability of 0.05 for any of them.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p, kind="stable")
    found, largest = np.empty(len(p)), 0.0
    for rank, place in enumerate(order):
        largest = max(largest, (len(p) - rank) * p[place])
        found[place] = min(1.0, largest)
    return [round(float(each), 12) for each in found]


def p_of(comparisons: Mapping[_Key, Comparison]) -> dict[_Key, float | None]:
    """The probability that two pictures agree as they do by chance, of each of several comparisons, corrected.

    None is no test, stays None, and counts for nothing.
    """
    known = {key: own.p_value for key, own in comparisons.items() if own.p_value is not None}
    return {**dict.fromkeys(comparisons), **dict(zip(known, holm([*known.values()]), strict=True))}
