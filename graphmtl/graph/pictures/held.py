"""The graphs of a run, each held against its control: what every picture of them shows."""

from collections.abc import Mapping
from dataclasses import dataclass

from graphmtl.data.planted_truth import PlantedTruth
from graphmtl.graph.clustering import clustered
from graphmtl.graph.evidence import SHUFFLED, Evidence, evidence, finding
from graphmtl.graph.pictures.cells import Cells, cells
from graphmtl.graph.task_graph import BESIDE, TaskGraph

__all__ = ["OTHER_TEXTS", "Held", "held"]

OTHER_TEXTS = "what is read of answers to other texts"  #: what the linear models' graph is held against


@dataclass(frozen=True, kw_only=True)
class _Map:
    """How a graph is held against its control, and drawn.

    Attributes:
        title: what the map shows.
        note: how it is to be read; empty where the title says it.
        verb: what a target does with its sources, in words; empty where neither task is the target.
        end: where the palette ends; None: at the strongest.
        control: what the control is.
    """

    title: str
    note: str = ""
    verb: str = ""
    end: float | None = None
    control: str = SHUFFLED


_MAPS = {
    "transferability": _Map(
        title="whose answers tell a task what its own texts do not: share of the row's labels",
        note="Rows are the tasks that are told, columns those whose answers tell them; 1 is all that labels hold.",
        verb="is told by",
        end=0.15,  # of the labels' variance
    ),
    "edges": _Map(
        title="who reads from whom: each row from the columns",
        note="Rows are targets (they read), columns are sources.",
        verb="reads from",
    ),
    "ablation": _Map(
        title="whom a task relies on: rise of the row's loss without the column, over the row's median",
        note="Rows are targets, columns the sources that are cut; the loss is minus the log-likelihood of the labels. "
        "Rows of fewer than four sources have the rise itself.",
        verb="relies on",
    ),
    "affinity": _Map(title="task affinity: do two tasks use the hub alike?"),
    "spokes": _Map(title="spokes, how much each task reads from the hub", verb="reads from"),
    "linear": _Map(
        title="whose answers tell a task's linear model of words, where that helps: 1 is what is read by chance",
        note="Rows are the tasks that are told, columns those whose answers tell them; 1 is what is read by chance.",
        verb="is told by",
        control=OTHER_TEXTS,
    ),
}


@dataclass(frozen=True, kw_only=True)
class Held:
    """A graph that is held against its control, tasks that read from each other side by side.

    Attributes:
        name: what it is a graph of: one of `BESIDE`, ``edges``, or of a star ``spokes``.
        title: what its map shows.
        note: how that is to be read; empty where the title says it.
        graph: the graph, with its tasks in that order.
        evidence: what is above the control.
        cells: its map.
        finding: what it shows, in a sentence.
        verb: what a target does with its sources, in words; empty where neither task is the target, as in an affinity.
        control: what the graph is held against, in words.
        against: what it is held against; None: there is none.
    """

    name: str
    title: str
    note: str
    graph: TaskGraph
    evidence: Evidence
    cells: Cells
    finding: str
    verb: str
    control: str = SHUFFLED
    against: TaskGraph | None = None

    @property
    def directed(self) -> bool:
        """Whether one task is the target and the other the source."""
        return bool(self.verb)

    @property
    def shown(self) -> int:
        """How many edges are above the control, of pairs that are alike both ways each once."""
        return int(self.evidence.above.sum()) // (1 if self.directed else 2)


def held(
    graph: TaskGraph,
    *,
    control: TaskGraph | None = None,
    beside: Mapping[str, TaskGraph] | None = None,
    beside_controls: Mapping[str, TaskGraph] | None = None,
    truth: PlantedTruth | None = None,
) -> list[Held]:
    """The graph of a run and those beside it, but for those without edges.

    First comes what has the most edges above its control, but whom the linear models read before all others where that
    has any, since nothing that is drawn is true as often. Spokes, which lead to no task, are never among the first.

    Args:
        graph: the run's.
        control: the same graph of the run on shuffled labels; None: it is not compared.
        beside: the other graphs of the run, by what they are of (`BESIDE`).
        beside_controls: what each of these is held against.
        truth: the true task graph, where it is known.

    Raises:
        ValueError: ``beside`` or ``beside_controls`` has a graph of something else, or a control is of other tasks.
    """
    for what, given in {"beside": beside, "beside_controls": beside_controls}.items():
        if unknown := {*(given or {})} - {*BESIDE}:
            raise ValueError(f"{what}: found {', '.join(sorted(unknown))}, expected some of {', '.join(BESIDE)}")
    own = "spokes" if graph.virtual else "edges"
    graphs, controls = {own: graph, **(beside or {})}, {own: control, **(beside_controls or {})}
    found = {
        name: _held(name, graphs[name], controls.get(name), truth)
        for name in _MAPS
        if name in graphs and any(edge.source != edge.target for edge in graphs[name].edges)
    }
    shown = {name: each.shown for name, each in found.items() if name != "spokes" and each.shown}
    first = sorted(shown, key=lambda name: (name != "linear", -shown[name]))
    return [found[name] for name in dict.fromkeys([*first, *found])]


def _held(name: str, graph: TaskGraph, control: TaskGraph | None, truth: PlantedTruth | None) -> Held:
    form = _MAPS[name]
    graph = graph if graph.virtual else clustered(graph)
    compared = evidence(graph, control, of=name)
    return Held(
        name=name,
        title=form.title,
        note=form.note,
        graph=graph,
        evidence=compared,
        cells=cells(graph, compared, truth, end=form.end),
        finding=finding(graph, compared, truth=truth, control=form.control),
        verb=form.verb,
        control=form.control,
        against=control,
    )
