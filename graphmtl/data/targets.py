"""What a task learns of the rows of its corpus: class indices, tags as IOB2, or scores."""

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from graphmtl.data.label_set import alike_labels, no_labels, odd_labels, sort_labels, whole_numbers
from graphmtl.data.source import Source, described
from graphmtl.data.table import Table
from graphmtl.data.tags import MISSING, are_spans, check, in_doubt, is_iob2, recognise, respelled, sort_tags, to_iob2
from graphmtl.data.task import METRICS, NO_LABEL, Task
from graphmtl.data.values import labels, scores, tags, tokens
from graphmtl.errors import InputError, note

__all__ = ["targets"]


def targets(
    name: str, source: Source, splits: Mapping[str, Table], training: Collection[str]
) -> tuple[Task, dict[str, list]]:
    """The task with its labels, and what it learns of each split's rows: `NO_LABEL`, or nan, where there is nothing.

    Args:
        name: the task's name in the run.
        source: the task as it was read.
        splits: the rows of each split.
        training: the names of those splits that come from the training rows.

    Raises:
        InputError: a label that is none, that is not among the task's labels, or that training never saw and the task
            does not list; a tag outside its scheme; a score that is no number or outside the task's scale.
    """
    task = replace(source.task, name=name)
    if task.is_regression:
        return task, _scores(source, splits)
    values = _tags(source, splits) if task.is_tagging else _labels(source, splits)
    task = _with_labels(task, source, splits, values, training)
    index: dict[str | None, int] = {label: i for i, label in enumerate(task.labels)} | {None: NO_LABEL}
    if task.is_tagging:
        index[MISSING] = NO_LABEL
        return task, {split: [[index[tag] for tag in row] for row in own] for split, own in values.items()}
    return task, {split: [index[label] for label in own] for split, own in values.items()}


def _scores(source: Source, splits: Mapping[str, Table]) -> dict[str, list]:
    task = source.task
    low, high = task.scale or (-math.inf, math.inf)
    about: dict[str, Any] = {"missing": source.missing, "accepted": task.answers, "low": low, "high": high}
    return {split: scores(table, task.label, **about) for split, table in splits.items()}


def _labels(source: Source, splits: Mapping[str, Table]) -> dict[str, list]:
    """The labels of the rows of each split by their names, None where there is none."""
    column = source.task.label
    read = {split: labels(table, column, missing=source.missing) for split, table in splits.items()}
    named = _renamer(source, (label for own in read.values() for label in own if label is not None))
    listed = {*source.task.labels, *source.names}
    counts = Counter(label for own in read.values() for label in own if label is not None and label not in listed)
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
    return {
        split: [None if label is None or label in none else named(label) for label in own]
        for split, own in read.items()
    }


def _tags(source: Source, splits: Mapping[str, Table]) -> dict[str, list]:
    """The tags of the rows of each split by their names; those of spans in IOB2."""
    task, read = source.task, {}
    for split, table in splits.items():
        read[split] = tags(table, task.label, of=tokens(table, task.text[0]), missing=source.missing)
    named = _renamer(source, _flat([row for own in read.values() for row in own]))
    read = {split: [[named(tag) for tag in row] for row in own] for split, own in read.items()}
    if not task.labels and (alike := alike_labels({*_flat([row for own in read.values() for row in own])})) is not None:
        note(f"task {task.name!r} ({splits['train'].source}): {alike}")
    if source.scheme == "none":
        return read
    read = _respelled(source, read, splits["train"].source)
    scheme = source.scheme or _recognised([row for own in read.values() for row in own])
    if scheme == "none":
        looks = in_doubt(set(_flat([row for own in read.values() for row in own])))
        if looks and not source.task.labels:
            about = f"{splits['train'].source}: tags of {task.label!r} such as {', '.join(looks[:3])}"
            note(f"{about} are taken for classes, not for spans, whose tags are B-TYPE, I-TYPE and O")
        return read
    for split, table in splits.items():
        faults = {tag: fault for tag in set(_flat(read[split])) if (fault := check(tag, scheme))}
        _fail_at_first(task.label, table, read[split], faults)
    return {split: [to_iob2(row) for row in own] for split, own in read.items()}


def _respelled(source: Source, read: dict[str, list], where: str) -> dict[str, list]:
    """The tags of each split; those of spans that are spelled in another way as PREFIX-TYPE.

    Where the task names its labels as they are spelled in the data, they stay so.
    """
    spelled = respelled(set(_flat([row for own in read.values() for row in own])))
    if not spelled or spelled.keys() & {*source.task.labels, *source.names.values()}:
        return read
    tag = min(spelled)
    note(
        f"{where}: tags of {source.task.label!r} such as {tag} are read as spans, {spelled[tag]}; `scheme: none` takes"
        " them for classes"
    )
    return {split: [[spelled.get(tag, tag) for tag in row] for row in own] for split, own in read.items()}


def _renamer(source: Source, found: Iterable[str]) -> Callable[[str], str]:
    """From a label as it is written to its name."""
    whole = whole_numbers([*found, *source.task.labels])
    names = {whole(label): name for label, name in source.names.items()}
    return lambda label: names.get(whole(label), whole(label))


def _recognised(sentences: Sequence[Sequence[str]]) -> str:
    return recognise(sentences) if are_spans(set(_flat(sentences))) else "none"


def _with_labels(
    task: Task, source: Source, splits: Mapping[str, Table], values: Mapping[str, list], training: Collection[str]
) -> Task:
    """The task with the names of its labels in their order, once every label is known to be one of them.

    Published test splits have tags that training has not: a tag that cannot be predicted must still count as an error.
    """
    whole = whole_numbers(source.task.labels)
    given = tuple(source.names.get(label, whole(label)) for label in source.task.labels)
    known = {label for split, own in values.items() if split in training or task.tokens for label in _flat(own)}
    given = given or _declared(splits["train"].names.get(task.label, ()), known)
    ordered = given or tuple((sort_tags if task.tokens else sort_labels)(known))
    fault = "is not among the task's labels" if given else "training never saw; list all labels under the key `labels`"
    for split, table in splits.items():
        unknown = set(_flat(values[split])) - set(ordered)
        written = ", ".join(source.task.labels or ordered)
        shown = {label: f"label {label!r} {fault} (known: {written})" for label in unknown}
        _fail_at_first(task.label, table, values[split], shown)
    metrics = ("accuracy",) if task.tokens and source.default_metrics else task.metrics
    with described(source):
        task = replace(
            task, labels=ordered, positive=source.names.get(task.positive or "", task.positive), metrics=metrics
        )
    if task.is_spans and source.default_metrics and source.scheme != "none":
        return replace(task, metrics=METRICS["token-classification"][:3])
    return task


def _declared(names: Sequence[str], known: Collection[str]) -> tuple[str, ...]:
    """The classes that a column declares, if its labels are among them; of spans those that IOB2 has."""
    if not set(known) <= set(names):
        return ()
    return tuple(name for name in names if not is_iob2(known) or check(name, "iob2") is None)


def _fail_at_first(column: str, table: Table, values: Sequence, faults: Mapping[str, str]) -> None:
    """Raises the fault that stands first in the file."""
    if not faults:
        return
    for i, value in enumerate(values):
        for j, each in enumerate(value if isinstance(value, list) else [value]):
            if each in faults:
                raise InputError(f"{table.where(i, column, j)}: {faults[each]}")


def _flat(values: Sequence) -> list[str]:
    """The labels of rows or of tokens one after the other, without the missing ones."""
    tagged = (tag for value in values if isinstance(value, list) for tag in value if tag != MISSING)
    return [*tagged, *(value for value in values if isinstance(value, str))]
