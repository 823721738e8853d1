"""What each cell of a map of edges shows: one scale for all pictures, whether they are drawn or stand on a page."""

from dataclasses import dataclass

import numpy as np

from graphmtl.data.planted_truth import PlantedTruth
from graphmtl.graph.comparison import ALIKE
from graphmtl.graph.evidence import Evidence, is_symmetric
from graphmtl.graph.task_graph import TaskGraph

__all__ = ["Cells", "cells", "decimals_for", "framed"]


@dataclass(frozen=True, kw_only=True)
class Cells:
    """A (targets, sources) map.

    Attributes:
        targets: names of the rows.
        sources: names of the columns.
        places: (targets, sources) float64, where a cell lies between the palette's ends, -1 and 1; 0 is paper-white.
            nan where there is no edge, and for what a task reads from itself.
        texts: (targets, sources) the number that a cell shows; empty where it has none.
        dots: (targets, sources) bool: not above the control.
        frames: (targets, sources) bool: true edges, where these are known.
        ends: what the ends and the middle of the palette mean: at -1, 0, 1. The first is None where no cell is below 0,
            the last empty where none is above the control.
        unit: what the numbers are, in words.
    """

    targets: tuple[str, ...]
    sources: tuple[str, ...]
    places: np.ndarray
    texts: list[list[str]]
    dots: np.ndarray
    frames: np.ndarray
    ends: tuple[str | None, str, str]
    unit: str


def cells(
    graph: TaskGraph, evidence: Evidence, truth: PlantedTruth | None = None, *, end: float | None = None
) -> Cells:
    """The map of a graph.

    Of ratios the palette goes from half of the equal share to double. Of affinities it goes from -1 to 1, or, where
    there is a control, from what it reaches to 1, in the row where that is least. Of other signed measures it goes as
    far as ``end``, by default as the strongest.
    """
    known = ~np.isnan(evidence.excess)  # (targets, sources)
    dots = known & ~evidence.above & (evidence.limits is not None)
    places, ends = _places(evidence, known, end)
    return Cells(
        targets=graph.tasks,
        sources=evidence.sources,
        places=np.where(dots, 0.0, places),
        texts=_texts(graph, evidence, known),
        dots=dots,
        frames=framed(graph, evidence, truth),
        ends=ends,
        unit="times the equal share" if evidence.ratio else "affinity" if is_symmetric(evidence.excess) else "",
    )


def _places(evidence: Evidence, known: np.ndarray, end: float | None) -> tuple[np.ndarray, tuple[str | None, str, str]]:
    excess, limits = evidence.excess, evidence.limits
    if evidence.ratio:
        return excess.clip(-1, 1), (None if limits is not None else "half", "equal", "double")
    strongest = 1.0
    if known.any() and not is_symmetric(excess):
        strongest = end or max(float(np.abs(excess[known]).max()), ALIKE)
    if limits is None:
        high = _rounded(strongest, strongest)
        return (excess / strongest).clip(-1, 1), (f"-{high}", "0", high)
    own = limits[known.any(1)] if known.any() else limits  # of the rows that have edges
    limit = float(own.min())
    if evidence.above.any() and strongest <= limit:
        strongest = float(excess[evidence.above].max())
    places = ((excess - limit) / max(strongest - limit, ALIKE)).clip(0, 1)
    high = _rounded(strongest, strongest) if evidence.above.any() else ""
    low, top = (_rounded(float(each), strongest) for each in (limit, own.max()))
    return places, (None, f"{'control' if low == top else 'lowest control'} {low}", high)


def _rounded(number: float, strongest: float) -> str:
    return f"{number:.{decimals_for([strongest, 0])}f}"


def _texts(graph: TaskGraph, evidence: Evidence, known: np.ndarray) -> list[list[str]]:
    """Ratios with two decimals, other weights with as many as tell them apart; a task's own share is a share."""
    weights, shown = graph.matrix(), evidence.excess
    if evidence.ratio:
        shown, decimals = np.exp2(shown), 2
    else:
        decimals = decimals_for(shown[known].tolist())
    texts = [
        [f"{shown[k, j]:z.{decimals}f}" if known[k, j] else "" for j in range(known.shape[1])]
        for k in range(len(known))
    ]
    for k in range(len(known) if known.shape[1] > 1 else 0):
        texts[k][k] = "" if np.isnan(weights[k, k]) else f"{weights[k, k]:.2f}"
    return texts


def framed(graph: TaskGraph, evidence: Evidence, truth: PlantedTruth | None) -> np.ndarray:
    """(targets, sources) bool: the true edges, of a symmetric measure both ways."""
    frames = np.zeros(evidence.excess.shape, dtype=bool)
    if truth is None or graph.virtual:
        return frames
    place = {task: i for i, task in enumerate(graph.tasks)}
    for source, target in truth.edges:
        if source in place and target in place:
            frames[place[target], place[source]] = True
    return frames | frames.T if is_symmetric(evidence.excess) else frames


def decimals_for(weights: list[float]) -> int:
    """As many decimals as tell the weights apart: 2 to 4."""
    spread = max(weights, default=0) - min(weights, default=0)
    if spread >= 0.1 or spread < ALIKE:
        return 2
    return 3 if spread >= 0.01 else 4
