"""Pictures of one text: what each of its tokens read, from its tokens (star) or from the tasks (complete, cmtr)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from graphmtl.errors import InputError
from graphmtl.graph.pictures.colours import COLOURS
from graphmtl.graph.pictures.figure import draw_panels
from graphmtl.graph.pictures.panels import (
    TEXT_COLOUR,
    Area,
    Panel,
    colour_bar,
    is_dark,
    short_name,
    text_width,
    title_height,
)

__all__ = ["LONGEST", "StripPanel", "TokenMapPanel", "draw_token_maps", "over_equal", "reads_others", "rows_are_alike"]

LONGEST = 120
"""Tokens of a text that can be drawn."""
_CELL, _SIZE = 0.24, 8.5  # inches, and points of the names
_WIDEST = 16.0  # inches
_ENDS = ("half", "equal", "double")
_ALIKE = math.log2(1.1)  # rows whose shares are nowhere farther apart than a tenth show the same
_STRIP = 6.0  # inches of a line of words
_WORD, _LINE = 10.0, 0.28  # points, and inches from line to line


def over_equal(weights: np.ndarray) -> np.ndarray:
    """Shares (tokens, nodes) as the logarithm to the base 2 of their ratio to the row's mean; -10 for a share of 0."""
    mean = weights.mean(1, keepdims=True)
    ratios = np.divide(weights, mean, out=np.ones_like(weights), where=mean > 0)
    return np.log2(np.maximum(ratios, 2.0**-10))


def rows_are_alike(weights: np.ndarray) -> bool:
    """Whether every row of shares (tokens, nodes) shows the same, but for what lies below half of the equal share."""
    places = over_equal(weights).clip(-1, 1)
    return bool(np.ptp(places, axis=0).max() < _ALIKE)


@dataclass(frozen=True)
class TokenMapPanel:
    """What each token (row) read from each node (column), over the equal share.

    Args:
        tokens: the rows.
        nodes: the columns.
        weights: (tokens, nodes).
        title: what stands above.
        nodes_are: what the columns are, in words.
    """

    tokens: Sequence[str]
    nodes: Sequence[str]
    weights: np.ndarray
    title: str
    nodes_are: str

    @property
    def _left(self) -> float:
        return 0.2 + max(text_width(short_name(token), _SIZE) for token in self.tokens)

    @property
    def _below(self) -> float:
        return 0.45 + max(text_width(short_name(node), _SIZE) for node in self.nodes)

    @property
    def width(self) -> float:
        """In inches."""
        return max(self._left + _CELL * len(self.nodes) + 0.9, 3.0)  # the colour bar and its ends

    @property
    def _up(self) -> float:
        """A map of few rows leaves the ends of its palette room."""
        return max(_CELL * len(self.tokens), 0.6)

    @property
    def height(self) -> float:
        """In inches."""
        return self._below + self._up + title_height(self.title, self.width)

    def draw(self, area: Area) -> None:
        """Draw into an area of at least this size."""
        across, up = _CELL * len(self.nodes), self._up
        bottom = area.title(self.title) - up
        axes = area.axes(self._left, bottom, across, up)
        axes.imshow(over_equal(self.weights).clip(-1, 1), cmap=COLOURS, aspect="auto", vmin=-1, vmax=1)
        self._label(axes, up)
        colour_bar(area, _ENDS, (self._left + across + 0.15, bottom, 0.12, up))

    def _label(self, axes: Axes, up: float) -> None:
        axes.set_yticks(range(len(self.tokens)), [short_name(token) for token in self.tokens])
        axes.set_xticks(range(len(self.nodes)), [short_name(node) for node in self.nodes], rotation=90)
        axes.tick_params(length=0, labelsize=_SIZE, labelcolor=TEXT_COLOUR)
        axes.set_xlabel(self.nodes_are, size=9, color=TEXT_COLOUR)
        axes.xaxis.set_label_coords(0.5, -(self._below - 0.15) / up)
        for spine in axes.spines.values():
            spine.set_color("#bbbbbb")


@dataclass(frozen=True)
class StripPanel:
    """The words of a text in lines, or the tasks, each on the colour of what was read from it over the equal share.

    Args:
        words: in their order.
        weights: (words,).
        title: what stands above.
    """

    words: Sequence[str]
    weights: np.ndarray
    title: str

    @cached_property
    def _places(self) -> list[tuple[float, int, float]]:
        """Of each word how far from the left, in which line, and how wide it is, in inches."""
        places, left, line = [], 0.0, 0
        for word in self.words:
            wide = text_width(short_name(word), _WORD) + 0.12
            if left and left + wide > _STRIP:
                left, line = 0.0, line + 1
            places.append((left, line, wide))
            left += wide + 0.04
        return places

    @property
    def width(self) -> float:
        """In inches."""
        return max(left + wide for left, _, wide in self._places) + 1.3  # the colour bar and its ends

    @property
    def _up(self) -> float:
        return max(_LINE * (self._places[-1][1] + 1), 0.6)

    @property
    def height(self) -> float:
        """In inches."""
        return self._up + 0.15 + title_height(self.title, self.width)

    def draw(self, area: Area) -> None:
        """Draw into an area of at least this size."""
        across, bottom = area.width - 1.2, area.title(self.title) - self._up
        axes = area.axes(0.1, bottom, across, self._up)
        axes.set_axis_off()
        axes.set_xlim(0, across)  # one unit is one inch
        axes.set_ylim(self._up, 0)
        colours = COLOURS((over_equal(self.weights[None])[0].clip(-1, 1) + 1) / 2)  # (words, 4)
        for word, colour, (left, line, wide) in zip(self.words, colours, self._places, strict=True):
            box = {"facecolor": colour, "edgecolor": "#dddddd", "linewidth": 0.5}
            axes.add_patch(Rectangle((left, _LINE * line), wide, 0.9 * _LINE, **box))
            ink = "white" if is_dark(colour) else "black"
            middle = (left + wide / 2, _LINE * (line + 0.45))
            axes.text(*middle, short_name(word), size=_WORD, ha="center", va="center", color=ink)
        colour_bar(area, _ENDS, (across + 0.3, bottom, 0.12, self._up))


def draw_token_maps(answers: Sequence[dict], *, heading: str) -> Figure:
    """A map for each task, side by side and in rows; one strip of words where every token read the same.

    Args:
        answers: what ``MultiTaskModel.predict`` says of one text for each task, with ``edges="tokens"``.
        heading: what stands above.

    Raises:
        InputError: no token, too many tokens, or a task that reads from no other node.
    """
    tokens = answers[0].get("tokens", ())
    if not 0 < len(tokens) <= LONGEST:
        raise InputError(f"--text has {len(tokens)} tokens; a text of 1 to {LONGEST} can be drawn")
    about = "what was read, over the equal share"
    return draw_panels([_panel(answer) for answer in answers], heading=heading, about=about, widest=_WIDEST)


def reads_others(answer: dict) -> bool:
    """Whether a task reads from another node than itself."""
    return any(edge["source"] != answer["task"] for edges in answer.get("edges", ()) for edge in edges)


def _panel(answer: dict) -> Panel:
    tokens, edges, task = answer["tokens"], answer["edges"], answer["task"]
    if not reads_others(answer):
        raise InputError(f"--text: task {task!r} reads from no other node, so there is nothing to draw")
    labels = answer.get("labels")
    rows = tokens if labels is None else [f"{token}  {label}" for token, label in zip(tokens, labels, strict=True)]
    reads_words = "reads" in edges[0][0]
    if reads_words:
        weights = np.array([edge["reads"] for (edge,) in edges])  # (tokens, tokens)
        nodes, what = tokens, "token that was read"
    else:
        nodes = [edge["source"] for edge in edges[0] if edge["source"] != task]
        weights = np.array([[edge["weight"] for edge in own if edge["source"] != task] for own in edges])
        what = "task that was read"
    title, itself = f"{short_name(task)}{_said(answer)}", _of_itself(answer)
    if rows_are_alike(weights):
        which = "tokens" if reads_words else "tasks"
        return StripPanel(nodes, weights.mean(0), f"{title}; which {which} the text read{itself}")
    return TokenMapPanel(rows, nodes, weights, f"{title}; what each token read{itself}", what)


def _of_itself(answer: dict) -> str:
    """The share that the task reads from itself, where it does."""
    own = [edge["weight"] for edges in answer["edges"] for edge in edges if edge["source"] == answer["task"]]
    return f"; itself {np.mean(own):.2f}" if own else ""


def _said(answer: dict) -> str:
    """The answer, where the whole text has one."""
    label, value = answer.get("label"), answer.get("value")
    if label is None:
        return "" if value is None else f": {value:.2f}"
    known = answer.get("probabilities")  # of choices a list
    probability = known.get(label) if isinstance(known, dict) and isinstance(label, str) else None
    return f": {label}" + ("" if probability is None else f" ({probability:.2f})")
