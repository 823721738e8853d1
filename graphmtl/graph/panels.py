"""The parts of a picture of tasks: nodes and arrows, heat map, bars.

A panel knows its size in inches before anything is drawn (names are measured first), so no label overlaps another or is
cut off, with 3 tasks or with 60.
"""

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.image import AxesImage
from matplotlib.patches import Circle, FancyArrowPatch
from matplotlib.textpath import TextToPath

from graphmtl.graph.task_graph import VIRTUAL, Edge, TaskGraph

__all__ = ["FONT", "TEXT_COLOUR", "Area", "HeatMapPanel", "NodeLinkPanel", "Panel", "SpokesPanel"]

FONT = "DejaVu Sans"  # comes with matplotlib, so names are as long everywhere
TEXT_COLOUR = "#1c1c1c"

_COLOURS = "viridis_r"  # the stronger the darker; told apart by colour-blind readers
_EDGE_COLOUR = "#2a2a72"
_NODE_COLOUR = "#dfe3ea"
_HUB_COLOUR = "#44475a"
_BAR_COLOUR = "#6f86b5"

_ANNOTATED_TASKS = 20  # a larger heat map has no room for numbers
_HORIZONTAL_LABELS = 16  # more names than that stand around the circle like spokes
_ALL_EDGES = 20  # a graph with more edges shows only the strongest into each task
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
        return self.height - _title_height(text, self.width)


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
class NodeLinkPanel:
    """Tasks on a circle, clockwise from the top, the virtual node in its middle; an arrow points to the reader.

    An arrow's width and opacity say where its weight lies between the smallest and the largest of the graph. Where the
    graph has many edges only the strongest into each task are drawn, and the title says so. Self-loops are left to
    the heat map.
    """

    graph: TaskGraph

    @property
    def width(self) -> float:
        """In inches."""
        return max(2 * (self.radius + self._reach[0]), 4.5)

    @property
    def height(self) -> float:
        """In inches."""
        return 2 * (self.radius + self._reach[1]) + _title_height(self.title, self.width)

    @property
    def radius(self) -> float:
        """Of the circle, in inches: grows with the tasks, and leaves each label a line of its own."""
        count = len(self.graph.tasks)
        if len(self.graph.nodes) == 1:
            return 0.0
        return max(min(1.1 + 0.085 * count, 3.8), 0.16 * count / (2 * math.pi))

    @property
    def _node_radius(self) -> float:
        return min(0.15, 0.6 * self.radius * math.pi / len(self.graph.tasks)) or 0.15

    @property
    def _radial_labels(self) -> bool:
        return len(self.graph.tasks) > _HORIZONTAL_LABELS

    @property
    def _font_size(self) -> float:
        return 7.5 if self._radial_labels else 9.5

    @cached_property
    def labels(self) -> dict[str, str]:
        """Each task's name, with the value of its spoke in a star."""
        labels = {task: _short(task) for task in self.graph.tasks}
        decimals = _decimals([edge.weight for edge in self.graph.edges])
        for edge in self.graph.edges:
            if edge.source == VIRTUAL:
                labels[edge.target] += f"  {edge.weight:z.{decimals}f}"
        return labels

    @property
    def _reach(self) -> tuple[float, float]:
        """How far node and label stand out of the circle, sideways and upwards, in inches."""
        gap = self._node_radius + 0.15
        text = max(_text_width(label, self._font_size) for label in self.labels.values())
        return gap + text, gap + (text if self._radial_labels else 0.25)

    @cached_property
    def drawn_edges(self) -> list[Edge]:
        """What is drawn, the weakest first so that the strongest lies on top."""
        edges = _without_loops(self.graph.edges)
        if self.sources_per_task:
            incoming = (self.graph.incoming(task) for task in self.graph.tasks)
            edges = [e for group in incoming for e in _without_loops(group)[: self.sources_per_task]]
        return sorted(edges, key=lambda edge: edge.weight)

    @property
    def sources_per_task(self) -> int:
        """How many of the strongest edges into a task are drawn; 0 means all."""
        if self.graph.virtual or len(_without_loops(self.graph.edges)) <= _ALL_EDGES:
            return 0
        return 3 if len(self.graph.tasks) <= _ANNOTATED_TASKS else 2

    @property
    def title(self) -> str:
        """How to read the arrows, and their range."""
        weights = [edge.weight for edge in _without_loops(self.graph.edges)]
        if not weights and len(self.graph.tasks) == 1:
            return "no edges: there is one task"
        if not weights:
            return "no edges: this architecture does not let tasks read from each other"
        what = "an arrow points to the task that reads"
        if self.graph.virtual:
            what = "how much each task reads from the hub"
        elif self.sources_per_task:
            what += f"; drawn: the strongest {self.sources_per_task} sources of each task"
        decimals = _decimals(weights)
        return f"{what}\nthin and pale: {min(weights):z.{decimals}f}; thick and dark: {max(weights):z.{decimals}f}"

    def positions(self) -> dict[str, tuple[float, float]]:
        """Each node's place in inches from the middle of the circle."""
        angles = self._angles().items()
        positions = {task: (self.radius * math.cos(angle), self.radius * math.sin(angle)) for task, angle in angles}
        return {**positions, VIRTUAL: (0.0, 0.0)} if self.graph.virtual else positions

    def _angles(self) -> dict[str, float]:
        step = 2 * math.pi / len(self.graph.tasks)
        return {task: math.pi / 2 - i * step for i, task in enumerate(self.graph.tasks)}

    def draw(self, area: Area) -> None:
        """Draw into an area of at least this size."""
        top = area.title(self.title)
        axes = area.axes(0, 0, area.width, top)
        axes.set_axis_off()
        axes.set_xlim(-area.width / 2, area.width / 2)  # one unit is one inch
        axes.set_ylim(-top / 2, top / 2)
        self._draw_edges(axes)
        self._draw_nodes(axes)
        self._draw_labels(axes)

    def _draw_edges(self, axes: Axes) -> None:
        positions = self.positions()
        weights = [edge.weight for edge in _without_loops(self.graph.edges)]
        widest = 2.5 if self._radial_labels else 4.0
        for order, edge in enumerate(self.drawn_edges):
            strength = _strength(edge.weight, weights)
            arrow = FancyArrowPatch(
                positions[edge.source],
                positions[edge.target],
                connectionstyle=f"arc3,rad={0 if VIRTUAL in (edge.source, edge.target) else 0.16}",
                arrowstyle="-|>",
                mutation_scale=5 + 2.5 * widest * strength,
                shrinkA=72 * self._size(edge.source),
                shrinkB=72 * self._size(edge.target) + 1,
                linewidth=0.5 + (widest - 0.5) * strength,
                alpha=0.2 + 0.75 * strength,
                color=_EDGE_COLOUR,
                zorder=1 + order / len(self.drawn_edges),
            )
            axes.add_patch(arrow)

    def _size(self, node: str) -> float:
        return 0.38 if node == VIRTUAL else self._node_radius

    def _draw_nodes(self, axes: Axes) -> None:
        for node, position in self.positions().items():
            colour = _HUB_COLOUR if node == VIRTUAL else _NODE_COLOUR
            axes.add_patch(Circle(position, self._size(node), facecolor=colour, edgecolor=_HUB_COLOUR, zorder=3))
        if self.graph.virtual:
            axes.text(0, 0, VIRTUAL, size=9, color="white", ha="center", va="center", zorder=4)

    def _draw_labels(self, axes: Axes) -> None:
        positions = self.positions()
        gap = self._node_radius + 0.1
        for task, angle in self._angles().items():
            x, y = positions[task]
            along = (math.cos(angle), math.sin(angle))
            axes.text(
                x + gap * along[0],
                y + gap * along[1],
                self.labels[task],
                size=self._font_size,
                color=TEXT_COLOUR,
                rotation_mode="anchor",
                **(_radial_alignment(angle) if self._radial_labels else _horizontal_alignment(along)),
            )


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
        return [_short(task) for task in self.graph.tasks]

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
        return max(_text_width(name, self._font_size) for name in self._names)

    @property
    def _annotated(self) -> bool:
        return len(self.graph.tasks) <= _ANNOTATED_TASKS

    @property
    def width(self) -> float:
        """In inches."""
        return self._left + self._side + 1.0  # the colour bar and its numbers

    @property
    def height(self) -> float:
        """In inches."""
        return self._below + self._side + _title_height(self.title, self.width)

    def draw(self, area: Area) -> None:
        """Draw into an area of at least this size."""
        bottom = area.title(self.title) - self._side
        axes = area.axes(self._left, bottom, self._side, self._side)
        image = axes.imshow(np.ma.masked_invalid(self.graph.matrix()), cmap=_COLOURS, aspect="auto")
        self._label_axes(axes)
        if self._annotated:
            self._annotate(axes, image)
        bar = area.axes(self._left + self._side + 0.2, bottom, 0.15, self._side)
        area.figure.colorbar(image, cax=bar).ax.tick_params(labelsize=8, length=2)

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
        decimals = _decimals(matrix[~np.isnan(matrix)].tolist())
        cells = [(row, column) for row, column in np.argwhere(~np.isnan(matrix)).tolist()]
        texts = [f"{matrix[cell]:z.{decimals}f}" for cell in cells]
        size = min(9.0, 0.85 * self._cell / max(_text_width(text, 1) for text in texts))
        for (row, column), text in zip(cells, texts, strict=True):
            colour = "white" if _is_dark(image.to_rgba(matrix[row, column])) else "black"
            axes.text(column, row, text, ha="center", va="center", size=size, color=colour)


@dataclass(frozen=True)
class SpokesPanel:
    """How much each task reads from the virtual node, as bars with one standard deviation, the strongest above."""

    graph: TaskGraph

    title = "spoke: how much a task reads from the hub; line: standard deviation over instances"

    @property
    def _bar(self) -> float:
        return 0.3 if len(self.graph.tasks) <= _ANNOTATED_TASKS else 0.14

    @property
    def _font_size(self) -> float:
        return 9.5 if len(self.graph.tasks) <= _ANNOTATED_TASKS else 7.5

    @property
    def _left(self) -> float:
        return 0.2 + max(_text_width(_short(task), self._font_size) for task in self.graph.tasks)

    @property
    def width(self) -> float:
        """In inches."""
        return self._left + 3.4

    @property
    def height(self) -> float:
        """In inches."""
        return self._bar * len(self.graph.tasks) + 0.4 + _title_height(self.title, self.width)

    def draw(self, area: Area) -> None:
        """Draw into an area of at least this size."""
        height = self._bar * len(self.graph.tasks)
        axes = area.axes(self._left, area.title(self.title) - height, 3.1, height)
        spokes = sorted(self.graph.edges, key=lambda edge: edge.weight)
        rows = range(len(spokes))
        axes.barh(rows, [edge.weight for edge in spokes], xerr=[edge.std for edge in spokes], color=_BAR_COLOUR)
        axes.set_yticks(rows, [_short(edge.target) for edge in spokes])
        axes.set_ylim(-0.6, len(spokes) - 0.4)
        axes.set_xlim(left=0)
        axes.tick_params(axis="y", length=0, labelsize=self._font_size)
        axes.tick_params(axis="x", labelsize=8)
        axes.locator_params(axis="x", nbins=5)
        axes.spines[["top", "right"]].set_visible(False)


def _without_loops(edges: Sequence[Edge]) -> list[Edge]:
    return [edge for edge in edges if edge.source != edge.target]


def _strength(weight: float, weights: Sequence[float]) -> float:
    """Where a weight lies between the smallest (0) and the largest (1)."""
    low, high = min(weights), max(weights)
    return (weight - low) / (high - low) if high > low else 0.5


def _decimals(weights: Sequence[float]) -> int:
    """As many decimals as tell the weights apart: 2 to 4."""
    if len(weights) < 2:
        return 2
    spread = max(weights) - min(weights)
    return 2 if spread >= 0.1 else 3 if spread >= 0.01 else 4


def _short(name: str, longest: int = 28) -> str:
    """A task's name as it is drawn: a long one loses its middle."""
    name = " ".join(name.split())
    return name if len(name) <= longest else f"{name[: longest // 2]}…{name[-longest // 2 + 1 :]}"


def _text_width(text: str, size: float) -> float:
    """In inches, with a little to spare."""
    properties = FontProperties(family=FONT, size=size)
    width, _, _ = TextToPath().get_text_width_height_descent(text, properties, ismath=False)
    return 1.05 * width / 72


def _lines(text: str, width: float) -> list[str]:
    """Lines of 9 points that are at most ``width`` inches long."""
    characters = max(int(width / _text_width("n", 9)), 20)
    return [line for paragraph in text.split("\n") for line in textwrap.wrap(paragraph, characters)]


def _title_height(text: str, width: float) -> float:
    return _LINE * (len(_lines(text, width)) + 1)


def _horizontal_alignment(along: tuple[float, float]) -> dict[str, str]:
    """Away from the circle's middle; ``along`` points there."""
    ha = "center" if abs(along[0]) < 0.1 else "left" if along[0] > 0 else "right"
    va = "center" if abs(along[1]) < 0.9 else "bottom" if along[1] > 0 else "top"
    return {"ha": ha, "va": va}


def _radial_alignment(angle: float) -> dict[str, str | float]:
    """Read from the middle outwards on the right half, inwards on the left: never upside down."""
    right = math.cos(angle) >= -1e-9
    return {"ha": "left" if right else "right", "va": "center", "rotation": math.degrees(angle) + (0 if right else 180)}


def _is_dark(colour: np.ndarray) -> bool:
    """Whether white is the better colour for a text on ``colour`` (red, green, blue, opacity)."""
    return 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2] < 0.5
