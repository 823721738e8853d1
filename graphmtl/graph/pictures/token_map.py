"""Pictures of one text: what each of its tokens read, from its tokens (star) or from the tasks (complete, cmtr)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from graphmtl.errors import InputError
from graphmtl.graph.pictures.figure import draw_panels
from graphmtl.graph.pictures.panels import (
    COLOURS,
    TEXT_COLOUR,
    Area,
    colour_bar,
    colour_range,
    short_name,
    text_width,
    title_height,
)

__all__ = ["LONGEST", "TokenMapPanel", "draw_token_maps"]

LONGEST = 120
"""Tokens of a text that can be drawn."""
_CELL, _SIZE = 0.24, 8.5  # inches, and points of the names
_WIDEST = 16.0  # inches


@dataclass(frozen=True)
class TokenMapPanel:
    """What each token (row) read from each node (column), the darker the more.

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
        return max(self._left + _CELL * len(self.nodes) + 0.9, 3.0)  # the colour bar and its numbers

    @property
    def height(self) -> float:
        """In inches."""
        return self._below + _CELL * len(self.tokens) + title_height(self.title, self.width)

    def draw(self, area: Area) -> None:
        """Draw into an area of at least this size."""
        across, up = _CELL * len(self.nodes), _CELL * len(self.tokens)
        bottom = area.title(self.title) - up
        axes = area.axes(self._left, bottom, across, up)
        low, high = colour_range(self.weights)
        image = axes.imshow(self.weights, cmap=COLOURS, aspect="auto", vmin=low, vmax=high)
        self._label(axes, up)
        colour_bar(area, image, (self._left + across + 0.15, bottom, 0.12, up))

    def _label(self, axes: Axes, up: float) -> None:
        axes.set_yticks(range(len(self.tokens)), [short_name(token) for token in self.tokens])
        axes.set_xticks(range(len(self.nodes)), [short_name(node) for node in self.nodes], rotation=90)
        axes.tick_params(length=0, labelsize=_SIZE, labelcolor=TEXT_COLOUR)
        axes.set_xlabel(self.nodes_are, size=9, color=TEXT_COLOUR)
        axes.xaxis.set_label_coords(0.5, -(self._below - 0.15) / up)
        for spine in axes.spines.values():
            spine.set_color("#bbbbbb")


def draw_token_maps(answers: Sequence[dict], *, heading: str) -> Figure:
    """A map for each task, side by side and in rows.

    Args:
        answers: what ``MultiTaskModel.predict`` says of one text for each task, with ``edges="tokens"``.
        heading: what stands above.

    Raises:
        InputError: no token, too many tokens, or no edges.
    """
    tokens = answers[0].get("tokens", ())
    if not 0 < len(tokens) <= LONGEST:
        raise InputError(f"--text has {len(tokens)} tokens; a text of 1 to {LONGEST} can be drawn")
    if len(answers) > 1:
        heading = f"{heading}; each map has its own scale"
    return draw_panels([_panel(answer) for answer in answers], heading=heading, widest=_WIDEST)


def _panel(answer: dict) -> TokenMapPanel:
    tokens, edges, task = answer["tokens"], answer["edges"], answer["task"]
    if not edges[0]:
        raise InputError(f"--text: task {task!r} reads from no node, so there is nothing to draw")
    labels = answer.get("labels")
    rows = tokens if labels is None else [f"{token}  {label}" for token, label in zip(tokens, labels, strict=True)]
    if len(edges) < len(tokens):  # cmtr reads tasks once for a whole text
        rows = ["the whole text"]
    if "reads" in edges[0][0]:
        reads = np.array([edge["reads"] for (edge,) in edges])  # (tokens, tokens)
        return TokenMapPanel(rows, tokens, reads, f"{short_name(task)}: what each token read", "token that was read")
    weights = np.array([[edge["weight"] for edge in own] for own in edges])  # (tokens, sources)
    sources = [edge["source"] for edge in edges[0]]
    title = f"{short_name(task)}: which task {'the text' if len(rows) < len(tokens) else 'each token'} read"
    return TokenMapPanel(rows, sources, weights, title, "task that was read")
