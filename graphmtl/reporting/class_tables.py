"""What the report says of the classes of each task: their scores, and which is answered for which."""

from collections.abc import Mapping

from graphmtl.metrics.by_class import most_confused
from graphmtl.reporting.heat_map import confusion_map

__all__ = ["class_tables"]

_MOST_LABELS = 60  # of a confusion matrix; 60 x 60 cells are as much as a page shows at a glance


def class_tables(tasks: Mapping[str, dict]) -> list[dict]:
    """The tasks that have scores by class, in the form of ``metrics.json``'s "tasks".

    Returns:
        Of each its name (``task``), ``heading`` of the first column, ``columns`` and ``rows`` of the table of classes,
        or of types of spans, and ``map``: its confusion matrix as :func:`confusion_map` has it, None where there is
        none, with a ``note`` where labels are left out.
    """
    found = []
    for name, own in tasks.items():
        scores = own.get("classes") or own.get("types")
        if scores:
            rows = [(label, [*values.values()]) for label, values in scores.items()]
            heading = "label" if own.get("classes") else "type of span"
            columns = [*next(iter(scores.values()))]
            table = {"task": name, "heading": heading, "columns": columns, "rows": rows}
            found.append({**table, "map": _map(own["confusion"]) if own.get("confusion") else None})
    return found


def _map(matrix: Mapping) -> dict:
    shown = most_confused(matrix, _MOST_LABELS)
    left, of = len(shown["labels"]), shown["of"]
    note = f"Of {of} labels the {left} with the most errors." if left < of else ""
    return {**confusion_map(shown["labels"], shown["counts"], shown["support"]), "note": note}
