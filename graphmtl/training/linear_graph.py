"""Whom the linear models of words read (``--wide``): a task graph that is there in seconds.

Of each task whose model is told by the others' (:mod:`graphmtl.training.wide`) it is measured in a few more fits how
much it reads of each, with each column of what they say a second time, its texts permuted: what is read of those is
what is read by chance, and how much that is depends on the task and its C, so that it is the unit.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from graphmtl.graph.edge import Edge
from graphmtl.graph.task_graph import TaskGraph
from graphmtl.models.linear import Linear
from graphmtl.training.wide_forms import Told

__all__ = ["LinearGraph", "ToldTask", "linear_graph"]


class LinearGraph(NamedTuple):
    """Whom the linear models of a model read that are told by others.

    A weight is the logits that a standard deviation of what the source says is worth to the target, the root mean
    square over the labels of both, divided by the same of what all sources say of other texts: 1 is chance.

    Attributes:
        graph: of what the sources say.
        permuted: of what they say of other texts.
    """

    graph: TaskGraph
    permuted: TaskGraph


class ToldTask(NamedTuple):
    """What a task that is told by others has learned from.

    Attributes:
        features: of its training texts, (texts, BUCKETS).
        labels: which of the scores should be high, (texts, columns) bool.
        C: how much they weigh against the penalty.
    """

    features: sparse.csr_matrix
    labels: np.ndarray
    C: float


def linear_graph(
    told: Mapping[str, ToldTask], known: Mapping[str, Linear], *, seed: int, **about: Any
) -> LinearGraph | None:
    """Whom tasks read that are told by others; None where none reads.

    Args:
        told: the tasks that are.
        known: the models of own texts, all of which tell each other's targets.
        seed: of the optimiser, and of what is permuted.
        about: what else the graph says of itself: ``arch`` and ``tasks``.
    """
    graph: list[Edge] = []
    permuted: list[Edge] = []
    for target, task in told.items():
        for source, weights in _read_by(task, {name: own for name, own in known.items() if name != target}, seed):
            for edges, weight in zip((graph, permuted), weights, strict=True):
                edges.append(Edge(source=source, target=target, weight=weight, std=0.0, count=len(task.labels)))
    if not graph:
        return None
    return LinearGraph(*(TaskGraph(**about, split="train", seed=seed, edges=tuple(own)) for own in (graph, permuted)))


def _read_by(task: ToldTask, sources: Mapping[str, Linear], seed: int) -> list[tuple[str, list[float]]]:
    """How much a task reads of each source, and of what that says of other texts, in units of what is read by chance.

    A source that says the same of all texts is left out.
    """
    told = Told(task.features, [*sources.values()])
    ends = np.cumsum([own.weights.shape[1] for own in sources.values()])[:-1]
    squares = np.square(told.read(task.labels, task.C, seed))  # (1 + permutations, columns of all sources)
    of_sources = zip(sources, np.split(squares, ends, axis=1), np.split(told.varies, ends), strict=True)
    read = {name: own[:, varies].mean(1) for name, own, varies in of_sources if varies.any()}  # (1 + permutations,)
    by_chance = np.mean([own[1:] for own in read.values()]) if read else 0.0
    return [(name, np.sqrt(own[:2] / by_chance).tolist()) for name, own in read.items()] if by_chance else []
