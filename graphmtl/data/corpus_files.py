"""Where the rows of a corpus stand, and how they are read: files, patterns, the Hub, or data at hand."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from graphmtl.data.arrow import read_hub
from graphmtl.data.choices import every_column
from graphmtl.data.column_files import read_sentences
from graphmtl.data.delimited import Reading
from graphmtl.data.memory import Data, read_data
from graphmtl.data.readers import read_file
from graphmtl.data.side_by_side import read_one_class_a_file, read_parallel
from graphmtl.data.source import Corpus
from graphmtl.data.table import Table, joined
from graphmtl.data.task import Task
from graphmtl.data.values import listed
from graphmtl.errors import InputError, note
from graphmtl.files import is_there

__all__ = ["CorpusFiles", "Place", "read_corpus"]

Place = str | tuple[str, ...] | tuple[tuple[str, str], ...] | Data
"""Where a split is: a file, a pattern or the name of a split; several files; (column or label, file); rows at hand."""


@dataclass(frozen=True, kw_only=True)
class CorpusFiles:
    """What a corpus is read from.

    Args:
        folder: what the files are relative to.
        train, valid, test: where each split is, or how much of ``train`` is cut off.
        reading: how files are read.
        hub: a data set of the Hub, or a local folder laid out like one; ``config`` is that of the data set.
    """

    folder: Path
    train: Place
    valid: Place | float
    test: Place | float
    reading: Reading
    hub: str | None
    config: str | None


def read_corpus(files: CorpusFiles, tasks: Sequence[Task], *, name: str, missing: Iterable[str]) -> Corpus:
    """The rows that all these tasks annotate.

    Args:
        files: where they stand.
        tasks: the tasks.
        name: that of the task set.
        missing: what stands in the place of a label that is not there.

    Raises:
        InputError: a file is missing or damaged, or no file fits a pattern.
    """
    first = tasks[0]
    of_tokens = [task for task in tasks if task.tokens]
    columns = dict.fromkeys(column for task in tasks for column in (*every_column(task.reads), task.label))
    of_lists = [(*task.text, *([task.label] if task.of_kind.labels_tokens else [])) for task in of_tokens]
    lists = dict.fromkeys(column for own in of_lists for column in own)
    read = partial(_read, files, wanted=[*columns], lists=[*lists], first=first)
    return Corpus(
        name=f"{name}/{first.name}" if of_tokens else first.name,
        train=read(files.train),
        valid=files.valid if isinstance(files.valid, int | float) else read(files.valid),
        test=files.test if isinstance(files.test, int | float) else read(files.test),
        texts=tuple(dict.fromkeys(task.reads for task in tasks)),
        stratify=first.label if first.of_kind.stratified and not of_tokens else None,
        present=tuple(dict.fromkeys(task.label for task in tasks)) if len(tasks) > 1 and not of_tokens else (),
        missing=tuple(dict.fromkeys(missing)),
    )


def _read(files: CorpusFiles, place: Place, *, wanted: Sequence[str], lists: Sequence[str], first: Task) -> Table:
    """The wanted columns of one split; ``lists`` are those of tokens and tags, that of the tokens first."""
    if isinstance(place, Data):
        table = read_data(place, wanted)
    elif files.hub is not None:
        local = files.folder / files.hub
        table = read_hub(str(local) if local.is_dir() else files.hub, wanted, config=files.config, split=str(place))
    elif isinstance(place, tuple) and isinstance(place[0], tuple):
        table = _read_side_by_side(files, wanted, first, dict(place))
    else:
        paths = _paths(files.folder, [place] if isinstance(place, str) else place)
        if lists:
            table = joined([read_sentences(path, wanted, words=lists[0], reading=files.reading) for path in paths])
        else:
            table = joined([read_file(path, wanted, files.reading) for path in paths])
    return _without_empty(listed(table, lists), lists[0]) if lists else table


def _read_side_by_side(files: CorpusFiles, wanted: Sequence[str], first: Task, place: Mapping[str, str]) -> Table:
    """Files of columns, where the names are those of the columns; else files of texts, a file for each label."""
    paths = {name: files.folder / file for name, file in place.items()}
    if {*wanted} & {*paths}:
        return read_parallel(paths, wanted, files.reading)
    return read_one_class_a_file(paths, wanted, first.label, files.reading)


def _paths(folder: Path, names: Iterable[str]) -> list[Path]:
    """The files of names and patterns.

    Raises:
        InputError: no file fits a pattern.
    """
    found = []
    for name in names:
        path = folder / name
        if not any(sign in name for sign in "*?[") or is_there(path):
            found.append(path)
            continue
        fitting = sorted(folder.glob(name)) if not Path(name).is_absolute() else sorted(path.parent.glob(path.name))
        if not fitting:
            raise InputError(f"{path}: no file fits the pattern")
        found += fitting
    return found


def _without_empty(table: Table, words: str) -> Table:
    """Without the rows that have no token."""
    rows = [i for i, tokens in enumerate(table[words]) if tokens is not None and tokens != []]
    if len(rows) < len(table):
        note(f"{table.source}: {len(table) - len(rows)} rows without a token are left out")
    return table if len(rows) == len(table) else table.take(rows)
