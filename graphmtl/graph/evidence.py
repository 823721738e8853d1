r"""What a task graph says beyond chance: each edge held against the same graph of a model that cannot know.

The control is the same run on shuffled labels. What its edges show is what training alone makes of such a model, and an
edge counts that lies above what they reach.

Of shares (the weights into a target sum to 1: attention, gates) the excess of :math:`j \to k` is
:math:`\log_2 (w_{k,j} / \bar w_k)` with the equal share :math:`\bar w_k`, the mean over the sources that k may read,
itself left out: 1 is twice the equal share, -1 half of it. Of a star's spokes :math:`\bar w` is the mean spoke. Of a
signed measure (affinity, transferability) the excess is the weight. Of what is lost when an edge is cut (ablation) it
is the weight less the median of its row, where that has four edges or more: a task that loses as much by each cut says
nothing of a source.

How far chance reaches, the limit, follows from the control's edges: :mod:`graphmtl.graph.limits`. But a model on
shuffled labels is sure of nothing, so that cuts change little in it, and its answers tell nothing. Of what is lost a
row's limit is not below what its own lowest edge lies under 0, as a source that is not relied on lies as often under
the median as over it; of what answers tell (transferability) not below what the texts make of it, over which the row's
own edges vary.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from graphmtl.data.planted_truth import PlantedTruth
from graphmtl.graph.comparison import ALIKE
from graphmtl.graph.edge import VIRTUAL
from graphmtl.graph.limits import limit_of_measure, limits_of_shares, limits_of_texts
from graphmtl.graph.task_graph import TaskGraph

__all__ = ["SHUFFLED", "Evidence", "evidence", "finding", "is_symmetric"]

SHUFFLED = "the control trained on shuffled labels"  #: what a graph is held against as a rule

_SCALES = {  # of pictures by name, where their weights do not tell it
    "contribution": "shares",
    "linear": "norms",
    **dict.fromkeys(("ablation", "ablation_accuracy", "ablation_zeroed"), "losses"),
    "transferability": "told",
    **dict.fromkeys(("affinity", "alone", "logits"), "measure"),
}
_FEWEST = 4  # edges of a row whose median says what is common to them
_LEAST = 2.0**-10  # of the equal share: what counts for a weight of 0
_NAMED = 3  # edges in a title


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What each edge says, and whether it is above the control.

    Attributes:
        excess: (targets, sources) float64; nan where no edge is, and for what a task reads from itself.
        limits: (targets,) float64, how far chance reaches in each row; None: not compared with a control.
        above: (targets, sources) bool, whether the excess is above the limit; all False without a control.
        ratio: whether the excess is the logarithm to the base 2 of a ratio to the equal share.
        sources: the names of the columns: the tasks, or the virtual node alone.
    """

    excess: np.ndarray
    limits: np.ndarray | None
    above: np.ndarray
    ratio: bool
    sources: tuple[str, ...]


def evidence(graph: TaskGraph, control: TaskGraph | None = None, *, of: str = "edges") -> Evidence:
    """Holds a graph against that of a control.

    Args:
        graph: what a trained model shows.
        control: what the same model shows that was trained on shuffled labels; None: there is none.
        of: what it shows, a picture of :mod:`graphmtl.analysis.faithfulness` or one that a run has beside its edges.
            Edges are shares if they sum to 1 for every target, as are the spokes of a star; else a measure.

    Raises:
        ValueError: the control has other nodes, or no edges where the graph has some.
    """
    scale = _SCALES.get(of) or ("shares" if _are_shares(graph) else "measure")
    excess = _excess(graph, scale)
    limits, above = None, np.zeros(excess.shape, dtype=bool)
    if control is not None:
        if {*control.nodes} != {*graph.nodes}:
            raise ValueError(f"control: expected a graph with the nodes {graph.nodes}, found {control.nodes}")
        control, known = replace(control, tasks=graph.tasks), ~np.isnan(excess)
        limits = _limits(_excess(control, scale), scale) if known.any() else np.zeros(len(excess))
        if scale == "losses":
            limits = np.maximum(limits, -np.where(known, excess, 0).min(1))  # (targets,)
        if scale == "told":
            limits = np.maximum(limits, limits_of_texts(_between(graph, "std"), _between(graph, "count")))
        above = np.where(known, excess, -np.inf) > limits[:, None] + ALIKE
    sources = (VIRTUAL,) if graph.virtual else graph.tasks
    return Evidence(excess=excess, limits=limits, above=above, ratio=scale == "shares", sources=sources)


def _weights(graph: TaskGraph) -> np.ndarray:
    """(targets, sources) without the diagonal, of a star (targets, 1)."""
    if graph.virtual:
        spokes = {edge.target: edge.weight for edge in graph.edges}
        return np.array([[spokes.get(task, np.nan)] for task in graph.tasks]).reshape(len(graph.tasks), 1)
    return _between(graph)


def _between(graph: TaskGraph, of: Literal["weight", "std", "count"] = "weight") -> np.ndarray:
    """Weights, or another number of the edges, without the diagonal: (targets, sources)."""
    numbers = graph.matrix(of)
    np.fill_diagonal(numbers, np.nan)
    return numbers


def _are_shares(graph: TaskGraph) -> bool:
    if graph.virtual:
        return True
    rows = [[edge.weight for edge in graph.edges if edge.target == task] for task in graph.tasks]
    return all(min(row) >= 0 and abs(sum(row) - 1) < 1e-3 for row in rows if row)


def _excess(graph: TaskGraph, scale: str) -> np.ndarray:
    """(targets, sources), of spokes (targets, 1)."""
    weights = _weights(graph)
    known = ~np.isnan(weights)
    if scale == "losses":
        counted = known.sum(1) >= _FEWEST  # (targets,)
        weights[counted] -= np.nanmedian(weights[counted], axis=1, keepdims=True)
    if scale != "shares":
        return weights
    axis = 0 if graph.virtual else 1
    sums = np.where(known, weights, 0).sum(axis, keepdims=True)
    equal = sums / np.maximum(known.sum(axis, keepdims=True), 1)  # (targets, 1), of spokes (1, 1)
    shares = np.divide(weights, equal, out=np.ones_like(weights), where=equal > 0)
    return np.where(known, np.log2(np.maximum(shares, _LEAST)), np.nan)


def _limits(excess: np.ndarray, scale: str) -> np.ndarray:
    """(targets,), of the excesses of a control."""
    if np.isnan(excess).all():
        raise ValueError("control: expected a graph with edges, found none")
    if scale == "shares":
        rows = excess if excess.shape[1] > 1 else excess.T  # spokes are compared with each other
        return np.broadcast_to(np.log2(1 + limits_of_shares(np.exp2(rows) - 1)), len(excess))
    symmetric = scale == "measure" and is_symmetric(excess)
    own = excess[np.triu_indices(len(excess), 1)] if symmetric else excess  # each pair counts once
    limit = limit_of_measure(own[~np.isnan(own)], correlations=symmetric, norms=scale == "norms")
    return np.full(len(excess), limit)


def is_symmetric(matrix: np.ndarray) -> bool:
    """Whether both directions of every pair are listed with the same weight, as those of an affinity are."""
    square = matrix.shape[0] == matrix.shape[1] > 1
    return square and np.allclose(matrix, matrix.T, rtol=0, atol=ALIKE, equal_nan=True)


def finding(
    graph: TaskGraph,
    evidence: Evidence,
    *,
    truth: PlantedTruth | None = None,
    control: str = SHUFFLED,
) -> str:
    """What the picture of a graph shows, in a sentence without a full stop.

    Args:
        graph: the graph.
        evidence: that of the graph.
        truth: the true task graph, where it is known.
        control: what the control is.
    """
    if np.isnan(evidence.excess).all():
        return "no task reads from another"
    if evidence.limits is None:
        return "not compared with a control"
    ends = _strongest_first(graph, evidence)
    if not any(evidence.above[place] for _, place in ends):
        return f"nothing is above {control}: do not interpret"
    names = [name for name, place in ends if evidence.above[place]]
    than = "the control" if control == SHUFFLED else control
    kind = "spokes" if graph.virtual else "pairs" if is_symmetric(evidence.excess) else "edges"
    if truth is not None and not graph.virtual:
        return _of_truth(graph, evidence, truth, [place for _, place in ends], kind, than)
    return f"{len(names)} of {len(ends)} {kind} are above {than}: {_listed(names)}"


def _strongest_first(graph: TaskGraph, evidence: Evidence) -> list[tuple[str, tuple[int, int]]]:
    """The name and the place of every edge, of pairs that have the same weight both ways of one of them."""
    symmetric = is_symmetric(evidence.excess)
    places = [(k, j) for k, j in np.argwhere(~np.isnan(evidence.excess)).tolist() if not symmetric or j < k]
    places.sort(key=lambda place: -evidence.excess[place])

    def name(target: int, source: int) -> str:
        if graph.virtual:
            return graph.tasks[target]
        return f"{graph.tasks[source]} {'-' if symmetric else '->'} {graph.tasks[target]}"

    return [(name(*place), place) for place in places]


def _of_truth(
    graph: TaskGraph, evidence: Evidence, truth: PlantedTruth, places: Sequence[tuple[int, int]], kind: str, than: str
) -> str:
    """How many true edges are above the control, and how many others; siblings are neither."""
    tasks = graph.tasks
    edges, siblings = set(truth.edges), {*truth.siblings, *(pair[::-1] for pair in truth.siblings)}
    if kind == "pairs":
        edges |= {pair[::-1] for pair in edges}
    counts = {key: [0, 0] for key in ("true", "other", "sibling")}
    for target, source in places:
        ends = (tasks[source], tasks[target])
        own = counts["true" if ends in edges else "sibling" if ends in siblings else "other"]
        own[0] += int(evidence.above[target, source])
        own[1] += 1
    (true, of), (others, of_others), (between, _) = counts.values()
    also = [f"{others} of {of_others} others" if others else "no other"]
    also += [f"{between} between siblings"] if between else []
    return f"{true} of {of} true {kind} are above {than}, and {', '.join(also)}"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")
