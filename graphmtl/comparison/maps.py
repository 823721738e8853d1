"""The task graph of every compared architecture that has one, the mean over its runs: what stands beside its gains."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from matplotlib.figure import Figure

from graphmtl.graph.pictures.figure import draw_task_graph
from graphmtl.graph.task_graph import BESIDE, TaskGraph
from graphmtl.training.run import Run
from graphmtl.training.run_picture import has_maps, linear_control, with_linear

__all__ = ["draw_maps"]


def draw_maps(runs: Mapping[str, Sequence[Run]]) -> dict[str, Figure]:
    """The picture of every row whose runs have edges between the same tasks, by the row's name.

    It is held against the mean of the runs' controls where all of them have one (``compare --control always``). Of whom
    the linear models read it shows what they do in every run. Of a generated set, whose true graph is another for each
    seed, there is no mean, and the first run alone is shown.
    """
    found = {}
    for name, own in runs.items():
        if all(map(has_maps, own)) and len({run.task_graph.nodes for run in own}) == 1:
            found[name] = _draw(name, own)
    return found


def _draw(name: str, runs: Sequence[Run]) -> Figure:
    one_graph = all(run.truth == runs[0].truth for run in runs)
    runs = runs if one_graph else runs[:1]
    known = [run.control for run in runs if run.control is not None]
    compared = known if len(known) == len(runs) else []
    seeds = f"seed{'s' if len(runs) > 1 else ''} {', '.join(str(run.options.seed) for run in runs)}"
    mean = " (mean)" if len(runs) > 1 else "" if one_graph else " (the true graph of other seeds is another)"
    graph = TaskGraph.average(run.task_graph for run in runs)
    linear = _common([run.graphs_beside.get("linear") for run in runs])
    return draw_task_graph(
        graph,
        control=TaskGraph.average(run.task_graph for run in compared) if compared else None,
        beside=with_linear(_means(runs), linear),
        beside_controls=with_linear(_means(compared), _common([linear_control(run) for run in runs])),
        truth=runs[0].truth,
        about=f"{name}: {len(graph.tasks)} tasks, {seeds}{mean}",
    )


def _means(runs: Sequence[Run]) -> dict[str, TaskGraph]:
    """The mean of each graph beside that of the edges which all runs have."""
    shared = [name for name in BESIDE if runs and all(name in run.graphs_beside for run in runs)]
    return {name: TaskGraph.average(run.graphs_beside[name] for run in runs) for name in shared}


def _common(graphs: Sequence[TaskGraph | None]) -> TaskGraph | None:
    """The mean of the edges that all graphs have; None where there are none, or a run has no such graph."""
    known = [graph for graph in graphs if graph is not None]
    if len(known) < len(graphs):
        return None
    mean = TaskGraph.average(known)
    edges = tuple(edge for edge in mean.edges if edge.count == len(known))
    return replace(mean, edges=edges) if edges else None
