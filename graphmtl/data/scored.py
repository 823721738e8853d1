"""Labelled data that a finished model is scored on: all of it, nothing cut off and nothing left out for being known."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
from datasets import Dataset

from graphmtl.data.catalog import is_task_file
from graphmtl.data.choices import every_column
from graphmtl.data.label_set import no_labels, whole_numbers
from graphmtl.data.loading import open_sources
from graphmtl.data.overlap import Overlap
from graphmtl.data.planted import PlantedOptions
from graphmtl.data.raw_texts import check_columns
from graphmtl.data.readers import ending
from graphmtl.data.rows import ROW_FORMATS, read_rows
from graphmtl.data.source import Source
from graphmtl.data.splits import text_columns
from graphmtl.data.table import Table
from graphmtl.data.task import Task, TaskData, TaskSet
from graphmtl.data.task_file import given_tasks, read_task_file
from graphmtl.errors import InputError, note, unknown_name

__all__ = ["load_scored"]

Open = Callable[[], Source]


def load_scored(
    given: Path | str | Mapping[str, Any],
    tasks: Mapping[str, Task],
    *,
    names: Sequence[str] | None = None,
    trained_on: Callable[[], Mapping[str, Open]] = dict,
    data_dir: Path | str | None = None,
    seed: int = 0,
    planted: PlantedOptions = PlantedOptions(),
) -> TaskSet:
    """The data of some tasks of a model, as their test split.

    Args:
        given: a task file, of which each task's ``test`` is scored, or else all of ``train``; a file of rows (csv,
            tsv, jsonl, json, parquet), which is read by the columns of the model's tasks; or what ``load_tasks`` takes.
            Tasks of it that the model has not are left, which is said.
        tasks: the tasks of the model.
        names: those that are scored; None: all that ``given`` has.
        trained_on: gives what read the tasks in training. It is asked where labels of a file of rows are not those of
            the model, since they may be what its names stand for, or none; where texts have no such labels always.
        data_dir: as in `load_tasks`.
        seed: as in `load_tasks`.
        planted: as in `load_tasks`.

    Raises:
        InputError: the data cannot be read; no task is the model's, or it is of another kind; a label that is not among
            the model's; or no row has a label.
    """
    for name in names or ():
        if name not in tasks:
            raise unknown_name("task", name, tasks)
    if isinstance(given, str | Path) and ending(Path(given)).removeprefix(".") in ROW_FORMATS:
        found = _of_rows(Path(given), {name: tasks[name] for name in names or tasks}, names is None, trained_on)
    elif isinstance(given, str | Path) and is_task_file(str(given)):
        found = read_task_file(Path(given), scored=True).sources
    else:
        found = open_sources(given, data_dir=data_dir, seed=seed, planted=planted)
    known = [name for name in names or tasks if name in found]
    missing = [name for name in names or () if name not in found] if known else [*(names or tasks)]
    what = given if isinstance(given, str | Path) else "tasks"
    if missing:
        raise InputError(f"{what}: no task {missing[0]!r} in it (its tasks: {', '.join(found)})")
    if names is None and (others := [name for name in found if name not in tasks]):
        note(f"{what}: not scored, since the model has no such tasks: {', '.join(others)}")
    sources = {name: found[name]() for name in known}
    units = {name: (source.corpus, source.task.reads) for name, source in sources.items()}
    corpora = {unit: "+".join(name for name in known if units[name] == unit) for unit in units.values()}
    data = [_task_data(tasks[name], source, corpora[units[name]]) for name, source in sources.items()]
    return TaskSet(name="scored", data=data)


def _of_rows(
    path: Path, tasks: Mapping[str, Task], some: bool, trained_on: Callable[[], Mapping[str, Open]]
) -> Mapping[str, Open]:
    """The tasks whose columns a file has; all of them, unless ``some`` are enough."""
    rows = read_rows(path)
    columns = {name: (*every_column(task.reads), task.label) for name, task in tasks.items()}
    there = {name for name, own in columns.items() if {*own} <= {*rows.names}}
    if not some or not there:
        check_columns(columns, rows.names, str(path), "; a task file names others")
    given = {}
    for name in (name for name in tasks if name in there):
        task = tasks[name]
        form: dict[str, Any] = {"tokens": task.text[0]} if task.tokens else {"text": task.text}
        more: dict[str, Any] = {key: getattr(task, key) for key in ("scale", "choices", "first", "separator")}
        form |= {key: value for key, value in more.items() if value}
        known = _as_in_training(name, task, rows.table([task.label]), trained_on)
        given[name] = {"train": str(path), "label": task.label, "kind": task.kind, **form, **known}
    return given_tasks(given).sources


def _as_in_training(
    name: str, task: Task, table: Table, trained_on: Callable[[], Mapping[str, Open]]
) -> dict[str, Any]:
    """The names of labels and what stands for none, as in training, unless all labels are those of the model."""
    found = {*task.of_kind.counts(table, task.label)}
    if found and {*map(whole_numbers([*found, *task.labels]), found)} <= {*task.labels}:
        return {}
    try:
        source = trained_on()[name]()
    except KeyError:
        return {}
    except InputError:  # the data of the run are gone: names are all that there is
        if not task.labels:
            note(f"{table.source}: what stands for no label in task {name!r} is not known: the run's data are gone")
        return {}
    more = {"missing": source.missing} if source.missing else {}
    return more | ({"labels": source.names} if source.names else {})


def _task_data(task: Task, source: Source, corpus: str) -> TaskData:
    """The rows of a task, labelled by the indices that its labels have in the model."""
    _check_form(task, source)
    table = source.corpus.test if isinstance(source.corpus.test, Table) else source.corpus.train
    codes = {name: code for code, name in source.names.items()}
    known = tuple(codes.get(label, label) for label in task.labels)
    unlike: dict[str, Any] = dict.fromkeys(("positive", "head", "class_weights", "max_length"))
    own = replace(source.task, name=task.name, labels=known, metrics=(), scale=task.scale, weight=1.0, **unlike)
    missing = (*source.missing, *_no_labels(task, source, table))
    read = replace(task.of_kind.as_scored(source), task=own, missing=missing, default_metrics=False)
    _, values = own.of_kind.read(read, {"train": table}, ())
    columns = {name: pa.array(each) for name, each in text_columns(table, own.reads, of_tokens=task.tokens).items()}
    columns |= {"row": pa.array([table.number(i) for i in range(len(table))], pa.int64())}
    rows = Dataset(pa.table({**columns, "label": pa.array(values["train"], task.of_kind.arrow)}))
    none = rows.select([])
    nothing = Overlap(**dict.fromkeys((field.name for field in fields(Overlap)), 0))
    data = TaskData(task=task, train=none, valid=none, test=rows, overlap=nothing, corpus=corpus)
    if data.unlabelled.get("test") == len(rows):
        raise InputError(f"{table.source}: no row has a label in {own.label!r}")
    return data


def _check_form(task: Task, source: Source) -> None:
    own = source.task
    forms = [
        f"{each.kind} of {'pairs' if each.is_pair else 'tokens' if each.tokens else 'texts'}" for each in (own, task)
    ]
    if forms[0] != forms[1]:
        place = f"{source.where}: " if source.where else ""
        raise InputError(f"{place}task {task.name!r} is one of {forms[0]}, in the model one of {forms[1]}")


def _no_labels(task: Task, source: Source, table: Table) -> list[str]:
    """Labels that the model has not and that are none, as the others tell; training has left them out too."""
    counts = source.task.of_kind.counts(table, source.task.label, missing=source.missing)
    none = sorted(no_labels(counts)[0] - {*task.labels, *source.names})
    for label in none:
        note(f"{table.source}: the label {label!r}, which stands {counts[label]} times, is taken for none")
    return none
