"""Pictures of the task graph: who reads from whom as nodes and arrows, beside the same numbers as a K x K heat map."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib.style
from matplotlib.figure import Figure

from graphmtl.errors import InputError
from graphmtl.files import written_whole
from graphmtl.graph.clustering import clustered
from graphmtl.graph.pictures.node_link import NodeLinkPanel
from graphmtl.graph.pictures.panels import FONTS, TEXT_COLOUR, Area, HeatMapPanel, Panel, SpokesPanel, text_width
from graphmtl.graph.task_graph import TaskGraph

__all__ = ["STYLE", "draw_panels", "draw_task_graph", "save_figure"]

_DPI = 150
_MARGIN = 0.15  # inches around a panel
_HEADING = 0.45
_METADATA = {".png": {"Software": "graphmtl"}, ".svg": {"Date": None}}  # of each format: nothing that changes
STYLE: list[str | dict[str, Any]] = [
    "default",
    {"font.family": FONTS, "svg.hashsalt": "graphmtl", "svg.fonttype": "path", "text.parse_math": False},
]


def draw_task_graph(graph: TaskGraph, *, affinity: TaskGraph | None = None) -> Figure:
    """The node-link picture of ``graph`` beside its heat map.

    A graph with a virtual node has no edges between tasks: beside it stands the heat map of ``affinity`` (star's
    ``task_affinity.json``), or the spokes as bars where that is not given. A graph without edges is its nodes and a
    sentence that says so. Tasks that read from each other (in a star: whose affinity is high) stand side by side. The
    same graph always gives the same picture.
    """
    if graph.virtual and affinity is not None and affinity.edges:
        affinity = clustered(affinity)
        graph = replace(graph, tasks=affinity.tasks)
    else:
        graph = clustered(graph)
    panels: list[Panel] = [NodeLinkPanel(graph)]
    if graph.virtual and affinity is not None and affinity.edges:
        panels.append(HeatMapPanel(affinity, title="task affinity: do two tasks use the hub alike?", directed=False))
    elif graph.virtual and graph.edges:
        panels.append(SpokesPanel(graph))
    elif graph.edges:
        panels.append(HeatMapPanel(graph, title="edge weights: each row reads from the columns"))
    count = f"{len(graph.tasks)} task" + ("s" if len(graph.tasks) > 1 else "")
    return draw_panels(panels, heading=f"{graph.arch}: {count}, {graph.split} split, seed {graph.seed}")


def draw_panels(panels: Sequence[Panel], *, heading: str, widest: float = math.inf) -> Figure:
    """Panels side by side under a heading, in rows of at most ``widest`` inches."""
    rows = _rows(panels, widest)
    heights = [max(panel.height for panel in row) for row in rows]
    with matplotlib.style.context(STYLE):
        width = max(_across(row) for row in rows)
        width = max(width, text_width(heading, 13) + 2 * _MARGIN)
        height = sum(heights) + 2 * _MARGIN * len(rows) + _HEADING
        figure = Figure(figsize=(width, height), dpi=_DPI, facecolor="white")
        top = height - (_HEADING + _MARGIN) / 2
        figure.text(_MARGIN / width, top / height, heading, size=13, va="center", color=TEXT_COLOUR)
        bottom = height - _HEADING + _MARGIN
        for row, tallest in zip(rows, heights, strict=True):
            left, bottom = _MARGIN, bottom - tallest - 2 * _MARGIN
            for panel in row:
                panel.draw(Area(figure, left, bottom, panel.width, tallest))
                left += panel.width + 2 * _MARGIN
    return figure


def _across(row: Sequence[Panel]) -> float:
    return sum(panel.width + 2 * _MARGIN for panel in row)


def _rows(panels: Sequence[Panel], widest: float) -> list[list[Panel]]:
    rows: list[list[Panel]] = [[]]
    for panel in panels:
        if rows[-1] and _across([*rows[-1], panel]) > widest:
            rows.append([])
        rows[-1].append(panel)
    return rows


def save_figure(figure: Figure, path: str | Path) -> None:
    """Write PNG (150 dpi) or SVG, by the ending of ``path``; a file that stands there is replaced.

    Raises:
        InputError: Another ending, or a folder that is not there.
    """
    path = Path(path)
    metadata = _METADATA.get(path.suffix.lower())
    if metadata is None:
        raise InputError(f"{path}: unknown picture format {path.suffix!r}; accepted: {', '.join(_METADATA)}")
    with written_whole(path) as part, matplotlib.style.context(STYLE):
        figure.savefig(part, format=path.suffix[1:].lower(), dpi=_DPI, facecolor="white", metadata=metadata)
