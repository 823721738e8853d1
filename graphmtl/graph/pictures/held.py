"""The graphs of a run, each held against its control: what every picture of them shows."""

from dataclasses import dataclass

from graphmtl.data.planted_truth import PlantedTruth
from graphmtl.graph.clustering import clustered
from graphmtl.graph.evidence import SHUFFLED, Evidence, evidence, finding
from graphmtl.graph.pictures.cells import Cells, cells
from graphmtl.graph.task_graph import TaskGraph

__all__ = ["OTHER_TEXTS", "Held", "held"]

OTHER_TEXTS = "what is read of answers to other texts"  #: what the linear models' graph is held against

_READS = "who reads from whom: each row from the columns"
_TOLD = "whose answers tell a task what its own texts do not: share of the row's labels"
_ALIKE = "task affinity: do two tasks use the hub alike?"
_SPOKES = "spokes, how much each task reads from the hub"
_LINEAR = "whose answers tell a task's linear model of words, where that helps: 1 is what is read by chance"
_TELLS_MUCH = 0.15  # of the labels' variance: where the palette ends


@dataclass(frozen=True, kw_only=True)
class Held:
    """A graph that is held against its control, tasks that read from each other side by side.

    Attributes:
        title: what its map shows.
        graph: the graph, with its tasks in that order.
        evidence: what is above the control.
        cells: its map.
        finding: what it shows, in a sentence.
        verb: what a target does with its sources, in words; empty where neither task is the target, as in an affinity.
        control: what the graph is held against.
    """

    title: str
    graph: TaskGraph
    evidence: Evidence
    cells: Cells
    finding: str
    verb: str
    control: str = SHUFFLED

    @property
    def directed(self) -> bool:
        """Whether one task is the target and the other the source."""
        return bool(self.verb)


def held(
    graph: TaskGraph,
    *,
    affinity: TaskGraph | None = None,
    control: TaskGraph | None = None,
    affinity_control: TaskGraph | None = None,
    transferability: TaskGraph | None = None,
    transferability_control: TaskGraph | None = None,
    linear: TaskGraph | None = None,
    linear_control: TaskGraph | None = None,
    truth: PlantedTruth | None = None,
) -> list[Held]:
    """The graph of a run; of a star what it says of two tasks first, then the spokes. Those without edges are left out.

    Whom the linear models read comes first where any of it is above what is read by chance, since nothing that is drawn
    is true as often; else last.

    Args:
        graph: the run's.
        affinity: of a star.
        control: the same graph of the run on shuffled labels; None: it is not compared.
        affinity_control: of a star.
        transferability: of a star, whose answers tell a task what its own texts do not.
        transferability_control: of a star.
        linear: whom the linear models read; tasks that are told by none have no edges.
        linear_control: the same of what is said of other texts.
        truth: the true task graph, where it is known.
    """
    pairs: list[tuple[TaskGraph | None, TaskGraph | None, str, str]] = []
    if graph.virtual:
        pairs += [(transferability, transferability_control, _TOLD, "is told by")]
        pairs += [(affinity, affinity_control, _ALIKE, "")]
    pairs += [(graph, control, _SPOKES if graph.virtual else _READS, "reads from")]
    pairs += [(linear, linear_control, _LINEAR, "is told by")]
    found = []
    for own, other, title, verb in pairs:
        if own is None or all(edge.source == edge.target for edge in own.edges):
            continue
        own = own if own.virtual else clustered(own)
        linear_map = title is _LINEAR
        compared = evidence(own, other, ratio=None if own.virtual or title is _READS else False, norms=linear_map)
        drawn = cells(own, compared, truth, end=_TELLS_MUCH if title is _TOLD else None)
        against = {"control": OTHER_TEXTS if linear_map else SHUFFLED}
        said = finding(own, compared, truth=truth, **against)
        found.append(Held(title=title, graph=own, evidence=compared, cells=drawn, finding=said, verb=verb, **against))
    return sorted(found, key=lambda each: each.title is not _LINEAR or not each.evidence.above.any())
