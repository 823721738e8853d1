"""Pictures of the task graph: a K x K map of who reads from whom, and as nodes and arrows what is above the control."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.style
from matplotlib.figure import Figure

from graphmtl.data.planted_truth import PlantedTruth
from graphmtl.errors import InputError, check_kind
from graphmtl.files import written_whole
from graphmtl.graph.pictures.held import Held, held
from graphmtl.graph.pictures.node_link import NodeLinkPanel
from graphmtl.graph.pictures.panels import FONTS, TEXT_COLOUR, Area, HeatMapPanel, Panel, SpokesPanel, wrapped
from graphmtl.graph.task_graph import TaskGraph

__all__ = ["STYLE", "draw_panels", "draw_task_graph", "save_figure"]

_DPI = 150
_MARGIN = 0.15  # inches around a panel
_HEADING = 0.45
_LINE = 0.25  # of a heading's next line
_NARROWEST, _WIDEST = 4.0, 18.0  # of a picture
_PALE = "#666666"
_METADATA = {".png": {"Software": "graphmtl"}, ".svg": {"Date": None}}  # of each format: nothing that changes
STYLE: list[str | dict[str, Any]] = [
    "default",
    {"font.family": FONTS, "svg.hashsalt": "graphmtl", "svg.fonttype": "path", "text.parse_math": False},
]


def draw_task_graph(
    graph: TaskGraph,
    *,
    control: TaskGraph | None = None,
    beside: Mapping[str, TaskGraph] | None = None,
    beside_controls: Mapping[str, TaskGraph] | None = None,
    truth: PlantedTruth | None = None,
    is_control: bool = False,
    about: str | None = None,
) -> Figure:
    """The map of a graph, and beside it the edges that are above the control as nodes and arrows, where there are any.

    The heading is what the first map shows (:func:`~graphmtl.graph.pictures.held.held` says which is first). A star has
    no edges between tasks: its maps are those of ``beside``, and beside them stand the spokes as bars. Tasks that read
    from each other (in a star: whose affinity is high) stand side by side. The same graph always gives the same
    picture.

    Args:
        graph: has edges, or one of ``beside`` has.
        control: the same graph of the run on shuffled labels; None: it is not compared.
        beside: the other graphs of the run, by name: ``transferability``, ``ablation``, ``affinity``, ``linear``, each
            that of its ``task_NAME.json``.
        beside_controls: what each of these is held against.
        truth: the true task graph, whose edges get a frame, where it is known.
        is_control: the graph is that of a run on shuffled labels itself.
        about: what stands below the heading; by default architecture, tasks, split and seed.

    Raises:
        ValueError: there are no edges, a graph beside is of something else, or a control is of other tasks.
    """
    check_kind("graph", graph, TaskGraph, "a TaskGraph")
    found = held(graph, control=control, beside=beside, beside_controls=beside_controls, truth=truth)
    if not found:
        raise ValueError(f"graph: expected one with edges, found {graph!r}")
    heading = "trained on shuffled labels: what is seen here is chance" if is_control else found[0].finding
    count = f"{len(graph.tasks)} task" + ("s" if len(graph.tasks) > 1 else "")
    panels = [panel for each in found for panel in _panels(each, arrows=each is found[0])]
    splits = " and ".join(dict.fromkeys(each.graph.split for each in found))
    whose = f"{graph.arch}: {count}, {splits} split, seed {graph.seed}"
    return draw_panels(panels, heading=heading, about=about or whose, widest=_WIDEST)


def _panels(found: Held, *, arrows: bool) -> list[Panel]:
    """The map, and the nodes and arrows where an edge is above the control; of spokes the bars."""
    drawn, directed = found.cells, found.directed
    if found.graph.virtual:
        spokes = {edge.target: edge.weight for edge in found.graph.edges}
        return [SpokesPanel(drawn, spokes, f"{found.title}: {found.finding}")]
    title = found.title
    title += f"; {drawn.unit}" if found.evidence.ratio else ""
    title += "; a dot: not above the control" if drawn.dots.any() else ""
    title += "; a frame: a true edge" if drawn.frames.any() else ""
    panels: list[Panel] = [HeatMapPanel(drawn, title=title, verb=found.verb)]
    return [*panels, NodeLinkPanel(drawn, directed=directed)] if arrows and found.evidence.above.any() else panels


def draw_panels(panels: Sequence[Panel], *, heading: str, about: str = "", widest: float = math.inf) -> Figure:
    """Panels side by side under a heading and what they are ``about``, in rows of at most ``widest`` inches."""
    rows = _rows(panels, widest)
    heights = [max(panel.height for panel in row) for row in rows]
    with matplotlib.style.context(STYLE):
        width = max(*(_across(row) for row in rows), _NARROWEST)
        lines = [(line, 13, TEXT_COLOUR) for line in wrapped(heading, 13, width - 2 * _MARGIN)]
        lines += [(line, 9, _PALE) for line in wrapped(about, 9, width - 2 * _MARGIN)]
        above = _HEADING + _LINE * (len(lines) - 1)
        height = sum(heights) + 2 * _MARGIN * len(rows) + above
        figure = Figure(figsize=(width, height), dpi=_DPI, facecolor="white")
        for place, (line, size, colour) in enumerate(lines):
            y = height - (_HEADING + _MARGIN) / 2 - _LINE * place
            figure.text(_MARGIN / width, y / height, line, size=size, va="center", color=colour)
        bottom = height - above + _MARGIN
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
    check_kind("figure", figure, Figure, "a figure of matplotlib")
    path = Path(path)
    metadata = _METADATA.get(path.suffix.lower())
    if metadata is None:
        raise InputError(f"{path}: unknown picture format {path.suffix!r}; accepted: {', '.join(_METADATA)}")
    with written_whole(path) as part, matplotlib.style.context(STYLE):
        figure.savefig(part, format=path.suffix[1:].lower(), dpi=_DPI, facecolor="white", metadata=metadata)
