"""Multi-task learning for text as message passing on a graph of tasks."""

from typing import TYPE_CHECKING

from graphmtl.interruption import end_at_once_while_loading
from graphmtl.lazy import lazily

if TYPE_CHECKING:
    from graphmtl import nn
    from graphmtl.comparison.comparison import compare, compare_runs
    from graphmtl.data.loading import load_tasks
    from graphmtl.data.planted import PlantedOptions
    from graphmtl.data.task import Task, TaskSet
    from graphmtl.errors import InputError
    from graphmtl.graph.pictures.figure import draw_task_graph, save_figure
    from graphmtl.graph.task_graph import TaskGraph
    from graphmtl.graph.topology import Topology
    from graphmtl.models.model import MultiTaskModel
    from graphmtl.options import make_options
    from graphmtl.training.building import build_model
    from graphmtl.training.experiment import train
    from graphmtl.training.loader import loader
    from graphmtl.training.run import Run

__all__ = [
    "InputError",
    "MultiTaskModel",
    "PlantedOptions",
    "Run",
    "Task",
    "TaskGraph",
    "TaskSet",
    "Topology",
    "build_model",
    "compare",
    "compare_runs",
    "draw_task_graph",
    "load_tasks",
    "loader",
    "make_options",
    "nn",
    "save_figure",
    "train",
]

end_at_once_while_loading()
__getattr__, __dir__ = lazily(
    __name__,
    {
        "InputError": "graphmtl.errors",
        "MultiTaskModel": "graphmtl.models.model",
        "PlantedOptions": "graphmtl.data.planted",
        "Run": "graphmtl.training.run",
        "Task": "graphmtl.data.task",
        "TaskGraph": "graphmtl.graph.task_graph",
        "TaskSet": "graphmtl.data.task",
        "Topology": "graphmtl.graph.topology",
        "build_model": "graphmtl.training.building",
        "compare": "graphmtl.compare",
        "compare_runs": "graphmtl.comparison.comparison",
        "draw_task_graph": "graphmtl.graph.pictures.figure",
        "load_tasks": "graphmtl.data.loading",
        "loader": "graphmtl.training.loader",
        "make_options": "graphmtl.options",
        "nn": "graphmtl.nn",
        "save_figure": "graphmtl.graph.pictures.figure",
        "train": "graphmtl.training.experiment",
    },
)
