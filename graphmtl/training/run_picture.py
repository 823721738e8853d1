"""The picture of a run's task graph, of what its folder holds."""

from matplotlib.figure import Figure

from graphmtl.errors import InputError
from graphmtl.graph.pictures.figure import draw_task_graph, save_figure
from graphmtl.training.run_folder import Run

__all__ = ["PICTURE", "draw_run", "has_edges", "run_picture"]

PICTURE = "task_graph.png"


def run_picture(run: Run) -> Figure:
    """The run's task graph, held against that of its control where there is one, with the true edges if they are known.

    Raises:
        InputError: the run has no edges between tasks.
    """
    if not has_edges(run):
        raise InputError(f"{run.folder}: --arch {run.options.arch} learned no edges, so there is nothing to draw")
    control, of_a_control = run.control, run.options.shuffle_labels
    return draw_task_graph(
        run.task_graph,
        affinity=run.task_affinity,
        control=control and control.task_graph,
        affinity_control=control and control.task_affinity,
        truth=None if of_a_control else run.truth,
        is_control=of_a_control,
    )


def draw_run(run: Run) -> None:
    """Writes ``task_graph.png``, or nothing where no task reads from another."""
    if has_edges(run):
        save_figure(run_picture(run), run.folder / PICTURE)


def has_edges(run: Run) -> bool:
    """Whether a task reads from another node than itself."""
    return any(edge.source != edge.target for edge in run.task_graph.edges)
