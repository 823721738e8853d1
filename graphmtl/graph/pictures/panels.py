"""The parts of a picture of tasks: heat map, bars, and what every part needs; nodes and arrows stand in node_link.py.

A panel knows its size in inches before anything is drawn (names are measured first), so no label overlaps another or is
cut off, with 3 tasks or with 60.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Protocol

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, fontManager
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from matplotlib.textpath import TextToPath

from graphmtl.graph.pictures.cells import Cells
from graphmtl.graph.pictures.colours import COLOURS, FRAME, OWN

__all__ = [
    "ANNOTATED_TASKS",
    "FONTS",
    "TEXT_COLOUR",
    "Area",
    "HeatMapPanel",
    "Panel",
    "SpokesPanel",
    "colour_bar",
    "draw_cells",
    "is_dark",
    "short_name",
    "text_width",
    "title_height",
    "wrapped",
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

_GRID = "#dddddd"
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
        for i, line in enumerate(wrapped(text, 9, self.width)):
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
    """The map of the edges between tasks: rows are targets (they read), columns sources.

    What is not above the control is paper-white with a dot, true edges have a frame where they are known, and what a
    task reads from itself stands apart, without a colour. Up to 20 tasks each other cell shows its number.
    ``verb`` says what a target does with its sources; empty leaves out which side does.
    """

    cells: Cells
    title: str
    verb: str = "reads from"

    @property
    def _cell(self) -> float:
        count = len(self.cells.targets)
        return 0.3 + 1.6 / count if self._annotated else max(6.5 / count, 0.135)

    @property
    def _side(self) -> float:
        return self._cell * len(self.cells.targets)

    @property
    def _font_size(self) -> float:
        return min(9.5, 72 * self._cell * 0.7)

    @property
    def _names(self) -> list[str]:
        return [short_name(task) for task in self.cells.targets]

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
        return len(self.cells.targets) <= ANNOTATED_TASKS

    @property
    def width(self) -> float:
        """In inches."""
        return self._left + self._side + 0.5 + max(text_width(end, 8) for end in self.cells.ends if end)

    @property
    def height(self) -> float:
        """In inches."""
        return self._below + self._side + title_height(self.title, self.width)

    def draw(self, area: Area) -> None:
        """Draw into an area of at least this size."""
        bottom = area.title(self.title) - self._side
        axes = area.axes(self._left, bottom, self._side, self._side)
        image = draw_cells(axes, self.cells)
        self._label_axes(axes)
        if self._annotated:
            self._annotate(axes, image)
        colour_bar(area, self.cells.ends, (self._left + self._side + 0.2, bottom, 0.15, self._side))

    def _label_axes(self, axes: Axes) -> None:
        ticks = range(len(self.cells.targets))
        axes.set_yticks(ticks, self._names)
        axes.set_xticks(ticks, self._names)
        axes.tick_params(length=0, labelsize=self._font_size, labelcolor=TEXT_COLOUR)
        for label in axes.get_xticklabels():
            slanted = {"rotation": 45, "va": "top"} if self._annotated else {"rotation": 90, "va": "center"}
            label.set(ha="right", rotation_mode="anchor", **slanted)
        if self.verb:
            axes.set_ylabel(f"target: the task that {self.verb} another", size=9, color=TEXT_COLOUR)
            axes.set_xlabel("source: the other task", size=9, color=TEXT_COLOUR)
        axes.yaxis.set_label_coords(-(self._left - 0.1) / self._side, 0.5)
        axes.xaxis.set_label_coords(0.5, -(self._below - 0.2) / self._side)

    def _annotate(self, axes: Axes, image: AxesImage) -> None:
        texts = self.cells.texts
        size = min(9.0, 0.85 * self._cell / text_width(max((text for row in texts for text in row), key=len), 1))
        colours = image.to_rgba(self.cells.places)  # (targets, sources, 4)
        for row, column in np.argwhere(~self.cells.dots).tolist():
            colour = "#777777" if row == column else "white" if is_dark(colours[row, column]) else "black"
            axes.text(column, row, texts[row][column], ha="center", va="center", size=size, color=colour)


def draw_cells(axes: Axes, cells: Cells) -> AxesImage:
    """The cells alone, without names: colours, dots and frames; what is no edge is grey."""
    axes.set_facecolor(OWN)
    image = axes.imshow(np.ma.masked_invalid(cells.places), cmap=COLOURS, aspect="auto", vmin=-1, vmax=1)
    across, up = (side.size for side in (cells.places[0], cells.places[:, 0]))
    axes.set_xticks(np.arange(across - 1) + 0.5, minor=True)
    axes.set_yticks(np.arange(up - 1) + 0.5, minor=True)
    axes.grid(which="minor", color=_GRID, linewidth=0.5)
    axes.tick_params(which="minor", length=0)
    for spine in axes.spines.values():
        spine.set_color("#bbbbbb")
    rows, columns = np.nonzero(cells.dots)
    axes.plot(columns, rows, ".", color="#999999", markersize=2.5 if up <= ANNOTATED_TASKS else 1.2)
    for row, column in np.argwhere(cells.frames).tolist():
        thick = 1.4 if up <= ANNOTATED_TASKS else 0.8
        axes.add_patch(Rectangle((column - 0.46, row - 0.46), 0.92, 0.92, fill=False, color=FRAME, linewidth=thick))
    return image


@dataclass(frozen=True)
class SpokesPanel:
    """How much each task reads from the virtual node, as a ratio to the mean spoke from half to double.

    Bars that are not above the control are paper-white with a dot. The number behind a name is the spoke.
    """

    cells: Cells
    spokes: Mapping[str, float]
    title: str

    @property
    def _bar(self) -> float:
        return 0.3 if len(self.cells.targets) <= ANNOTATED_TASKS else 0.14

    @property
    def _font_size(self) -> float:
        return 9.5 if len(self.cells.targets) <= ANNOTATED_TASKS else 7.5

    @property
    def _names(self) -> list[str]:
        return [f"{short_name(task)}  {self.spokes[task]:.3f}" for task in self.cells.targets if task in self.spokes]

    @property
    def _left(self) -> float:
        return 0.2 + max(text_width(name, self._font_size) for name in self._names)

    @property
    def width(self) -> float:
        """In inches."""
        return self._left + 3.0

    @property
    def height(self) -> float:
        """In inches."""
        return self._bar * len(self._names) + 0.4 + title_height(self.title, self.width)

    def draw(self, area: Area) -> None:
        """Draw into an area of at least this size."""
        height = self._bar * len(self._names)
        axes = area.axes(self._left, area.title(self.title) - height, 2.6, height)
        shown = [task in self.spokes for task in self.cells.targets]
        places, dots = self.cells.places[shown, 0], self.cells.dots[shown, 0]  # (tasks,)
        lengths = np.log2([self.spokes[task] for task in self.cells.targets if task in self.spokes])
        lengths = (lengths - np.log2(np.mean([*self.spokes.values()]))).clip(-1, 1)
        order = np.argsort(lengths, kind="stable")
        rows = range(len(order))
        colours = COLOURS((places[order] + 1) / 2)
        axes.barh(rows, lengths[order], color=colours, edgecolor="#999999", linewidth=0.6)
        axes.plot(np.zeros(dots.sum()), np.flatnonzero(dots[order]), ".", color="#999999", markersize=4)
        axes.set_yticks(rows, [self._names[i] for i in order])
        axes.set_ylim(-0.6, len(order) - 0.4)
        axes.set_xlim(-1, 1)
        axes.set_xticks([-1, 0, 1], ["half", "mean", "double"])
        axes.axvline(0, color=TEXT_COLOUR, linewidth=0.8)
        axes.tick_params(axis="y", length=0, labelsize=self._font_size)
        axes.tick_params(axis="x", labelsize=8)
        axes.spines[["top", "right", "left"]].set_visible(False)


def colour_bar(area: Area, ends: tuple[str | None, str, str], place: tuple[float, float, float, float]) -> None:
    """The palette with what its ends and its middle mean; from the middle on where nothing is below it."""
    axes = area.axes(*place)
    low = 0 if ends[0] is None else -1
    axes.imshow(np.linspace(low, 1, 128)[:, None], cmap=COLOURS, aspect="auto", origin="lower", vmin=-1, vmax=1)
    axes.set_xticks([])
    axes.yaxis.tick_right()
    named = [end for end in ends if end is not None]
    axes.set_yticks(np.linspace(0, 127, len(named)), named)
    axes.tick_params(labelsize=8, length=2, labelcolor=TEXT_COLOUR)
    for spine in axes.spines.values():
        spine.set_color("#bbbbbb")


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


def wrapped(text: str, size: float, width: float) -> list[str]:
    """Lines of this size that are at most ``width`` inches long, where no word is longer."""
    lines: list[str] = []
    for paragraph in text.split("\n"):
        words = paragraph.split()
        line = words[:1]
        for word in words[1:]:
            if text_width(" ".join([*line, word]), size) > width:
                lines.append(" ".join(line))
                line = []
            line.append(word)
        lines += [" ".join(line)] if line else []
    return lines


def title_height(text: str, width: float) -> float:
    """Of a panel's title, with the gap below it, in inches."""
    return _LINE * (len(wrapped(text, 9, width)) + 1)


def is_dark(colour: np.ndarray) -> bool:
    """Whether white is the better colour for a text on ``colour`` (red, green, blue, opacity)."""
    return 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2] < 0.5
