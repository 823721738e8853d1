"""Who reads from whom, as nodes and arrows."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from matplotlib.axes import Axes
from matplotlib.patches import Circle, FancyArrowPatch

from graphmtl.graph.edge import VIRTUAL, Edge
from graphmtl.graph.pictures.panels import (
    ALIKE,
    ANNOTATED_TASKS,
    TEXT_COLOUR,
    Area,
    decimals_for,
    short_name,
    text_width,
    title_height,
)
from graphmtl.graph.task_graph import TaskGraph

__all__ = ["NodeLinkPanel"]

_EDGE_COLOUR = "#2a2a72"
_NODE_COLOUR = "#dfe3ea"
_HUB_COLOUR = "#44475a"
_HORIZONTAL_LABELS = 16  # more names than that stand around the circle like spokes
_ALL_EDGES = 20  # a graph with more edges shows only the strongest into each task


@dataclass(frozen=True)
class NodeLinkPanel:
    """Tasks on a circle, clockwise from the top, the virtual node in its middle; an arrow points to the reader.

    An arrow's width and opacity say where its weight lies between the smallest and the largest that are drawn. Where
    the graph has many edges only the strongest into each task are drawn, and the title says so. Self-loops are left to
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
        return 2 * (self.radius + self._reach[1]) + title_height(self.title, self.width)

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
        labels = {task: short_name(task) for task in self.graph.tasks}
        decimals = decimals_for([edge.weight for edge in self.graph.edges])
        for edge in self.graph.edges:
            if edge.source == VIRTUAL:
                labels[edge.target] += f"  {edge.weight:z.{decimals}f}"
        return labels

    @property
    def _reach(self) -> tuple[float, float]:
        """How far node and label stand out of the circle, sideways and upwards, in inches."""
        gap = self._node_radius + 0.15
        text = max(text_width(label, self._font_size) for label in self.labels.values())
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
        return 3 if len(self.graph.tasks) <= ANNOTATED_TASKS else 2

    @property
    def title(self) -> str:
        """How to read the arrows, and their range."""
        weights = [edge.weight for edge in self.drawn_edges]
        if not weights and len(self.graph.tasks) == 1:
            return "no edges: there is one task"
        if not weights:
            return "no edges: this architecture does not let tasks read from each other"
        what = "an arrow points to the reader"
        if self.graph.virtual:
            what = "how much each task reads from the hub"
        elif self.sources_per_task:
            what += f"; drawn: each task's {self.sources_per_task} strongest sources"
        decimals = decimals_for(weights)
        if max(weights) - min(weights) < ALIKE:
            return f"{what}\nall weights: {weights[0]:z.{decimals}f}"
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
        weights = [edge.weight for edge in self.drawn_edges]
        widest = 2.5 if self._radial_labels else 4.0
        for order, edge in enumerate(self.drawn_edges):
            strength = _strength(edge.weight, weights)
            arrow = FancyArrowPatch(
                positions[edge.source],
                positions[edge.target],
                connectionstyle=f"arc3,rad={self._bow(edge)}",
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

    def _bow(self, edge: Edge) -> float:
        """How far an arrow bends to its right, as a share of its length.

        Towards the middle, the more so between neighbours, so that no arrow runs under the nodes between; an edge and
        its reverse lie apart.
        """
        if VIRTUAL in (edge.source, edge.target):
            return 0.0
        angles = self._angles()
        turn = (angles[edge.source] - angles[edge.target]) % (2 * math.pi)  # clockwise: the middle is on the right
        return 0.16 + 0.5 * math.cos(turn / 2) ** 3

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


def _without_loops(edges: Sequence[Edge]) -> list[Edge]:
    return [edge for edge in edges if edge.source != edge.target]


def _strength(weight: float, weights: Sequence[float]) -> float:
    """Where a weight lies between the smallest (0) and the largest (1); 0.5 where all are alike."""
    low, high = min(weights), max(weights)
    return (weight - low) / (high - low) if high - low >= ALIKE else 0.5


def _horizontal_alignment(along: tuple[float, float]) -> dict[str, str]:
    """Away from the circle's middle; ``along`` points there."""
    ha = "center" if abs(along[0]) < 0.1 else "left" if along[0] > 0 else "right"
    va = "center" if abs(along[1]) < 0.9 else "bottom" if along[1] > 0 else "top"
    return {"ha": ha, "va": va}


def _radial_alignment(angle: float) -> dict[str, str | float]:
    """Read from the middle outwards on the right half, inwards on the left: never upside down."""
    right = math.cos(angle) >= -1e-9
    return {"ha": "left" if right else "right", "va": "center", "rotation": math.degrees(angle) + (0 if right else 180)}
