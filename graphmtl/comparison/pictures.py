"""Pictures of a comparison: each task's difference with its interval (a forest plot), and every task's gain at once."""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from graphmtl.comparison.bootstrap import Difference
from graphmtl.comparison.comparing import MAJORITY, Compared, Differences
from graphmtl.graph.pictures.figure import draw_panels
from graphmtl.graph.pictures.panels import TEXT_COLOUR, Area, text_width, title_height

__all__ = ["draw_forest", "draw_gains"]

_WIDEST = 15.0  # inches of panels side by side
_ACROSS = 3.4  # inches of a panel, without the names
_LINE = 0.24  # inches of a task
_BELOW = 0.5  # of the axis, its numbers and label
_SIZE = 9
_COLOURS = {"better": "#0072b2", "worse": "#b3430a", "within chance": "#87919f"}  # those of the report's page
_SERIES = ("#0072b2", "#d55e00", "#009e73", "#b25a8d", "#8a6d00", "#3d7fa6")
_SHAPES = "osD^vP"
_LINE_COLOUR = "#dcdfe3"


def draw_forest(compared: Compared) -> Figure:
    """A panel for every row: the differences to the reference, their intervals, and the mean below them."""
    shown = _shown(compared)
    limits = _limits([each for own in shown for each in _differences(own)])
    panels = [_ForestPanel(own, f"{own.ours} against {own.theirs}", limits) for own in shown]
    return draw_panels(panels, heading=_heading(compared), widest=_WIDEST)


def draw_gains(compared: Compared) -> Figure:
    """Every task's differences to the reference, a mark for each row, the task that gains most above."""
    return draw_panels([_GainsPanel(_shown(compared), compared.against)], heading=_heading(compared))


def _shown(compared: Compared) -> list[Differences]:
    """The majority is so far away that nothing else could be told apart beside it."""
    return [own for name, own in compared.to_reference.items() if name != MAJORITY and own.tasks]


def _heading(compared: Compared) -> str:
    seeds = f"seed{'s' if len(compared.seeds) > 1 else ''} {', '.join(map(str, compared.seeds))}"
    return f"difference to {compared.against}, points of the test score, {seeds}"


def _differences(found: Differences) -> list[Difference]:
    return [*(each.found for each in found.tasks.values()), *([] if found.mean is None else [found.mean])]


def _limits(found: list[Difference]) -> tuple[float, float]:
    """Ends of an axis that has 0 and every interval."""
    low, high = min(0.0, *(each.low for each in found)), max(0.0, *(each.high for each in found))
    margin = 0.05 * (high - low) or 1.0
    return low - margin, high + margin


def _name_width(names: list[str]) -> float:
    return 0.2 + max(text_width(name, _SIZE) for name in names)


def _prepare(axes: Axes, names: list[str], limits: tuple[float, float]) -> None:
    """Names at the left, the first above, and a line at 0."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlim(*limits)
    axes.axvline(0, color=TEXT_COLOUR, linewidth=0.8, zorder=1)
    axes.grid(axis="x", color=_LINE_COLOUR, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0, labelsize=_SIZE, labelcolor=TEXT_COLOUR)
    axes.tick_params(axis="x", labelsize=8)
    axes.locator_params(axis="x", nbins=6)
    axes.set_xlabel("points", size=_SIZE, color=TEXT_COLOUR)
    axes.spines[["top", "right", "left"]].set_visible(False)


@dataclass(frozen=True)
class _ForestPanel:
    """A row's differences with their 95 % intervals; full marks are beyond chance, corrected for the tasks."""

    found: Differences
    title: str
    limits: tuple[float, float]

    @property
    def _names(self) -> list[str]:
        return [*self.found.tasks, *([] if self.found.mean is None else ["mean"])]

    @property
    def width(self) -> float:
        """In inches."""
        return _name_width(self._names) + _ACROSS

    @property
    def height(self) -> float:
        """In inches."""
        return _LINE * len(self._names) + _BELOW + title_height(self.title, self.width)

    def draw(self, area: Area) -> None:
        """Draw into an area of at least this size."""
        height = _LINE * len(self._names)
        axes = area.axes(_name_width(self._names), area.title(self.title) - height, _ACROSS - 0.15, height)
        _prepare(axes, self._names, self.limits)
        for place, own in enumerate(self.found.tasks.values()):
            colour = _COLOURS[own.verdict]
            axes.plot([own.found.low, own.found.high], [place, place], color=colour, linewidth=1.6)
            full = colour if own.beyond_chance else "white"
            axes.plot(own.found.mean, place, "o", color=colour, markersize=5, markerfacecolor=full)
        mean = self.found.mean
        if mean is not None:
            place = len(self.found.tasks)
            corners = [(mean.low, place), (mean.mean, place - 0.28), (mean.high, place), (mean.mean, place + 0.28)]
            axes.fill(*zip(*corners, strict=True), color=TEXT_COLOUR)


@dataclass(frozen=True)
class _GainsPanel:
    """Every row's differences at once, without their intervals."""

    found: list[Differences]
    against: str

    @property
    def _tasks(self) -> list[str]:
        """The one with the highest mean difference above."""
        names = dict.fromkeys(name for own in self.found for name in own.tasks)
        gains = {n: np.mean([own.tasks[n].found.mean for own in self.found if n in own.tasks]) for n in names}
        return sorted(names, key=lambda name: -gains[name])

    @property
    def _key(self) -> float:
        """Inches that the names of the rows take at the right."""
        return 0.5 + max(text_width(own.ours, _SIZE) for own in self.found)

    @property
    def width(self) -> float:
        """In inches."""
        return _name_width(self._tasks) + 1.6 * _ACROSS + self._key

    @property
    def height(self) -> float:
        """In inches."""
        return _LINE * max(len(self._tasks), len(self.found)) + _BELOW

    def draw(self, area: Area) -> None:
        """Draw into an area of at least this size."""
        height = _LINE * max(len(self._tasks), len(self.found))
        axes = area.axes(_name_width(self._tasks), area.height - height, 1.6 * _ACROSS, height)
        values = [each for own in self.found for each in own.tasks.values()]
        points = [Difference(mean=e.found.mean, low=e.found.mean, high=e.found.mean, p=1) for e in values]
        _prepare(axes, self._tasks, _limits(points))
        for i, own in enumerate(self.found):
            colour, shape = _SERIES[i % len(_SERIES)], _SHAPES[i // len(_SERIES) % len(_SHAPES)]
            for name, each in own.tasks.items():
                full = colour if each.beyond_chance else "white"
                place = self._tasks.index(name)
                axes.plot(each.found.mean, place, shape, color=colour, markersize=6, markerfacecolor=full)
            axes.plot([], [], shape, color=colour, markersize=6, label=own.ours)
        axes.legend(loc="upper left", bbox_to_anchor=(1.02, 1), borderaxespad=0, frameon=False, fontsize=_SIZE)
        axes.set_xlabel("points; full marks are beyond chance", size=_SIZE, color=TEXT_COLOUR)
