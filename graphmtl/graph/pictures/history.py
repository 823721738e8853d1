"""The task graph over training: heat maps side by side, or one after the other as an animation."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import matplotlib.style
import numpy as np
from matplotlib.animation import PillowWriter
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from graphmtl.errors import InputError
from graphmtl.graph.clustering import clustered
from graphmtl.graph.edge import VIRTUAL
from graphmtl.graph.pictures.figure import STYLE, draw_panels
from graphmtl.graph.pictures.panels import (
    ANNOTATED_TASKS,
    COLOURS,
    TEXT_COLOUR,
    Area,
    between_tasks,
    colour_bar,
    colour_range,
    short_name,
    text_width,
    title_height,
)
from graphmtl.graph.task_graph import TaskGraph

__all__ = ["HistoryPanel", "draw_history", "save_animation"]

History = Sequence[tuple[int, TaskGraph]]
"""The graph at each evaluation, with its epoch."""

_GAP = 0.3  # inches between two heat maps
_FRAMES_PER_SECOND = 2
_FRAME_DPI = 100


@dataclass(frozen=True)
class HistoryPanel:
    """Heat maps of some of the evaluations, which have an order of tasks and a scale of colours in common.

    Rows are targets, columns sources: the tasks, or the virtual node. The order is that of the last graph, clustered.

    Args:
        history: all evaluations.
        shown: indices of those that are drawn.
    """

    history: History
    shown: Sequence[int]

    @property
    def title(self) -> str:
        """How to read the maps."""
        virtual = self.history[-1][1].virtual
        return (
            "how much each task reads from the hub" if virtual else "each row (target) reads from the columns (sources)"
        )

    @cached_property
    def _tasks(self) -> tuple[str, ...]:
        return clustered(self.history[-1][1]).tasks

    @property
    def _sources(self) -> tuple[str, ...]:
        return (VIRTUAL,) if self.history[-1][1].virtual else self._tasks

    @cached_property
    def matrices(self) -> list[np.ndarray]:
        """Of every evaluation, (targets, sources), nan where no edge is."""
        return [self._matrix(graph) for _, graph in self.history]

    def _matrix(self, graph: TaskGraph) -> np.ndarray:
        graph = replace(graph, tasks=self._tasks)
        if not graph.virtual:
            return graph.matrix()
        spokes = {edge.target: edge.weight for edge in graph.edges}
        return np.array([[spokes.get(task, np.nan)] for task in graph.tasks])  # (targets, 1)

    @property
    def _cell(self) -> float:
        return 0.24 if len(self._tasks) <= ANNOTATED_TASKS else 0.13

    @property
    def _font_size(self) -> float:
        return 8.5 if len(self._tasks) <= ANNOTATED_TASKS else 6.5

    @property
    def _left(self) -> float:
        return 0.2 + max(text_width(short_name(task), self._font_size) for task in self._tasks)

    @property
    def _below(self) -> float:
        return 0.2 + max(text_width(short_name(source), self._font_size) for source in self._sources)

    @property
    def _map(self) -> tuple[float, float]:
        """Width and height of a heat map; a narrow one leaves its heading room."""
        return max(self._cell * len(self._sources), 0.45), self._cell * len(self._tasks)

    @property
    def width(self) -> float:
        """In inches."""
        return max(self._left + len(self.shown) * (self._map[0] + _GAP) + 0.8, 4.0)  # the colour bar and its numbers

    @property
    def height(self) -> float:
        """In inches."""
        return self._below + max(self._map[1], 0.8) + 0.3 + title_height(self.title, self.width)

    def draw(self, area: Area) -> None:
        """Draw into an area of at least this size."""
        across, up = self._map
        bottom = area.title(self.title) - 0.3 - up
        low, high = colour_range(between_tasks(np.stack(self.matrices)))
        for place, i in enumerate(self.shown):
            axes = area.axes(self._left + place * (across + _GAP), bottom, across, up)
            masked = np.ma.masked_invalid(self.matrices[i])
            image = axes.imshow(masked, cmap=COLOURS, aspect="auto", vmin=low, vmax=high)
            axes.set_title(f"epoch {self.history[i][0]}", size=9, color=TEXT_COLOUR, pad=4)
            self._label(axes, first=place == 0)
        colour_bar(area, image, (self._left + len(self.shown) * (across + _GAP), bottom, 0.12, up))

    def _label(self, axes: Axes, *, first: bool) -> None:
        axes.set_yticks(range(len(self._tasks)), [short_name(task) for task in self._tasks] if first else [])
        axes.set_xticks(range(len(self._sources)), [short_name(source) for source in self._sources], rotation=90)
        axes.tick_params(length=0, labelsize=self._font_size, labelcolor=TEXT_COLOUR)
        for spine in axes.spines.values():
            spine.set_color("#bbbbbb")


def draw_history(history: History) -> Figure:
    """The first evaluation, the last and some between as heat maps side by side: 5 maps, of more than 20 tasks 3.

    The maps of a star have one column: up to 20 of them.
    """
    graph = history[-1][1]
    most = 20 if graph.virtual else 5 if len(graph.tasks) <= ANNOTATED_TASKS else 3
    shown = np.linspace(0, len(history) - 1, min(len(history), most)).round().astype(int).tolist()
    return draw_panels([HistoryPanel(history, shown)], heading=_heading(history))


def save_animation(history: History, path: Path) -> None:
    """Write a GIF that shows each evaluation for half a second and the last one for two.

    Raises:
        InputError: The file cannot be written.
    """
    writer = PillowWriter(fps=_FRAMES_PER_SECOND)

    def frame(i: int) -> Figure:
        return draw_panels([HistoryPanel(history, [i])], heading=_heading(history))

    with matplotlib.style.context(STYLE):
        try:
            writer.setup(frame(0), path, dpi=_FRAME_DPI)
            for i in range(len(history)):
                writer.fig = frame(i)
                for _ in range(4 if i == len(history) - 1 else 1):
                    writer.grab_frame()
            writer.finish()
        except OSError as error:
            raise InputError(f"{path}: cannot be written: {error.strerror}") from error


def _heading(history: History) -> str:
    graph = history[-1][1]
    return f"{graph.arch}: the task graph over training, {graph.split} split, seed {graph.seed}"
