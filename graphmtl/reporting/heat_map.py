"""A map between tasks, or between labels and answers, as the report's page shows it; its colours are those of files.

A map is a dictionary. ``names`` are those of rows and columns, ``between`` is what stands between a row's and a
column's name in words, and ``ends`` are what the palette means at -1, 0 and 1 (the first is None where nothing is below
0). A cell is None where there is no edge, else it has its number as ``text``, what is ``said`` of it, ``share``, its
place on the palette from -1 to 1 with 0 paper-white, and whether it has a ``dot`` (not above the control), a ``frame``
(a true edge), or is a task's ``own``, which has no colour.
"""

from collections.abc import Sequence

import numpy as np

from graphmtl.graph.comparison import ALIKE
from graphmtl.graph.pictures.cells import Cells, decimals_for
from graphmtl.graph.pictures.panels import ANNOTATED_TASKS

__all__ = ["confusion_map", "edge_map", "heat_map"]


def edge_map(title: str, cells: Cells) -> dict:
    """The map of a graph of tasks that is held against its control."""
    unit = f" {cells.unit}" if cells.unit == "times the equal share" else ""

    def cell(k: int, j: int) -> dict | None:
        text = cells.texts[k][j]
        if not text:
            return None
        own, dot = cells.targets[k] == cells.sources[j], bool(cells.dots[k, j])
        said = text if own else f"{text}{unit}" + (", not above the control" if dot else "")
        share = 0.0 if own else round(float(cells.places[k, j]), 3)
        return _cell("·" if dot else text, share, said, dot=dot, frame=bool(cells.frames[k, j]), own=own)

    rows = [[cell(k, j) for j in range(len(cells.sources))] for k in range(len(cells.targets))]
    return _map(title, cells.targets, "from", rows, cells.ends)


def heat_map(title: str, tasks: Sequence[str], matrix: np.ndarray) -> dict:
    """A (targets, sources) matrix of numbers, nan where there is none; 0 is paper-white.

    The palette goes as far as the largest number between two tasks, either way. What a task has with itself is its own.
    """
    own = np.eye(len(matrix), dtype=bool)
    known = matrix[~np.isnan(matrix) & ~own]
    strongest = max(float(np.abs(known).max(initial=0)), ALIKE)
    decimals = decimals_for(known.tolist())

    def cell(k: int, j: int) -> dict | None:
        if np.isnan(matrix[k, j]):
            return None
        text = f"{matrix[k, j]:z.{decimals}f}"
        share = 0.0 if k == j else round(float(np.clip(matrix[k, j] / strongest, -1, 1)), 3)
        return _cell(text, share, text, own=k == j)

    rows = [[cell(k, j) for j in range(len(matrix))] for k in range(len(matrix))]
    high = f"{strongest:.{decimals}f}"
    return _map(title, tasks, "from", rows, (f"-{high}" if (known < -ALIKE).any() else None, "0", high))


def _cell(text: str, share: float, said: str, *, dot: bool = False, frame: bool = False, own: bool = False) -> dict:
    return {"text": text, "share": share, "said": said, "dot": dot, "frame": frame, "own": own}


def _map(
    title: str, names: Sequence[str], between: str, rows: Sequence[Sequence[dict | None]], ends: Sequence[str | None]
) -> dict:
    """A map; a large one has no numbers."""
    numbers = len(names) <= ANNOTATED_TASKS
    return {"title": title, "names": [*names], "between": between, "rows": rows, "numbers": numbers, "ends": [*ends]}


def confusion_map(labels: Sequence[str], counts: Sequence[Sequence[int]], support: Sequence[int]) -> dict:
    """A (right, answered) matrix of counts as a table of the same form; a cell's share is that of the row's examples.

    Args:
        labels: the names of rows and columns.
        counts: how many examples each cell has.
        support: how many each row has, those that no cell shows included.
    """
    rows = [
        [_cell(str(count), round(count / max(of, 1), 3), str(count)) for count in row]
        for row, of in zip(counts, support, strict=True)
    ]
    return _map("", labels, "answered as", rows, (None, "none of a row", "all of it"))
