"""What the classes of a task are taken for: scores of each, and how often which is answered for which."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from graphmtl.metrics import classes, span_scores
from graphmtl.metrics.answered import Answered

__all__ = ["class_scores", "confusion", "most_confused"]

_CLASSES = ("classes", "label-sets", "tags")


def class_scores(answered: Answered) -> dict[str, dict[str, float]]:
    """The scores of every class, or of every type where the tags are tags of spans.

    Returns:
        ``{LABEL: {"precision", "recall", "f1", "support"}}`` in the order of the names, of the classes that are
        answered or right somewhere, of label-sets of all; ``support`` is how many examples (tokens) have the label. Of
        spans ``{TYPE: {"precision", "recall", "f1", "spans"}}`` in alphabetical order. Empty without any classes.
    """
    if answered.form not in _CLASSES:
        return {}
    rows = span_scores.of_each_type(answered) if answered.spans else classes.of_each_label(answered)
    keys = (*classes.SCORES, "spans" if answered.spans else "support")
    return {
        name: {key: round(value, 7) for key, value in zip(keys, values, strict=True)} for name, values in rows.items()
    }


def confusion(answered: Answered) -> list[list[int]] | None:
    """How many examples (tokens) with the label of a row have the answer of a column, rows and columns being the names.

    None of what has not one class an example: of label-sets, numbers and texts.
    """
    if answered.form not in ("classes", "tags"):
        return None
    counts = np.zeros((len(answered.names), len(answered.names)), dtype=np.int64)  # (right, answered)
    np.add.at(counts, classes.right_and_answered(answered), 1)
    return counts.tolist()


def most_confused(matrix: Mapping[str, Any], limit: int) -> dict[str, Any]:
    """The part of a confusion matrix that has the labels with the most errors, both ways.

    Args:
        matrix: ``{"labels": [...], "counts": [[...]]}``; rows are right, columns answered.
        limit: how many labels are left at most.

    Returns:
        The same of the labels that are left, in their order; ``support``: how many examples each of them has, whatever
        their answer; and ``of``: how many labels there were.
    """
    counts = np.array(matrix["counts"], dtype=np.int64)  # (right, answered)
    support = counts.sum(axis=1)  # (labels,)
    errors = counts.sum(axis=0) + support - 2 * counts.diagonal()  # (labels,)
    kept = np.sort(np.argsort(-errors, kind="stable")[:limit])
    return {
        "labels": [matrix["labels"][i] for i in kept],
        "counts": counts[np.ix_(kept, kept)].tolist(),
        "support": support[kept].tolist(),
        "of": len(matrix["labels"]),
    }
