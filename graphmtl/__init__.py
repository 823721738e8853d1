"""Multi-task learning for text as message passing on a graph of tasks."""

from graphmtl.config import Options
from graphmtl.data.loading import load_tasks
from graphmtl.data.planted import PlantedOptions
from graphmtl.data.task import Task, TaskSet
from graphmtl.errors import InputError
from graphmtl.graph.pictures.figure import draw_task_graph, save_figure
from graphmtl.graph.task_graph import TaskGraph
from graphmtl.graph.topology import Topology
from graphmtl.models.model import MultiTaskModel
from graphmtl.options import make_options
from graphmtl.training.experiment import train
from graphmtl.training.run_folder import Run

__all__ = [
    "InputError",
    "MultiTaskModel",
    "Options",
    "PlantedOptions",
    "Run",
    "Task",
    "TaskGraph",
    "TaskSet",
    "Topology",
    "draw_task_graph",
    "load_tasks",
    "make_options",
    "save_figure",
    "train",
]
