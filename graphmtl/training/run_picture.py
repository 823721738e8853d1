"""The picture of a run's task graph, of what its folder holds."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from matplotlib.figure import Figure

from graphmtl.errors import InputError
from graphmtl.graph.pictures.figure import draw_task_graph, save_figure
from graphmtl.graph.pictures.held import Held, held
from graphmtl.graph.task_graph import TaskGraph
from graphmtl.training.run import Run

__all__ = [
    "PICTURE",
    "draw_run",
    "has_edges",
    "has_maps",
    "held_graphs",
    "linear_control",
    "run_picture",
    "with_linear",
]

PICTURE = "task_graph.png"


def run_picture(run: Run) -> Figure:
    """The run's task graph, held against that of its control where there is one, with the true edges if they are known.

    Raises:
        InputError: the run has no edges between tasks.
    """
    if not has_maps(run):
        raise InputError(f"{run.folder}: --arch {run.options.arch} learned no edges, so there is nothing to draw")
    with _of_the_same_tasks(run):
        return draw_task_graph(run.task_graph, **_held_against(run), is_control=run.options.shuffle_labels)


def held_graphs(run: Run) -> list[Held]:
    """What :func:`run_picture` shows."""
    with _of_the_same_tasks(run):
        return held(run.task_graph, **_held_against(run))


@contextmanager
def _of_the_same_tasks(run: Run) -> Iterator[None]:
    """A control that someone has put there may be that of another run."""
    try:
        yield
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"{run.folder / 'controls' / 'shuffled'}: not the run's control ({error})") from None


def _held_against(run: Run) -> dict[str, Any]:
    control, linear = run.control, linear_control(run)
    return {
        "control": control and control.task_graph,
        "beside": run.graphs_beside,
        "beside_controls": with_linear(control.graphs_beside if control else {}, linear),
        "truth": None if run.options.shuffle_labels else run.truth,
    }


def with_linear(graphs: Mapping[str, TaskGraph], linear: TaskGraph | None) -> dict[str, TaskGraph]:
    """Graphs beside that of the edges, or their controls, with that of the linear models in place of one that is there.

    What the linear models' graph is held against is no part of the control that was trained.
    """
    others = {name: own for name, own in graphs.items() if name != "linear"}
    return others if linear is None else others | {"linear": linear}


def linear_control(run: Run) -> TaskGraph | None:
    """What the linear models' graph is held against, where there is one.

    Raises:
        InputError: it is of other edges.
    """
    linear, path = run.graphs_beside.get("linear"), run.folder / "task_linear_permuted.json"
    if linear is None or not path.is_file():
        return None
    permuted = TaskGraph.load(path)
    if linear.tasks != permuted.tasks or _ends(linear) != _ends(permuted):
        raise InputError(f"{path}: not of the edges of task_linear.json beside it")
    return permuted


def _ends(graph: TaskGraph) -> list[tuple[str, str]]:
    return [(edge.source, edge.target) for edge in graph.edges]


def draw_run(run: Run) -> None:
    """Writes ``task_graph.png``, or nothing where no task reads from another."""
    if has_maps(run):
        save_figure(run_picture(run), run.folder / PICTURE)


def has_maps(run: Run) -> bool:
    """Whether a run has a task graph with edges to draw, of the model or beside it."""
    return has_edges(run) or any(graph.edges for graph in run.graphs_beside.values())


def has_edges(run: Run) -> bool:
    """Whether a task reads from another node than itself."""
    return any(edge.source != edge.target for edge in run.task_graph.edges)
