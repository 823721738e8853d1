"""The task graph over training: a line for each edge, or maps one after the other as an animation."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import matplotlib.style
import numpy as np
from matplotlib.animation import PillowWriter
from matplotlib.figure import Figure

from graphmtl.errors import InputError
from graphmtl.graph.clustering import clustered
from graphmtl.graph.evidence import evidence
from graphmtl.graph.pictures.cells import Cells, cells
from graphmtl.graph.pictures.figure import STYLE, draw_panels
from graphmtl.graph.pictures.panels import (
    ANNOTATED_TASKS,
    TEXT_COLOUR,
    Area,
    colour_bar,
    draw_cells,
    short_name,
    text_width,
    title_height,
)
from graphmtl.graph.task_graph import TaskGraph

__all__ = ["LinesPanel", "MapPanel", "draw_history", "save_animation"]

History = Sequence[tuple[int, TaskGraph]]
"""The graph at each evaluation, with its epoch."""

_FRAMES_PER_SECOND = 2
_FRAME_DPI = 100
_WIDEST = 15.0  # inches of panels side by side
_MOST = 12  # rows that are drawn
_NAMED = 4  # lines of a row that have a colour and a name
_SERIES = ("#0072b2", "#d55e00", "#009e73", "#b25a8d")
_ACROSS, _UP = 2.6, 1.5  # inches of a panel's lines
_SIZE = 8.5


@dataclass(frozen=True)
class LinesPanel:
    """What one task reads from each source, by epoch, as a ratio to the equal share from half to double.

    The lines that are farthest from the equal share at the kept epoch have a colour and a name, unless they are within
    what the control reaches, which is a grey band. The kept epoch is a vertical line.

    Args:
        title: the task.
        epochs: of the evaluations.
        excess: (evaluations, sources); see :class:`~graphmtl.graph.evidence.Evidence`.
        sources: their names.
        kept: the epoch whose weights the run kept; None where it is not known.
        limit: what the control reaches; None: there is none.
    """

    title: str
    epochs: Sequence[int]
    excess: np.ndarray
    sources: Sequence[str]
    kept: int | None
    limit: float | None

    @property
    def _at(self) -> int:
        """The evaluation at which the lines are told apart: that of the kept epoch, else the last."""
        return self.epochs.index(self.kept) if self.kept in self.epochs else len(self.epochs) - 1

    @property
    def _reach(self) -> tuple[float, float] | None:
        """How far the control goes below and above the equal share: as far in shares, not in their logarithms."""
        return None if self.limit is None else (np.log2(max(2 - 2**self.limit, 2.0**-10)), self.limit)

    @cached_property
    def named(self) -> list[int]:
        """The sources whose lines have a name, the highest first."""
        last = np.nan_to_num(self.excess[self._at])  # (sources,)
        strongest = sorted(range(len(last)), key=lambda i: -abs(last[i]))[:_NAMED]
        low, high = self._reach or (0, 0)
        beyond = [i for i in strongest if not low <= last[i] <= high]
        return sorted(beyond, key=lambda i: -self.excess[-1, i])

    @property
    def _names(self) -> list[str]:
        return [short_name(self.sources[i]) for i in self.named]

    @property
    def _right(self) -> float:
        return 0.2 + max((text_width(name, _SIZE) for name in self._names), default=0)

    @property
    def width(self) -> float:
        """In inches."""
        return 0.65 + _ACROSS + self._right

    @property
    def height(self) -> float:
        """In inches."""
        return 0.3 + _UP + title_height(self.title, self.width)

    def draw(self, area: Area) -> None:
        """Draw into an area of at least this size."""
        axes = area.axes(0.65, area.title(self.title) - _UP, _ACROSS, _UP)
        shown = self.excess.clip(-1, 1)  # (evaluations, sources)
        if self._reach is not None:
            axes.axhspan(*np.clip(self._reach, -1, 1), color="#eeeeee", zorder=0)
        axes.axhline(0, color="#999999", linewidth=0.6)
        if self.kept is not None:
            axes.axvline(self.kept, color=TEXT_COLOUR, linewidth=0.8, linestyle=":")
        for i in range(len(self.sources)):
            axes.plot(self.epochs, shown[:, i], ".-", color="#bbbbbb", linewidth=0.7, markersize=2)
        for place, (i, colour) in zip(self._places(shown), zip(self.named, _SERIES, strict=False), strict=True):
            axes.plot(self.epochs, shown[:, i], ".-", color=colour, linewidth=1.6, markersize=4)
            text = short_name(self.sources[i])
            axes.text(1.03, place, text, size=_SIZE, color=colour, va="center", transform=axes.transAxes)
        axes.set_ylim(-1.05, 1.05)
        axes.set_yticks([-1, 0, 1], ["half", "equal", "double"])
        axes.set_xlim(self.epochs[0] - 0.3, self.epochs[-1] + 0.3)
        axes.locator_params(axis="x", integer=True, nbins=6)
        axes.tick_params(labelsize=8, length=2, labelcolor=TEXT_COLOUR)
        axes.spines[["top", "right"]].set_visible(False)

    def _places(self, shown: np.ndarray) -> list[float]:
        """Where the names stand, from 0 to 1 of the height, so that none lies upon another."""
        gap = 0.14
        places: list[float] = []
        for i in self.named:
            wanted = (float(np.nan_to_num(shown[-1, i])) + 1.05) / 2.1
            places.append(min(wanted, places[-1] - gap) if places else wanted)
        low = min(places, default=0)
        return [place - min(low, 0) for place in places]


@dataclass(frozen=True)
class MapPanel:
    """The map of one evaluation, with names and palette; see :class:`~graphmtl.graph.pictures.cells.Cells`."""

    cells: Cells
    title: str

    @property
    def _cell(self) -> float:
        return 0.24 if len(self.cells.targets) <= ANNOTATED_TASKS else 0.13

    @property
    def _font_size(self) -> float:
        return 8.5 if len(self.cells.targets) <= ANNOTATED_TASKS else 6.5

    @property
    def _left(self) -> float:
        return 0.2 + max(text_width(short_name(task), self._font_size) for task in self.cells.targets)

    @property
    def _below(self) -> float:
        return 0.2 + max(text_width(short_name(source), self._font_size) for source in self.cells.sources)

    @property
    def _across(self) -> float:
        return max(self._cell * len(self.cells.sources), 0.45)

    @property
    def width(self) -> float:
        """In inches."""
        return max(self._left + self._across + 0.9, 4.0)  # the colour bar and its ends

    @property
    def height(self) -> float:
        """In inches."""
        return self._below + max(self._cell * len(self.cells.targets), 0.8) + title_height(self.title, self.width)

    def draw(self, area: Area) -> None:
        """Draw into an area of at least this size."""
        up = max(self._cell * len(self.cells.targets), 0.8)
        bottom = area.title(self.title) - up
        axes = area.axes(self._left, bottom, self._across, up)
        draw_cells(axes, self.cells)
        axes.set_yticks(range(len(self.cells.targets)), [short_name(task) for task in self.cells.targets])
        axes.set_xticks(range(len(self.cells.sources)), [short_name(name) for name in self.cells.sources], rotation=90)
        axes.tick_params(length=0, labelsize=self._font_size, labelcolor=TEXT_COLOUR)
        colour_bar(area, self.cells.ends, (self._left + self._across + 0.2, bottom, 0.12, up))


def draw_history(history: History, *, kept: int | None = None, control: TaskGraph | None = None) -> Figure:
    """A panel of lines for each task whose row changed, those that changed most first; of a star one of all spokes.

    Args:
        history: all evaluations.
        kept: the epoch whose weights the run kept.
        control: the graph of the run on shuffled labels, whose reach is a grey band.
    """
    graph = history[-1][1]
    held = evidence(graph, control)
    epochs = [epoch for epoch, _ in history]
    excess = np.stack([_excess(own, graph) for _, own in history])  # (evaluations, targets, sources)
    about: dict[str, Any] = {"epochs": epochs, "kept": kept}
    limits: Sequence[float | None] = [None] * len(graph.tasks) if held.limits is None else held.limits.tolist()
    if graph.virtual:
        panels = [LinesPanel(title="spokes", excess=excess[:, :, 0], sources=graph.tasks, limit=limits[0], **about)]
        rows = "each task's spoke over the mean spoke"
    else:
        others = ~np.isnan(excess).all(axis=(0, 2))  # (targets,) that read from anything
        change = np.where(others, np.nanmax(np.nan_to_num(np.abs(excess)), axis=(0, 2)), -1)  # (targets,)
        most = np.argsort(-change, kind="stable")[: min(_MOST, int(others.sum()))]
        panels = [
            LinesPanel(title=graph.tasks[k], excess=excess[:, k], sources=graph.tasks, limit=limits[k], **about)
            for k in sorted(most)
        ]
        of = "" if len(most) == others.sum() else f"; the {len(most)} of {int(others.sum())} tasks that changed most"
        rows = f"what each task reads from the others, over the equal share{of}"
    rows += "; dotted: the kept epoch" if kept is not None else ""
    rows += "; grey band: what the control reaches" if held.limits is not None else ""
    return draw_panels(panels, heading=_heading(history), about=rows, widest=_WIDEST)


def _excess(graph: TaskGraph, last: TaskGraph) -> np.ndarray:
    """Of one evaluation, (targets, sources); all nan where it has no edges yet."""
    shape = (len(last.tasks), 1 if last.virtual else len(last.tasks))
    return evidence(graph).excess if graph.edges else np.full(shape, np.nan)


def save_animation(history: History, path: Path) -> None:
    """Write a GIF that shows each evaluation for half a second and the last one for two.

    Raises:
        InputError: The file cannot be written.
    """
    writer = PillowWriter(fps=_FRAMES_PER_SECOND)
    last = history[-1][1]
    tasks = last.tasks if last.virtual else clustered(last).tasks

    def frame(i: int) -> Figure:
        epoch, graph = history[i]
        graph = replace(graph, tasks=tasks)
        panel = MapPanel(
            cells(graph, evidence(graph)), f"epoch {epoch} of {history[-1][0]}; not compared with a control"
        )
        return draw_panels([panel], heading=_heading(history))

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
