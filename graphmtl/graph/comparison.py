"""Whether two pictures of the same edges agree: rank correlation within rows, and what chance would give.

Weights into different targets are not comparable (those into a target often sum to 1), so edges are ranked within each
target's row, and the mean over rows is what counts. Its significance is that of permuting the weights within the rows.
"""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

__all__ = ["ALIKE", "Comparison", "auroc", "compare", "row_spearman"]

ALIKE = 1e-6
"""Weights closer than that differ by rounding, as those of a model whose tasks still have equal parameters."""

_DRAWS = 2000
_SMALL = 0.05  # a probability


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """How alike two graphs rank the same edges.

    Attributes:
        within: Spearman's correlation within a row, the mean over rows; None where no row has two different weights.
            A row whose weights all lie within 1e-6 has none.
        p_value: how often weights permuted within the rows give such a mean or a larger one: (1 + times) / (1 + draws).
            None also where the rows are so few and short that not even the best of all orders would be below 0.05.
        overall: Spearman's correlation over all edges.
        overlap: share of a row's k largest weights that are among the k largest of the other graph, the mean over rows
            of more than k edges and different weights; None where there is none.
        rows: how many rows ``within`` is the mean of.
    """

    within: float | None
    p_value: float | None
    overall: float | None
    overlap: float | None
    rows: int


def compare(ours: np.ndarray, theirs: np.ndarray, *, k: int = 3, seed: int = 0) -> Comparison:
    """Compares two matrices of weights (rows, edges) where both have one; nan is none.

    Args:
        ours: weights.
        theirs: weights of the same shape.
        k: of how many largest weights the overlap is taken.
        seed: of the permutations.
    """
    pairs = [_common(*rows) for rows in zip(ours, theirs, strict=True)]
    ranks = [(_ranks(a), _ranks(b)) for a, b in pairs]
    usable = [(a, b) for a, b in ranks if a.any() and b.any()]
    within, p_value = None, None
    if usable:
        within = float(np.mean([a @ b for a, b in usable]))
    if usable and math.prod(_orders(a) for a, _ in usable) > 1 / _SMALL:
        rng = np.random.default_rng(seed)
        draws = np.mean([rng.permuted(np.tile(a, (_DRAWS, 1)), axis=1) @ b for a, b in usable], axis=0)  # (draws,)
        p_value = float((1 + (draws >= within - 1e-12).sum()) / (1 + _DRAWS))
    overlaps = [
        _overlap(*own, k) for own, (a, b) in zip(pairs, ranks, strict=True) if len(a) > k and a.any() and b.any()
    ]
    flat = [np.concatenate([pair[side] for pair in pairs]) for side in (0, 1)] if pairs else [np.empty(0)] * 2
    (overall,) = row_spearman(flat[0][None], flat[1][None])
    return Comparison(
        within=within,
        p_value=p_value,
        overall=None if np.isnan(overall) else float(overall),
        overlap=float(np.mean(overlaps)) if overlaps else None,
        rows=len(usable),
    )


def row_spearman(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Spearman's correlation of each row of two matrices (rows, edges): (rows,), nan where one is constant."""
    pairs = (_common(*rows) for rows in zip(ours, theirs, strict=True))
    ranks = ((_ranks(a), _ranks(b)) for a, b in pairs)
    return np.array([a @ b if a.any() and b.any() else np.nan for a, b in ranks])


def auroc(scores: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """The area under the ROC curve of each row: how often a true edge scores more than a false one, a tie half.

    A row that does not vary by 1e-6 is all ties.

    Args:
        scores: (rows, edges), nan where there is no edge.
        truth: (rows, edges): 1 a true edge, 0 a false one, nan neither.

    Returns:
        (rows,), nan where a row has not both kinds.
    """
    from sklearn.metrics import roc_auc_score  # takes a second, which verbs without it need not spend

    areas = []
    for row, labels in zip(scores, truth, strict=True):
        known = ~(np.isnan(row) | np.isnan(labels))  # (edges,)
        both = len(np.unique(labels[known])) == 2
        areas.append(roc_auc_score(labels[known], _settled(row[known])) if both else np.nan)
    return np.array(areas)


def _common(ours: np.ndarray, theirs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What both have of a row."""
    known = ~(np.isnan(ours) | np.isnan(theirs))  # (edges,)
    return ours[known], theirs[known]


def _settled(weights: np.ndarray) -> np.ndarray:
    """Weights (edges,), all 0 where they differ by rounding alone."""
    return np.zeros_like(weights) if len(weights) and np.ptp(weights) < ALIKE else weights


def _ranks(weights: np.ndarray) -> np.ndarray:
    """Centred ranks of length 1, so that a product is a correlation; zeros where all weights are the same."""
    ranks = pd.Series(_settled(weights)).rank().to_numpy()  # equal weights share the mean of their ranks
    ranks = ranks - ranks.mean() if len(ranks) else ranks
    return ranks / (np.linalg.norm(ranks) or 1)


def _orders(ranks: np.ndarray) -> int:
    """In how many different orders ranks can stand."""
    equal = np.unique(ranks, return_counts=True)[1].tolist()
    return math.factorial(len(ranks)) // math.prod(map(math.factorial, equal))


def _overlap(ours: np.ndarray, theirs: np.ndarray, k: int) -> float:
    return len({*np.argsort(-ours, kind="stable")[:k]} & {*np.argsort(-theirs, kind="stable")[:k]}) / k
