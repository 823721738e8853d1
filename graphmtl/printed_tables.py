"""The tables that the verbs print: in 80 columns, scores in percent, and no name is ever cut."""

import os
from collections.abc import Iterator, Mapping, Sequence
from statistics import mean, stdev
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table

from graphmtl.metrics.by_class import most_confused
from graphmtl.metrics.named import is_share
from graphmtl.verbosity import is_quiet, is_verbose

__all__ = [
    "classes_table",
    "confusion_tables",
    "counted_tasks",
    "forgetting_table",
    "incoming_table",
    "mean_heading",
    "other_test_splits",
    "overlap_table",
    "print_table",
    "same_as_test",
    "score_text",
    "scores_table",
    "seeds_table",
    "table_of",
    "types_table",
]

_MOST_LABELS = 10  # of a confusion matrix in a terminal
_MOST_NAMED = 3  # columns that have room for the labels' names; of more they are numbered
_WIDE = 80  # columns of what is no terminal
_ENDLESS = 10_000


def print_table(table: Table) -> None:
    """Prints a table; nothing with ``--quiet``.

    Columns that do not stand beside each other in the terminal (in a file: in 80 columns) follow below, each time
    behind those that say what a row is of: the first ones that are not numbers.
    """
    if is_quiet():
        return
    console = Console(width=None if os.isatty(1) else _WIDE)
    if table.title:
        console.print(table.title, style="italic", highlight=False)
    for block in _blocks(table, console):
        console.print(block)


def _blocks(table: Table, console: Console) -> Iterator[Table]:
    keys = [i for i, column in enumerate(table.columns) if all(c.justify == "left" for c in table.columns[: i + 1])]
    others = [*range(len(keys), len(table.columns))]
    while True:
        taken = others[:1]
        while (
            len(taken) < len(others)
            and _width(_part(table, [*keys, *others[: len(taken) + 1]]), console) <= console.width
        ):
            taken.append(others[len(taken)])
        yield _part(table, [*keys, *taken])
        others = others[len(taken) :]
        if not others:
            return


def _part(table: Table, columns: Sequence[int]) -> Table:
    """Some columns of a table; a long name goes on in the next line, and whatever is a number stays whole."""
    part = _plain(show_footer=table.show_footer)
    chosen = [table.columns[i] for i in columns]
    for column in chosen:
        is_name = column.justify == "left"
        overflow: Any = "fold" if is_name else "ellipsis"
        part.add_column(column.header, column.footer, justify=column.justify, no_wrap=not is_name, overflow=overflow)
    for row in zip(*(column.cells for column in chosen), strict=True):
        part.add_row(*row)
    return part


def _width(table: Table, console: Console) -> int:
    return Measurement.get(console, console.options.update_width(_ENDLESS), table).maximum


def _plain(title: str | None = None, *, show_footer: bool = False) -> Table:
    """A table without lines."""
    title = None if title is None else escape(title)
    return Table(
        title=title, title_justify="left", box=None, pad_edge=False, header_style="bold", show_footer=show_footer
    )


def table_of(*columns: str) -> Table:
    """A table whose first column is text and whose others are numbers."""
    table = _plain()
    for i, column in enumerate(columns):
        table.add_column(column, justify="right" if i else "left")
    return table


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def score_text(value: float | None, metric: str) -> str:
    """In percent; of metrics in the labels' own unit, and of the user's, as it is."""
    if value is None:
        return "-"
    return f"{100 * value:.1f}" if is_share(metric) else f"{value:.4g}"


def same_as_test(tasks: Mapping[str, dict]) -> bool:
    """Whether no test example has been seen in training, so that ``test_dedup`` says nothing that ``test`` does not.

    Args:
        tasks: scores and sizes in the form of ``metrics.json``'s "tasks".
    """
    return all(
        task.get("test") == task.get("test_dedup") and task.get("n_test") == task.get("n_test_dedup")
        for task in tasks.values()
    )


def counted_tasks(tasks: Mapping[str, dict]) -> list[str]:
    """The tasks that count in the mean over tasks: those that are not ``in_mean`` do not, unless all are such.

    Args:
        tasks: scores in the form of ``metrics.json``'s "tasks".
    """
    return [name for name, task in tasks.items() if task.get("in_mean", True)] or [*tasks]


def mean_heading(tasks: Mapping[str, dict], what: str = "mean") -> str:
    """What the row of means is called; it names the tasks that do not count.

    >>> mean_heading({"rte": {}, "wnli": {"in_mean": False}})
    'mean without wnli'
    """
    left_out = tasks.keys() - counted_tasks(tasks)
    return f"{what} without {', '.join(name for name in tasks if name in left_out)}" if left_out else what


def scores_table(
    title: str, tasks: Mapping[str, dict], splits: Mapping[str, str], means: Mapping[str, float | None]
) -> Table:
    """Scores in the form of ``metrics.json``'s "tasks": a row per task and metric, then the mean of the first metrics.

    In percent where they are shares. Of tasks with one metric, the same for all, the title names it. The sizes of the
    splits are there with ``--verbose``.

    Args:
        title: what stands above.
        tasks: scores and sizes by task.
        splits: heading of each split's column, by the split's key.
        means: the last row, of the splits that have a mean.
    """
    sizes = [
        key for key in ("n_train", "n_valid", "n_test", "n_test_dedup") if any(key in task for task in tasks.values())
    ]
    sizes = sizes if is_verbose() else []
    table, metric = _metrics_table(title, tasks, next(iter(splits)))
    keys = len(table.columns)
    for size in sizes:
        table.add_column(size, justify="right")
    for split, heading in splits.items():
        table.add_column(heading, justify="right", footer=score_text(means.get(split), metric))
    for name, task in tasks.items():
        for i, own in enumerate(next(iter(task[split] for split in splits))):
            shown = [str(task.get(size, "")) if i == 0 else "" for size in sizes]
            values = (score_text(task.get(split, {}).get(own), own) for split in splits)
            table.add_row(*_head(name, own, i, keys), *shown, *values)
    return table


def _metrics_table(title: str, tasks: Mapping[str, dict], split: str) -> tuple[Table, str]:
    """The columns of tasks and, where there are several, of metrics, and the metric of the mean.

    A mean over several metrics is a share where they all are.
    """
    metrics = list(dict.fromkeys(metric for task in tasks.values() for metric in task[split]))
    if len(metrics) == 1:
        table = _plain(f"{title}: {metrics[0]}{', %' * is_share(metrics[0])}", show_footer=True)
        table.add_column("task", footer=escape(mean_heading(tasks)))
        return table, metrics[0]
    first = [task.get("metric") or next(iter(task[split])) for task in tasks.values()]
    table = _plain(f"{title}: %" if any(map(is_share, metrics)) else title, show_footer=True)
    table.add_column("task", footer=escape(mean_heading(tasks, "mean of first metrics")))
    table.add_column("metric")
    return table, next((metric for metric in first if not is_share(metric)), first[0])


def _head(task: str, metric: str, place: int, keys: int) -> list[str]:
    """The cells that say what a row is of; a task's name stands at its first metric."""
    return [escape(task) if place == 0 else "", escape(metric)][:keys]


def seeds_table(title: str, runs: Sequence[Mapping[str, Any]], splits: Mapping[str, str]) -> Table:
    """Each task's metrics in several runs, their mean and standard deviation, then those of the mean over tasks.

    Args:
        title: what stands above.
        runs: what each run's ``metrics.json`` holds.
        splits: heading of each split's column, by the split's key.
    """
    tasks = runs[0]["tasks"]
    table, metric = _metrics_table(title, tasks, next(iter(splits)))
    keys = len(table.columns)
    for split, heading in splits.items():
        footer = _spread([run["mean"][split] for run in runs], metric)
        table.add_column(heading, justify="right", footer=footer)
    for name, task in tasks.items():
        for i, own in enumerate(next(iter(task[split] for split in splits))):
            values = ([run["tasks"][name][split].get(own) for run in runs] for split in splits)
            table.add_row(*_head(name, own, i, keys), *(_spread(each, own) for each in values))
    return table


def _spread(values: Sequence[float | None], metric: str) -> str:
    """The mean, and of several the standard deviation; "-" where a run has no value."""
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return "-"
    return score_text(mean(known), metric) + (f" ± {score_text(stdev(known), metric)}" if len(known) > 1 else "")


def other_test_splits(tasks: Mapping[str, dict]) -> list[str]:
    """The test splits, in the form of ``metrics.json``'s "tasks", that some task has beside ``test``."""
    found = (key for task in tasks.values() for key in task if key.startswith("test_") and key != "test_dedup")
    return list(dict.fromkeys(found))


def types_table(tasks: Mapping[str, dict]) -> Table | None:
    """The scores of every type of span, of the tasks that have "types"; None where there are none."""
    return _table_by_class(tasks, "types", title="Types of spans, %", heading="type")


def classes_table(tasks: Mapping[str, dict]) -> Table | None:
    """The scores of every class, of the tasks that have "classes"; None where there are none."""
    return _table_by_class(tasks, "classes", title="Classes, %", heading="label")


def _table_by_class(tasks: Mapping[str, dict], key: str, *, title: str, heading: str) -> Table | None:
    rows = [(name, kind, own) for name, task in tasks.items() for kind, own in (task.get(key) or {}).items()]
    if not rows:
        return None
    columns = list(rows[0][2])
    table = _plain(title)
    table.add_column("task")
    table.add_column(heading)
    for column in columns:
        table.add_column(column, justify="right")
    for name, kind, own in rows:
        values = (str(own[key]) if isinstance(own[key], int) else score_text(own[key], key) for key in columns)
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
    table = _plain(f"Answers of {task}{cut}")
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
        "test_in_own": "test texts in\nown training",
        "test_in_others": "in another\ntask's",
        "repeated": "repeated\ntraining texts",
        "dropped": "training texts\ndropped",
        "empty": "empty\ntexts",
    }
    rows = {name: [getattr(counts, key) for key in columns] for name, counts in overlap.items()}
    if not any(any(row) for row in rows.values()):
        return None
    table = _plain("Texts that occur more than once", show_footer=True)
    table.add_column("task", footer="sum")
    for i, heading in enumerate(columns.values()):
        table.add_column(heading, justify="right", footer=str(sum(row[i] for row in rows.values())))
    for name, row in rows.items():
        table.add_row(escape(name), *map(str, row))
    return table


def forgetting_table(old: Mapping[str, dict]) -> Table:
    """The old tasks' test scores before and after a new one joined, in the form of ``transfer.json``'s "old"."""
    table = _plain("Old tasks, test, %")
    table.add_column("task")
    table.add_column("metric")
    for heading in ("before", "after", "identical"):
        table.add_column(heading, justify="right")
    for name, own in old.items():
        metric = own["metric"]
        values = [score_text(own[when]["test"][metric], metric) for when in ("before", "after")]
        table.add_row(escape(name), metric, *values, "yes" if own["identical"] else "no")
    return table


def incoming_table(incoming: Mapping[str, Sequence[dict]]) -> Table | None:
    """What every new task reads from, the strongest first; None where there are no edges."""
    if not any(incoming.values()):
        return None
    table = _plain("What the new tasks read")
    for heading in ("task", "reads from"):
        table.add_column(heading)
    for heading in ("weight", "std", "texts"):
        table.add_column(heading, justify="right")
    for name, edges in incoming.items():
        for edge in edges:
            numbers = (_number(edge["weight"]), _number(edge["std"]), str(edge["count"]))
            table.add_row(escape(name), escape(edge["source"]), *numbers)
    return table
