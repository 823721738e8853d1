"""A matrix between tasks, or between labels and answers, as the report's page shows it."""

from collections.abc import Sequence

import numpy as np

from graphmtl.graph.comparison import ALIKE
from graphmtl.graph.pictures.panels import ANNOTATED_TASKS, between_tasks, decimals_for

__all__ = ["confusion_map", "heat_map"]


def heat_map(title: str, tasks: Sequence[str], matrix: np.ndarray) -> dict:
    """A (targets, sources) matrix as a table.

    A cell is None where the matrix is nan, else its number as a text, and ``share``: where it lies between the smallest
    (0) and the largest (1) weight between two tasks. These are the texts ``low`` and ``high``, which say if what a task
    reads from itself is beyond, or None where all are alike. Of a ``signed`` matrix, one with weights below 0, the
    share is -1 to 1, and 0 has no colour. ``between`` is what stands between a row's and a column's name in words.
    """
    between = between_tasks(matrix)
    known = between[~np.isnan(between)]
    low, high = (known.min(), known.max()) if known.size else (0.0, 0.0)
    differ, signed = bool(high - low >= ALIKE), bool(low <= -ALIKE)
    if signed:
        high = max(-low, high)
        low = -high
    decimals = decimals_for(known.tolist())

    def text(weight: float) -> str:
        return f"{weight:z.{decimals}f}"

    def share(weight: float) -> float:
        if signed:
            return float(np.clip(weight / high, -1, 1))
        return float(np.clip((weight - low) / (high - low), 0, 1)) if differ else 0.5

    def cell(weight: float) -> dict | None:
        return None if np.isnan(weight) else {"text": text(weight), "share": round(share(weight), 3)}

    low_end = text(low) + (" and less" if (matrix < low - ALIKE).any() else "")
    high_end = text(high) + (" and more" if (matrix > high + ALIKE).any() else "")
    return {
        "title": title,
        "names": list(tasks),
        "between": "from",
        "rows": [[cell(weight) for weight in row] for row in matrix],
        "numbers": len(tasks) <= ANNOTATED_TASKS,
        "signed": signed,
        "low": low_end if differ else None,
        "high": high_end if differ else None,
    }


def confusion_map(labels: Sequence[str], counts: Sequence[Sequence[int]], support: Sequence[int]) -> dict:
    """A (right, answered) matrix of counts as a table of the same form; a cell's share is that of the row's examples.

    Args:
        labels: the names of rows and columns.
        counts: how many examples each cell has.
        support: how many each row has, those that no cell shows included.
    """
    rows = [
        [{"text": str(count), "share": round(count / max(of, 1), 3)} for count in row]
        for row, of in zip(counts, support, strict=True)
    ]
    return {
        "title": "",
        "names": list(labels),
        "between": "answered as",
        "rows": rows,
        "numbers": len(labels) <= ANNOTATED_TASKS,
        "signed": False,
        "low": "none of a row",
        "high": "all of it",
    }
