"""The graphs of a run, each held against its control: what every picture of them shows."""

from dataclasses import dataclass

from graphmtl.data.planted_truth import PlantedTruth
from graphmtl.graph.clustering import clustered
from graphmtl.graph.evidence import Evidence, evidence, finding
from graphmtl.graph.pictures.cells import Cells, cells
from graphmtl.graph.task_graph import TaskGraph

__all__ = ["Held", "held"]


@dataclass(frozen=True, kw_only=True)
class Held:
    """A graph that is held against its control, tasks that read from each other side by side.

    Attributes:
        graph: the graph, with its tasks in that order.
        evidence: what is above the control.
        cells: its map.
        finding: what it shows, in a sentence.
        directed: whether a task reads and another is read; an affinity is not.
    """

    graph: TaskGraph
    evidence: Evidence
    cells: Cells
    finding: str
    directed: bool


def held(
    graph: TaskGraph,
    *,
    affinity: TaskGraph | None = None,
    control: TaskGraph | None = None,
    affinity_control: TaskGraph | None = None,
    truth: PlantedTruth | None = None,
) -> list[Held]:
    """The graph of a run; of a star its affinity first, then the spokes. Those without an edge are left out.

    Args:
        graph: the run's.
        affinity: of a star.
        control: the same graph of the run on shuffled labels; None: it is not compared.
        affinity_control: of a star.
        truth: the true task graph, where it is known.
    """
    of_affinity = [(affinity, affinity_control, False)] if graph.virtual and affinity is not None else []
    found = []
    for own, other, ratio in (*of_affinity, (graph, control, None)):
        if all(edge.source == edge.target for edge in own.edges):
            continue
        own = own if own.virtual else clustered(own)
        compared = evidence(own, other, ratio=ratio)
        parts = {"cells": cells(own, compared, truth), "finding": finding(own, compared, truth=truth)}
        found.append(Held(graph=own, evidence=compared, directed=ratio is None, **parts))
    return found
