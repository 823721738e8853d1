"""Who reads from whom, as nodes and arrows."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Circle, FancyArrowPatch

from graphmtl.graph.pictures.cells import Cells
from graphmtl.graph.pictures.colours import PALETTES
from graphmtl.graph.pictures.panels import TEXT_COLOUR, Area, short_name, text_width, title_height

__all__ = ["NodeLinkPanel"]

_EDGE_COLOUR = PALETTES["light"]["plus"]
_NODE_COLOUR = "#dfe3ea"
_NODE_EDGE = "#44475a"
_HORIZONTAL_LABELS = 16  # more names than that stand around the circle like spokes


@dataclass(frozen=True)
class NodeLinkPanel:
    """The edges that are above the control: tasks on a circle, clockwise from the top; an arrow points to the reader.

    An arrow's width and opacity say how far it is beyond the control, on the scale of the map. Of a symmetric measure
    each pair is one line.
    """

    cells: Cells
    directed: bool = True

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
        count = len(self.cells.targets)
        return max(min(1.1 + 0.085 * count, 3.8), 0.16 * count / (2 * math.pi))

    @property
    def _node_radius(self) -> float:
        return min(0.15, 0.6 * self.radius * math.pi / len(self.cells.targets))

    @property
    def _radial_labels(self) -> bool:
        return len(self.cells.targets) > _HORIZONTAL_LABELS

    @property
    def _font_size(self) -> float:
        return 7.5 if self._radial_labels else 9.5

    @property
    def labels(self) -> dict[str, str]:
        """Each task's name as it is drawn."""
        return {task: short_name(task) for task in self.cells.targets}

    @property
    def _reach(self) -> tuple[float, float]:
        """How far node and label stand out of the circle, sideways and upwards, in inches."""
        gap = self._node_radius + 0.15
        text = max(text_width(label, self._font_size) for label in self.labels.values())
        return gap + text, gap + (text if self._radial_labels else 0.25)

    @cached_property
    def drawn_edges(self) -> list[tuple[str, str, float]]:
        """Source, target and strength from 0 to 1 of what is drawn, the weakest first: the strongest lies on top."""
        tasks, places = self.cells.targets, self.cells.places
        above = np.argwhere(~np.isnan(places) & ~self.cells.dots).tolist()
        edges = [(tasks[j], tasks[k], float(places[k, j])) for k, j in above if self.directed or j < k]
        return sorted(edges, key=lambda edge: edge[2])

    @property
    def title(self) -> str:
        """How to read the arrows."""
        lines = "an arrow points to the reader" if self.directed else "a line joins a pair"
        return f"what is above the control: {lines}"

    def positions(self) -> dict[str, tuple[float, float]]:
        """Each node's place in inches from the middle of the circle."""
        angles = self._angles().items()
        return {task: (self.radius * math.cos(angle), self.radius * math.sin(angle)) for task, angle in angles}

    def _angles(self) -> dict[str, float]:
        step = 2 * math.pi / len(self.cells.targets)
        return {task: math.pi / 2 - i * step for i, task in enumerate(self.cells.targets)}

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
        widest = 2.5 if self._radial_labels else 4.0
        for order, (source, target, strength) in enumerate(self.drawn_edges):
            arrow = FancyArrowPatch(
                positions[source],
                positions[target],
                connectionstyle=f"arc3,rad={self._bow(source, target)}",
                arrowstyle="-|>" if self.directed else "-",
                mutation_scale=5 + 2.5 * widest * strength,
                shrinkA=72 * self._node_radius,
                shrinkB=72 * self._node_radius + 1,
                linewidth=0.8 + (widest - 0.8) * strength,
                alpha=0.35 + 0.6 * strength,
                color=_EDGE_COLOUR,
                zorder=1 + order / len(self.drawn_edges),
            )
            axes.add_artist(arrow)  # add_patch works out how far each arrow reaches, and the limits are set

    def _bow(self, source: str, target: str) -> float:
        """How far an arrow bends to its right, as a share of its length.

        Towards the middle, the more so between neighbours, so that no arrow runs under the nodes between; an edge and
        its reverse lie apart.
        """
        angles = self._angles()
        turn = (angles[source] - angles[target]) % (2 * math.pi)  # clockwise: the middle is on the right
        return 0.16 + 0.5 * math.cos(turn / 2) ** 3

    def _draw_nodes(self, axes: Axes) -> None:
        for position in self.positions().values():
            node = Circle(position, self._node_radius, facecolor=_NODE_COLOUR, edgecolor=_NODE_EDGE, zorder=3)
            axes.add_patch(node)

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


def _horizontal_alignment(along: tuple[float, float]) -> dict[str, str]:
    """Away from the circle's middle; ``along`` points there."""
    ha = "center" if abs(along[0]) < 0.1 else "left" if along[0] > 0 else "right"
    va = "center" if abs(along[1]) < 0.9 else "bottom" if along[1] > 0 else "top"
    return {"ha": ha, "va": va}


def _radial_alignment(angle: float) -> dict[str, str | float]:
    """Read from the middle outwards on the right half, inwards on the left: never upside down."""
    right = math.cos(angle) >= -1e-9
    return {"ha": "left" if right else "right", "va": "center", "rotation": math.degrees(angle) + (0 if right else 180)}
