"""Labels by their names, as they are written in data: how they are read, and which of them a task has."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from graphmtl.data.label_set import no_labels, odd_labels, sort_labels, whole_numbers
from graphmtl.data.source import Source, described
from graphmtl.data.table import Table
from graphmtl.data.tags import MISSING, check, is_iob2, sort_tags
from graphmtl.data.task import Task
from graphmtl.data.values import labels
from graphmtl.errors import InputError, note

__all__ = ["fail_at_first", "flat", "named_labels", "read_labels", "renamer", "with_labels"]


def read_labels(source: Source, splits: Mapping[str, Table]) -> dict[str, list]:
    """The label of the rows of each split by its name, None where there is none."""
    column = source.task.label
    return named_labels(
        source, splits, {split: labels(table, column, missing=source.missing) for split, table in splits.items()}
    )


def named_labels(source: Source, splits: Mapping[str, Table], read: Mapping[str, list]) -> dict[str, list]:
    """Labels as they are written, or lists of such, by their names; None where there is none, and nothing in a list."""
    every = [label for own in read.values() for label in flat(own)]
    named = renamer(source, every)
    listed = {*source.task.labels, *source.names}
    counts = Counter(label for label in every if label not in listed)
    none, suspects = no_labels(counts) if not source.task.labels else (set(), set())
    where = f"task {source.task.name!r} ({splits['train'].source})"
    for label in sorted(none):
        note(
            f"{where}: the label {label!r}, which stands {counts[label]} times, is taken for none; if it is one, list"
            " it under `labels`"
        )
    for label in sorted(suspects):
        note(
            f"{where}: the label {label!r} stands {counts[label]} times; if it means that there is none, give the key"
            f" `missing: [{label!r}]`"
        )
    classes = Counter[str]()
    for label in counts.keys() - none:
        classes[named(label)] += counts[label]
    if not source.task.labels and (odd := odd_labels(classes)) is not None:
        note(f"{where}: {odd}")
    return {split: [_named(label, named, none) for label in own] for split, own in read.items()}


def _named(value: Any, named: Callable[[str], str], none: Collection[str]) -> Any:
    if isinstance(value, list):
        kept = [named(label) for label in value if label not in none]
        return kept if kept or not value else None
    return None if value is None or value in none else named(value)


def renamer(source: Source, found: Iterable[str]) -> Callable[[str], str]:
    """From a label as it is written to its name."""
    whole = whole_numbers([*found, *source.task.labels])
    names = {whole(label): name for label, name in source.names.items()}
    return lambda label: names.get(whole(label), whole(label))


def with_labels(
    task: Task, source: Source, splits: Mapping[str, Table], values: Mapping[str, list], training: Collection[str]
) -> Task:
    """The task with the names of its labels in their order, once every label is known to be one of them.

    Published test splits have tags that training has not: a tag that cannot be predicted must still count as an error.
    """
    whole = whole_numbers(source.task.labels)
    given = tuple(source.names.get(label, whole(label)) for label in source.task.labels)
    known = {label for split, own in values.items() if split in training or task.tokens for label in flat(own)}
    given = given or _declared(splits["train"].names.get(task.label, ()), known)
    ordered = given or tuple((sort_tags if task.tokens else sort_labels)(known))
    fault = "is not among the task's labels" if given else "training never saw; list all labels under the key `labels`"
    for split, table in splits.items():
        unknown = set(flat(values[split])) - set(ordered)
        written = ", ".join(source.task.labels or ordered)
        shown = {label: f"label {label!r} {fault} (known: {written})" for label in unknown}
        fail_at_first(task.label, table, values[split], shown)
    with described(source):
        return replace(task, labels=ordered, positive=source.names.get(task.positive or "", task.positive))


def _declared(names: Sequence[str], known: Collection[str]) -> tuple[str, ...]:
    """The classes that a column declares, if its labels are among them; of spans those that IOB2 has."""
    if not set(known) <= set(names):
        return ()
    return tuple(name for name in names if not is_iob2(known) or check(name, "iob2") is None)


def fail_at_first(column: str, table: Table, values: Sequence, faults: Mapping[str, str]) -> None:
    """Raises the fault that stands first in the file."""
    if not faults:
        return
    for i, value in enumerate(values):
        for j, each in enumerate(value if isinstance(value, list) else [value]):
            if each in faults:
                raise InputError(f"{table.where(i, column, j)}: {faults[each]}")


def flat(values: Sequence) -> list[str]:
    """The labels of rows or of tokens one after the other, without the missing ones."""
    tagged = (tag for value in values if isinstance(value, list) for tag in value if tag != MISSING)
    return [*tagged, *(value for value in values if isinstance(value, str))]
