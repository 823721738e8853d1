"""The parts of a picture of tasks: heat map, bars, and what every part needs; nodes and arrows stand in node_link.py.

A panel knows its size in inches before anything is drawn (names are measured first), so no label overlaps another or is
cut off, with 3 tasks or with 60.
"""

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Protocol

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, fontManager
from matplotlib.image import AxesImage
from matplotlib.textpath import TextToPath

from graphmtl.graph.comparison import ALIKE
from graphmtl.graph.task_graph import TaskGraph

__all__ = [
    "ANNOTATED_TASKS",
    "COLOURS",
    "FONTS",
    "TEXT_COLOUR",
    "Area",
    "HeatMapPanel",
    "Panel",
    "SpokesPanel",
    "between_tasks",
    "colour_bar",
    "colour_range",
    "decimals_for",
    "short_name",
    "text_width",
    "title_height",
]

_OTHER_SCRIPTS = (
    *("Noto Sans CJK SC", "Noto Sans CJK JP", "Source Han Sans SC", "WenQuanYi Micro Hei", "WenQuanYi Zen Hei"),
    *("Microsoft YaHei", "Yu Gothic", "Malgun Gothic", "PingFang SC", "Hiragino Sans", "Apple SD Gothic Neo"),
    "Arial Unicode MS",
)
FONTS = [
    "DejaVu Sans",  # comes with matplotlib, so names are as long everywhere
    *(name for name in _OTHER_SCRIPTS if name in fontManager.get_font_names()),  # Chinese, Japanese, Korean
]
TEXT_COLOUR = "#1c1c1c"

COLOURS = "viridis_r"  # the stronger the darker; told apart by colour-blind readers
_BAR_COLOUR = "#6f86b5"

ANNOTATED_TASKS = 20  # a larger heat map has no room for numbers
_LINE = 0.17  # inches, of a panel's title


@dataclass(frozen=True)
class Area:
    """Where a panel stands in the figure: its lower left corner and its size, in inches."""

    figure: Figure
    left: float
    bottom: float
    width: float
    height: float

    def axes(self, x: float, y: float, width: float, height: float) -> Axes:
        """New axes at (x, y) of the panel; all in inches."""
        across, up = self.figure.get_size_inches()
        place = ((self.left + x) / across, (self.bottom + y) / up, width / across, height / up)
        return self.figure.add_axes(place)

    def title(self, text: str) -> float:
        """Write the panel's title at its top, in lines that its width holds; returns the height that is left."""
        across, up = self.figure.get_size_inches()
        x = self.left + self.width / 2
        for i, line in enumerate(_lines(text, self.width)):
            y = self.bottom + self.height - _LINE * (i + 0.5)
            self.figure.text(x / across, y / up, line, size=9, ha="center", va="center", color=TEXT_COLOUR)
        return self.height - title_height(text, self.width)


class Panel(Protocol):
    """A part of a picture, as large as what it shows."""

    @property
    def width(self) -> float:
        """In inches."""

    @property
    def height(self) -> float:
        """In inches."""

    def draw(self, area: Area) -> None:
        """Draw into an area of at least this size."""


@dataclass(frozen=True)
class HeatMapPanel:
    """The K x K weights between tasks: rows are targets (they read), columns sources; a pair without an edge is blank.

    Up to 20 tasks each cell shows its number. ``directed=False`` leaves out which side reads.
    """

    graph: TaskGraph
    title: str
    directed: bool = True

    @property
    def _cell(self) -> float:
        count = len(self.graph.tasks)
        return 0.3 + 1.6 / count if self._annotated else max(6.5 / count, 0.135)

    @property
    def _side(self) -> float:
        return self._cell * len(self.graph.tasks)

    @property
    def _font_size(self) -> float:
        return min(9.5, 72 * self._cell * 0.7)

    @property
    def _names(self) -> list[str]:
        return [short_name(task) for task in self.graph.tasks]

    @property
    def _left(self) -> float:
        """Room for the axis label and the names of the targets."""
        return 0.35 + self._longest

    @property
    def _below(self) -> float:
        """Room for the names of the sources and the axis label."""
        return 0.5 + self._longest * (math.sin(math.pi / 4) if self._annotated else 1)

    @property
    def _longest(self) -> float:
        return max(text_width(name, self._font_size) for name in self._names)

    @property
    def _annotated(self) -> bool:
        return len(self.graph.tasks) <= ANNOTATED_TASKS

    @property
    def width(self) -> float:
        """In inches."""
        return self._left + self._side + 1.0  # the colour bar and its numbers

    @property
    def height(self) -> float:
        """In inches."""
        return self._below + self._side + title_height(self.title, self.width)

    def draw(self, area: Area) -> None:
        """Draw into an area of at least this size."""
        bottom = area.title(self.title) - self._side
        axes = area.axes(self._left, bottom, self._side, self._side)
        matrix = self.graph.matrix()
        low, high = colour_range(between_tasks(matrix))
        image = axes.imshow(np.ma.masked_invalid(matrix), cmap=COLOURS, aspect="auto", vmin=low, vmax=high)
        self._label_axes(axes)
        if self._annotated:
            self._annotate(axes, image)
        colour_bar(area, image, (self._left + self._side + 0.2, bottom, 0.15, self._side))

    def _label_axes(self, axes: Axes) -> None:
        ticks = range(len(self.graph.tasks))
        axes.set_yticks(ticks, self._names)
        axes.set_xticks(ticks, self._names)
        axes.tick_params(length=0, labelsize=self._font_size, labelcolor=TEXT_COLOUR)
        for label in axes.get_xticklabels():
            slanted = {"rotation": 45, "va": "top"} if self._annotated else {"rotation": 90, "va": "center"}
            label.set(ha="right", rotation_mode="anchor", **slanted)
        if self.directed:
            axes.set_ylabel("target: the task that reads", size=9, color=TEXT_COLOUR)
            axes.set_xlabel("source: the task that is read", size=9, color=TEXT_COLOUR)
        axes.yaxis.set_label_coords(-(self._left - 0.1) / self._side, 0.5)
        axes.xaxis.set_label_coords(0.5, -(self._below - 0.2) / self._side)
        for spine in axes.spines.values():
            spine.set_color("#bbbbbb")

    def _annotate(self, axes: Axes, image: AxesImage) -> None:
        matrix = self.graph.matrix()
        decimals = decimals_for(matrix[~np.isnan(matrix)].tolist())
        cells = [(row, column) for row, column in np.argwhere(~np.isnan(matrix)).tolist()]
        texts = [f"{matrix[cell]:z.{decimals}f}" for cell in cells]
        size = min(9.0, 0.85 * self._cell / text_width(max(texts, key=len), 1))
        colours = image.to_rgba(matrix)  # (targets, sources, 4)
        for (row, column), text in zip(cells, texts, strict=True):
            colour = "white" if _is_dark(colours[row, column]) else "black"
            axes.text(column, row, text, ha="center", va="center", size=size, color=colour)


@dataclass(frozen=True)
class SpokesPanel:
    """How much each task reads from the virtual node, as bars with one standard deviation, the strongest above."""

    graph: TaskGraph

    title = "spoke: how much a task reads from the hub; line: standard deviation over instances"

    @property
    def _bar(self) -> float:
        return 0.3 if len(self.graph.tasks) <= ANNOTATED_TASKS else 0.14

    @property
    def _font_size(self) -> float:
        return 9.5 if len(self.graph.tasks) <= ANNOTATED_TASKS else 7.5

    @property
    def _left(self) -> float:
        return 0.2 + max(text_width(short_name(task), self._font_size) for task in self.graph.tasks)

    @property
    def width(self) -> float:
        """In inches."""
        return self._left + 3.4

    @property
    def height(self) -> float:
        """In inches."""
        return self._bar * len(self.graph.tasks) + 0.4 + title_height(self.title, self.width)

    def draw(self, area: Area) -> None:
        """Draw into an area of at least this size."""
        height = self._bar * len(self.graph.tasks)
        axes = area.axes(self._left, area.title(self.title) - height, 3.1, height)
        spokes = sorted(self.graph.edges, key=lambda edge: edge.weight)
        rows = range(len(spokes))
        axes.barh(rows, [edge.weight for edge in spokes], xerr=[edge.std for edge in spokes], color=_BAR_COLOUR)
        axes.set_yticks(rows, [short_name(edge.target) for edge in spokes])
        axes.set_ylim(-0.6, len(spokes) - 0.4)
        axes.set_xlim(left=0)
        axes.tick_params(axis="y", length=0, labelsize=self._font_size)
        axes.tick_params(axis="x", labelsize=8)
        axes.locator_params(axis="x", nbins=5)
        axes.spines[["top", "right"]].set_visible(False)


def colour_range(weights: np.ndarray) -> tuple[float, float]:
    """The weights that the first and the last colour stand for; nan is none."""
    low, high = float(np.nanmin(weights)), float(np.nanmax(weights))
    return (low, high) if high - low >= ALIKE else (low - 0.1, high + 0.1)


def between_tasks(weights: np.ndarray) -> np.ndarray:
    """Weights (..., targets, sources) without what tasks read from themselves, unless there is nothing else.

    It is as a rule so much more than what they read from each other that all else would have one colour.
    """
    if weights.shape[-1] != weights.shape[-2]:
        return weights
    between = np.where(np.eye(weights.shape[-1], dtype=bool), np.nan, weights)
    return weights if np.isnan(between).all() else between


def colour_bar(area: Area, image: AxesImage, place: tuple[float, float, float, float]) -> None:
    """The bar of a heat map's colours, with a tip at each end where there are weights beyond it.

    A low one has numbers at its ends alone, with as many decimals as tell them apart.
    """
    weights, (low, high) = image.get_array(), image.get_clim()
    beyond = (bool(weights.min() < low), bool(weights.max() > high))
    extend = {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}
    bar = area.figure.colorbar(image, cax=area.axes(*place), extend=extend[beyond])
    bar.ax.tick_params(labelsize=8, length=2)
    bar.ax.ticklabel_format(axis="y", useOffset=False)
    if place[3] < 0.6:
        bar.set_ticks([low, high], labels=[f"{weight:.{decimals_for([low, high])}f}" for weight in (low, high)])


def decimals_for(weights: Sequence[float]) -> int:
    """As many decimals as tell the weights apart: 2 to 4."""
    spread = max(weights, default=0) - min(weights, default=0)
    if spread >= 0.1 or spread < ALIKE:
        return 2
    return 3 if spread >= 0.01 else 4


def short_name(name: str, longest: int = 28) -> str:
    """A task's name as it is drawn: a long one loses its middle."""
    name = " ".join(name.split())
    return name if len(name) <= longest else f"{name[: longest // 2]}…{name[-longest // 2 + 1 :]}"


@cache
def text_width(text: str, size: float) -> float:
    """In inches, with a little to spare."""
    properties = FontProperties(family=FONTS, size=size)
    width, _, _ = TextToPath().get_text_width_height_descent(text, properties, ismath=False)
    return 1.05 * width / 72


def _lines(text: str, width: float) -> list[str]:
    """Lines of 9 points that are at most ``width`` inches long."""
    characters = max(int(width / text_width("n", 9)), 20)
    return [line for paragraph in text.split("\n") for line in textwrap.wrap(paragraph, characters)]


def title_height(text: str, width: float) -> float:
    """Of a panel's title, with the gap below it, in inches."""
    return _LINE * (len(_lines(text, width)) + 1)


def _is_dark(colour: np.ndarray) -> bool:
    """Whether white is the better colour for a text on ``colour`` (red, green, blue, opacity)."""
    return 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2] < 0.5
