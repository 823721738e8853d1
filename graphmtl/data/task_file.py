"""Task sets of one's own, described in a YAML file.

.. code-block:: yaml

    name: shops                      # optional; the file's name otherwise
    metrics: [accuracy, f1]          # a key above `tasks` holds for every task that does not say otherwise
    tasks:
      books:
        train: books.train.tsv       # csv, tsv, jsonl or parquet, relative to this file
        test: books.test.tsv         # a file, or how much of train to cut off: a share (0.2) or a number (500)
        valid: 0.1                   # likewise, of what is left; this is the default
        text: review                 # the column of the text, or two: [premise, hypothesis]; default: text
        label: stars                 # default: label
        labels: {1: bad, 5: good}    # optional: the classes in order, as a list or with names
        encoding: latin-1            # default: utf-8
      letters:
        train: letters.csv
        test: 500
        columns: [label, text]       # the columns' names where the file has no line of them
      cola:
        hub: nyu-mll/glue            # a data set of the Hub, or a local folder laid out like one
        config: cola
        train: train                 # the names of its splits; these are the defaults
        test: validation
        text: sentence
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from graphmtl.data.readers import Columns, Examples, compose_yaml, read_bytes, read_file, read_hub, shown
from graphmtl.data.source import Source, SourceSet
from graphmtl.data.task import Task
from graphmtl.errors import InputError, unknown_name

__all__ = ["read_task_file"]

_SPLITS = ("train", "valid", "test")
_TASK_KEYS = ("text", "label", "labels", "metrics", "kind", "encoding", "columns", "hub", "config", *_SPLITS)
_FILE_KEYS = ("name", "tasks", *_TASK_KEYS)
_QUOTES = "(in quotes where YAML takes it for something else)"
_SIZE = "how much of `train` to cut off (a share such as 0.1, or a number of examples)"


def read_task_file(path: Path) -> SourceSet:
    """Reads a task file; the files of its tasks are read later, each when its source is called.

    Raises:
        InputError: the file is missing, is no YAML, or has a key or a value that is not accepted; file and line named.
    """
    top = _Section(path, compose_yaml(read_bytes(path), path), what="the file")
    top.check_keys(_FILE_KEYS)
    if "tasks" not in top:
        raise InputError(f"{path}: no key `tasks`")
    tasks = _Section(path, top.nodes["tasks"], what="`tasks`")
    entries = [_entry(name, tasks, top) for name in tasks.nodes]
    name = top.text("name") if "name" in top else path.stem
    return SourceSet(name=name, sources={entry.task.name: partial(_read_source, entry) for entry in entries})


class _Section:
    """A mapping in a YAML file that knows the line of each key.

    Args:
        path: the file.
        node: the mapping.
        what: what an error calls it.
    """

    def __init__(self, path: Path, node: yaml.Node | None, *, what: str):
        if not isinstance(node, yaml.MappingNode) or not node.value:
            line = f", line {node.start_mark.line + 1}" if node else ""
            raise InputError(f"{path}{line}: {what} must hold `key: value` lines")
        self.path, self.what = path, what
        self.nodes: dict[str, yaml.Node] = {}
        self.lines: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise InputError(f"{path}, line {line}: the keys of {what} must be plain names")
            if key.value in self.nodes:
                raise InputError(f"{path}, line {line}: key {key.value!r} stands twice in {what}")
            self.nodes[key.value], self.lines[key.value] = value, line

    def __contains__(self, key: str) -> bool:
        return key in self.nodes

    def where(self, key: str) -> str:
        return f"{self.path}, line {self.lines[key]}"

    def check_keys(self, known: Iterable[str]) -> None:
        for key in self.nodes:
            if key not in known:
                raise InputError(f"{self.where(key)}: {unknown_name('key', key, known)}")

    def value(self, key: str) -> Any:
        try:
            return yaml.SafeLoader("").construct_document(self.nodes[key])
        except (yaml.YAMLError, ValueError):  # ValueError: a date such as 2020-13-45
            raise self.wrong(key, "a plain value") from None

    def wrong(self, key: str, expected: str) -> InputError:
        found = self.nodes[key].value
        found = f"is {shown(found)}" if isinstance(found, str) else "holds several values"
        return InputError(f"{self.where(key)}: `{key}` {found}, expected {expected}")

    def text(self, key: str) -> str:
        value = self.value(key)
        if not isinstance(value, str) or not value.strip():
            raise self.wrong(key, f"a text {_QUOTES}")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """A text or a list of texts."""
        value = self.value(key)
        values = value if isinstance(value, list) else [value]
        if not values or not all(isinstance(each, str) and each for each in values):
            raise self.wrong(key, f"a text {_QUOTES} or a list of texts")
        return tuple(values)

    def labels(self, key: str) -> dict[str, str]:
        """A list of labels, or {label: name}."""
        value = self.value(key)
        names = dict(zip(value, value, strict=True)) if isinstance(value, list) and _plain(value) else value
        if not isinstance(names, dict) or not _plain([*names, *names.values()]):
            raise self.wrong(key, "a list of labels, or `label: name` lines, with yes, no, on and off in quotes")
        if len(set(map(str, names.values()))) < max(len(value), 2):
            raise self.wrong(key, "two or more different labels")
        return {str(label): str(name) for label, name in names.items()}

    def split(self, key: str) -> str | float:
        """A file, or the name of a split, or how much of the training examples to cut off."""
        value = self.value(key)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if is_number and key != "train" and (0 < value < 1 or (value >= 1 and value % 1 == 0)):
            return value
        if isinstance(value, str) and value.strip():
            return value
        raise self.wrong(key, "a file" if key == "train" else f"a file, or {_SIZE}")


def _plain(values: Iterable[object]) -> bool:
    return all(isinstance(value, str | int) and not isinstance(value, bool) for value in values)


@dataclass(frozen=True, kw_only=True)
class _Entry:
    """A task of the file, with the keys that hold for all tasks filled in."""

    task: Task
    splits: dict[str, Any]
    columns: Columns
    names: dict[str, str]
    folder: Path
    hub: str | None
    config: str | None


def _entry(name: str, tasks: _Section, top: _Section) -> _Entry:
    own = _Section(tasks.path, tasks.nodes[name], what=f"task {name!r}")
    own.check_keys(_TASK_KEYS)
    section = {key: own if key in own else top for key in _TASK_KEYS if key in own or key in top}
    words = {key: section[key].text(key) for key in ("encoding", "hub", "config") if key in section}
    names = section["labels"].labels("labels") if "labels" in section else {}
    header = section["columns"].texts("columns") if "columns" in section else ()
    splits: dict[str, Any] = {"train": "train", "valid": 0.1, "test": "test"} if "hub" in words else {"valid": 0.1}
    splits |= {key: section[key].split(key) for key in _SPLITS if key in section}
    for key in _SPLITS:
        if key not in splits:
            cut = f", or {_SIZE}" if key == "test" else ""
            raise InputError(f"{tasks.where(name)}: task {name!r} has no `{key}`; give a file{cut}")
    task = _task(name, section, tuple(names), tasks.where(name))
    encoding = words.get("encoding", Columns.encoding)
    return _Entry(
        task=task,
        splits=splits,
        columns=Columns(text=task.text, label=task.label, header=header, encoding=encoding),
        names=names,
        folder=tasks.path.parent,
        hub=words.get("hub"),
        config=words.get("config"),
    )


def _task(name: str, section: Mapping[str, _Section], labels: tuple[str, ...], where: str) -> Task:
    fields: dict[str, Any] = {key: section[key].text(key) for key in ("label", "kind") if key in section}
    fields |= {key: section[key].texts(key) for key in ("text", "metrics") if key in section}
    try:
        return Task(name=name, labels=labels, **fields)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def _read_source(entry: _Entry) -> Source:
    train, valid, test = (entry.splits[key] for key in _SPLITS)
    return Source(
        task=entry.task,
        names=entry.names,
        train=_read(entry, train),
        valid=_read(entry, valid) if isinstance(valid, str) else valid,
        test=_read(entry, test) if isinstance(test, str) else test,
    )


def _read(entry: _Entry, name: str) -> Examples:
    if entry.hub is None:
        return read_file(entry.folder / name, entry.columns)
    local = entry.folder / entry.hub
    hub = str(local) if local.is_dir() else entry.hub
    return read_hub(hub, entry.columns, config=entry.config, split=name)
