r"""Do edge weights follow the text? Held against generated texts each of which one parent decides.

For a child whose texts depend on one of its parents each (``--planted-switching``), a text's score for parent A against
parent B is A's share of what the text reads from the two, :math:`g_A / (g_A + g_B)`, which grows with
:math:`\log g_A - \log g_B`. The area under the ROC curve of that score is how often a text that A decides reads more
from A than a text that B decides: 1 where the weights follow the text, 0.5 where they are those of the task, whatever
they are. Of more than two parents it is the mean over all pairs, each over the texts that one of the two decides (Hand
and Till, A simple generalisation of the area under the ROC curve for multiple class classification problems, 2001).
"""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
from torch import Tensor

from graphmtl.graph.comparison import auroc

__all__ = ["TextWeights", "text_auroc"]


class TextWeights:
    """What each text read from the parents of its task, gathered batch by batch.

    Args:
        deciders: of each task whose texts one parent each decides, these parents.
    """

    def __init__(self, deciders: Mapping[str, Sequence[str]]) -> None:
        self.deciders = deciders
        self._weights: dict[str, list[np.ndarray]] = {}
        self._decided_by: dict[str, list[np.ndarray]] = {}

    def add(self, target: str, sources: Sequence[str], weights: Tensor, decided_by: Tensor) -> None:
        """Some texts of ``target``; nothing is kept of a task that has no ``deciders``.

        Args:
            target: the task.
            sources: the nodes that it reads from; a parent that is none of them has weight 0.
            weights: (texts, sources).
            decided_by: (texts,) int64, the place of the parent that decides among the task's deciders.
        """
        if target not in self.deciders:
            return
        read = dict(zip(sources, weights.detach().cpu().double().numpy().T, strict=True))  # of each (texts,)
        nothing = np.zeros(len(weights))
        own = np.stack([read.get(parent, nothing) for parent in self.deciders[target]], axis=1)  # (texts, parents)
        self._weights.setdefault(target, []).append(own)
        self._decided_by.setdefault(target, []).append(decided_by.cpu().numpy())

    def auroc(self) -> dict[str, float]:
        """`text_auroc` of each task with texts that different parents decide."""
        found = {
            task: text_auroc(np.concatenate(own), np.concatenate(self._decided_by[task]))
            for task, own in self._weights.items()
        }
        return {task: area for task, area in found.items() if not np.isnan(area)}


def text_auroc(weights: np.ndarray, decided_by: np.ndarray) -> float:
    """How far weights follow what decides each text: 1 always, 0.5 not at all, 0 the wrong way round.

    Args:
        weights: (texts, parents), none below 0.
        decided_by: (texts,) int, the place of the parent that decides.

    Returns:
        The mean over pairs of parents that both decide some texts; nan where there is none.

    >>> text_auroc(np.array([[0.9, 0.1], [0.6, 0.2], [0.5, 0.5]]), np.array([0, 0, 1]))
    1.0
    """
    pairs = [_pair(weights, decided_by, a, b) for a, b in combinations(range(weights.shape[1]), 2)]
    known = [area for area in pairs if not np.isnan(area)]
    return float(np.mean(known)) if known else float("nan")


def _pair(weights: np.ndarray, decided_by: np.ndarray, a: int, b: int) -> float:
    own = np.isin(decided_by, (a, b))  # (texts,)
    ours, both = weights[own, a], weights[own, a] + weights[own, b]
    share = np.divide(ours, both, out=np.full(len(both), 0.5), where=both > 0)  # of nothing a half
    (area,) = auroc(share[None], (decided_by[own] == a)[None].astype(float))
    return float(area)
