"""The tables that the verbs print."""

import os
from collections.abc import Mapping, Sequence
from statistics import mean, stdev
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from graphmtl.metrics.by_class import most_confused
from graphmtl.verbosity import is_quiet

__all__ = [
    "classes_table",
    "confusion_tables",
    "forgetting_table",
    "incoming_table",
    "other_test_splits",
    "overlap_table",
    "print_table",
    "scores_table",
    "seeds_table",
    "types_table",
]

_MOST_LABELS = 10  # of a confusion matrix in a terminal
_MOST_NAMED = 3  # columns that have room for the labels' names; of more they are numbered


def print_table(table: Table) -> None:
    """Prints a table, unwrapped where the output is not a terminal; nothing with ``--quiet``."""
    if is_quiet():
        return
    width = None if os.isatty(1) else 200
    Console(width=width).print(table)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def scores_table(
    title: str, tasks: Mapping[str, dict], splits: Mapping[str, str], means: Mapping[str, float | None]
) -> Table:
    """Scores in the form of ``metrics.json``'s "tasks": a row per task and metric, then the mean of the first metrics.

    Args:
        title: what stands above.
        tasks: scores and sizes by task.
        splits: heading of each split's column, by the split's key.
        means: the last row, of the splits that have a mean.
    """
    sizes = [
        key for key in ("n_train", "n_valid", "n_test", "n_test_dedup") if any(key in task for task in tasks.values())
    ]
    table = Table(title=escape(title), title_justify="left", box=None, header_style="bold", show_footer=True)
    table.add_column("task", footer="mean of first metrics")
    for size in sizes:
        table.add_column(size, justify="right")
    table.add_column("metric")
    for split, heading in splits.items():
        table.add_column(heading, justify="right", footer=_number(means.get(split)))
    for name, task in tasks.items():
        for i, metric in enumerate(next(iter(task[split] for split in splits))):
            head = [escape(name), *(str(task.get(size, "")) for size in sizes)] if i == 0 else [""] * (1 + len(sizes))
            table.add_row(*head, metric, *(_number(task.get(split, {}).get(metric)) for split in splits))
    return table


def seeds_table(title: str, runs: Sequence[Mapping[str, Any]], splits: Mapping[str, str]) -> Table:
    """Each task's metrics in several runs, their mean and standard deviation, then those of the mean over tasks.

    Args:
        title: what stands above.
        runs: what each run's ``metrics.json`` holds.
        splits: heading of each split's column, by the split's key.
    """
    means = {split: [run["mean"][split] for run in runs] for split in splits}
    table = Table(title=escape(title), title_justify="left", box=None, header_style="bold", show_footer=True)
    table.add_column("task", footer="mean of first metrics")
    table.add_column("metric")
    for split, heading in splits.items():
        table.add_column(heading, justify="right", footer=_spread(means[split]))
    for name, task in runs[0]["tasks"].items():
        for i, metric in enumerate(next(iter(task[split] for split in splits))):
            values = ([run["tasks"][name][split].get(metric) for run in runs] for split in splits)
            table.add_row(escape(name) if i == 0 else "", metric, *map(_spread, values))
    return table


def _spread(values: Sequence[float | None]) -> str:
    """The mean, and of several the standard deviation; "-" where a run has no value."""
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return "-"
    return f"{mean(known):.4f}" + (f" ± {stdev(known):.4f}" if len(known) > 1 else "")


def other_test_splits(tasks: Mapping[str, dict]) -> list[str]:
    """The test splits, in the form of ``metrics.json``'s "tasks", that some task has beside ``test``."""
    found = (key for task in tasks.values() for key in task if key.startswith("test_") and key != "test_dedup")
    return list(dict.fromkeys(found))


def types_table(tasks: Mapping[str, dict]) -> Table | None:
    """The scores of every type of span, of the tasks that have "types"; None where there are none."""
    return _table_by_class(tasks, "types", title="Types of spans", heading="type")


def classes_table(tasks: Mapping[str, dict]) -> Table | None:
    """The scores of every class, of the tasks that have "classes"; None where there are none."""
    return _table_by_class(tasks, "classes", title="Classes", heading="label")


def _table_by_class(tasks: Mapping[str, dict], key: str, *, title: str, heading: str) -> Table | None:
    rows = [(name, kind, own) for name, task in tasks.items() for kind, own in (task.get(key) or {}).items()]
    if not rows:
        return None
    columns = list(rows[0][2])
    table = Table(title=title, title_justify="left", box=None, header_style="bold")
    table.add_column("task")
    table.add_column(heading)
    for column in columns:
        table.add_column(column, justify="right")
    for name, kind, own in rows:
        values = (str(own[key]) if isinstance(own[key], int) else _number(own[key]) for key in columns)
        table.add_row(escape(name), escape(kind), *values)
    return table


def confusion_tables(tasks: Mapping[str, dict]) -> list[Table]:
    """How often which label is answered for which, a table for each of the tasks that have a "confusion".

    Of many labels those with the most errors are shown, and the title says so. "all" counts every answer.
    """
    return [_confusion_table(name, task["confusion"]) for name, task in tasks.items() if task.get("confusion")]


def _confusion_table(task: str, matrix: Mapping[str, Any]) -> Table:
    shown = most_confused(matrix, _MOST_LABELS)
    left, of = len(shown["labels"]), shown["of"]
    cut = f"; the {left} of {of} labels with the most errors" if left < of else ""
    table = Table(title=escape(f"Answers of {task}{cut}"), title_justify="left", box=None, header_style="bold")
    numbered = left > _MOST_NAMED
    table.add_column("right label")
    for i, label in enumerate(shown["labels"], start=1):
        table.add_column(str(i) if numbered else escape(label), justify="right")
    table.add_column("all", justify="right")
    for i, label in enumerate(shown["labels"]):
        name = f"{i + 1} {label}" if numbered else label
        table.add_row(escape(name), *map(str, shown["counts"][i]), str(shown["support"][i]))
    return table


def overlap_table(overlap: Mapping[str, object]) -> Table | None:
    """What the clean evaluation counted, task by task; None where there is nothing to tell."""
    columns = {
        "test_in_own": "test texts in own training",
        "test_in_others": "in another task's",
        "repeated": "repeated training texts",
        "dropped": "training texts dropped",
        "empty": "empty texts",
    }
    rows = {name: [getattr(counts, key) for key in columns] for name, counts in overlap.items()}
    if not any(any(row) for row in rows.values()):
        return None
    table = Table(
        title="Texts that occur more than once", title_justify="left", box=None, header_style="bold", show_footer=True
    )
    table.add_column("task", footer="sum")
    for i, heading in enumerate(columns.values()):
        table.add_column(heading, justify="right", footer=str(sum(row[i] for row in rows.values())))
    for name, row in rows.items():
        table.add_row(escape(name), *map(str, row))
    return table


def forgetting_table(old: Mapping[str, dict]) -> Table:
    """The old tasks' test scores before and after a new one joined, in the form of ``transfer.json``'s "old"."""
    table = Table(title="Old tasks, test", title_justify="left", box=None, header_style="bold")
    table.add_column("task")
    table.add_column("metric")
    for heading in ("before", "after", "identical"):
        table.add_column(heading, justify="right")
    for name, own in old.items():
        metric = own["metric"]
        values = [_number(own[when]["test"][metric]) for when in ("before", "after")]
        table.add_row(escape(name), metric, *values, "yes" if own["identical"] else "no")
    return table


def incoming_table(incoming: Mapping[str, Sequence[dict]]) -> Table | None:
    """What every new task reads from, the strongest first; None where there are no edges."""
    if not any(incoming.values()):
        return None
    table = Table(title="What the new tasks read", title_justify="left", box=None, header_style="bold")
    for heading in ("task", "reads from"):
        table.add_column(heading)
    for heading in ("weight", "std", "texts"):
        table.add_column(heading, justify="right")
    for name, edges in incoming.items():
        for edge in edges:
            numbers = (_number(edge["weight"]), _number(edge["std"]), str(edge["count"]))
            table.add_row(escape(name), escape(edge["source"]), *numbers)
    return table
