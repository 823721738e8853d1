"""From what was read to what is trained on: held-out splits cut off, labels made indices, repeated texts marked."""

import zlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any
from uuid import uuid4

import numpy as np
import pyarrow as pa
from datasets import Dataset

from graphmtl.data.choices import Columns, are_of_choices, choices, contexts
from graphmtl.data.column import AT_ONCE, Column, ColumnWriter, chained
from graphmtl.data.cut import cut
from graphmtl.data.overlap import CleanSplits, SplitKeys, clean, digest, normalise, of_choices
from graphmtl.data.source import Corpus, Source, described
from graphmtl.data.table import Table
from graphmtl.data.task import Task, TaskData
from graphmtl.data.values import labelled, labels, texts, tokens, unused
from graphmtl.errors import InputError, note

__all__ = ["build", "text_columns"]

_Unit = tuple[Corpus, Columns]
"""The texts of a corpus that some of its tasks read: the corpus, and the columns of the text, pair or tokens."""


def build(sources: Mapping[str, Source], *, seed: int, keep_overlap: bool, max_train: int = 0) -> list[TaskData]:
    """Cuts, labels and cleans the tasks of a run.

    Tasks of one corpus share its cut. Those that read the same columns of it are layers of the same texts, and cleaned
    as one, so that their rows stay the same texts.

    Args:
        sources: the tasks by the names they have in the run.
        seed: the seed of the cuts; a corpus' cut does not depend on which of its tasks, or which others, a run has.
        keep_overlap: as in `graphmtl.data.overlap.clean`.
        max_train: so many training rows of a corpus stay; 0: all.

    Raises:
        InputError: no training rows left, fewer than two classes in training, none in another split, and whatever
            `Kind.read <graphmtl.data.kind.Kind.read>` raises.
    """
    corpora = dict.fromkeys(source.corpus for source in sources.values())
    whole = {corpus: cut_corpus(corpus, seed) for corpus in corpora}
    splits = {corpus: {**own, "train": _drawn(corpus, own["train"], max_train, seed)} for corpus, own in whole.items()}
    _say_unused(sources, whole)
    names = _unit_names(sources)
    units = {names[name]: (source.corpus, source.task.reads) for name, source in sources.items()}
    keys = {unit: _split_keys(splits[corpus], columns) for unit, (corpus, columns) in units.items()}
    cleaned = clean(keys, keep_overlap=keep_overlap)
    of_tokens = {names[name]: source.task.tokens for name, source in sources.items()}
    read = {
        unit: _texts(splits[corpus], columns, cleaned[unit], of_tokens=of_tokens[unit], carried=corpus.carried)
        for unit, (corpus, columns) in units.items()
    }
    data = [
        _task_data(name, source, splits[source.corpus], read[names[name]], cleaned[names[name]], names[name])
        for name, source in sources.items()
    ]
    for each, source in zip(data, sources.values(), strict=True):
        beyond = len(whole[source.corpus]["train"]) - len(splits[source.corpus]["train"])
        each.overlap = replace(each.overlap, beyond=beyond)
    return data


def _say_unused(sources: Mapping[str, Source], whole: Mapping[Corpus, Mapping[str, Table]]) -> None:
    """Which values of the key ``missing`` stand nowhere in any of the tasks that have it: they may be misspelled."""
    standing: set[str] = set()
    tasks: dict[str, list[str]] = defaultdict(list)
    for name, source in sources.items():
        splits = whole[source.corpus]
        nowhere = unused(splits.values(), source.task.label, source.missing)
        standing |= {*source.missing} - {*nowhere}
        for value in nowhere:
            tasks[value].append(f"task {name!r} ({splits['train'].source})")
    for value, own in tasks.items():
        if value not in standing:
            note(f"{', '.join(own)}: `missing` {value!r} stands nowhere among the labels")


def _unit_names(sources: Mapping[str, Source]) -> dict[str, str]:
    """What the texts of each task are called in the run: the names of all tasks that read them, as in ``upos+xpos``."""
    tasks: dict[_Unit, list[str]] = defaultdict(list)
    for name, source in sources.items():
        tasks[source.corpus, source.task.reads].append(name)
    return {name: "+".join(tasks[source.corpus, source.task.reads]) for name, source in sources.items()}


def cut_corpus(corpus: Corpus, seed: int) -> dict[str, Table]:
    """The rows of each split; test and validation are cut off the training rows where the corpus has none.

    Raises:
        InputError: fewer rows than are to be cut off.
    """
    cuts = not (isinstance(corpus.valid, Table) and isinstance(corpus.test, Table))
    train, held_out = _keyed(corpus, corpus.train) if cuts else corpus.train, {}
    for split, given in (("test", corpus.test), ("valid", corpus.valid)):
        if isinstance(given, Table):
            held_out[split] = given
            continue
        rng = np.random.default_rng([seed, zlib.crc32(f"{corpus.name}/{split}".encode())])
        chosen = cut(_strata(corpus, train), _groups(corpus, train), size=given, rng=rng)
        if given >= len(train) or not chosen.any():
            different = len({key or i for i, key in enumerate(_groups(corpus, train))})
            raise InputError(
                f"{train.source}: cannot cut a {split} split of {given} off {len(train)} examples of {different} "
                "different texts; equal texts stay on one side, and every label in training"
            )
        held_out[split] = train.take(np.flatnonzero(chosen))
        train = train.take(np.flatnonzero(~chosen))
    return {"train": train, **held_out, **corpus.other_tests}


def _drawn(corpus: Corpus, train: Table, most: int, seed: int) -> Table:
    """The training rows that stay where there are more than ``most``; labels in the proportions of the whole."""
    if not 0 < most < len(train):
        return train
    rng = np.random.default_rng([seed, zlib.crc32(f"{corpus.name}/train".encode())])
    chosen = cut(_strata(corpus, train), [""] * len(train), size=most, rng=rng)
    return train.take(np.flatnonzero(chosen))


def _strata(corpus: Corpus, train: Table) -> list[tuple]:
    """By what a cut is stratified: the label, and which of the tasks have one."""
    first = [""] * len(train)
    if corpus.stratify is not None:
        first = [label or "" for label in labels(train, corpus.stratify, missing=corpus.missing)]
    others = (labelled(train, column, missing=corpus.missing) for column in corpus.present)
    return [*zip(first, *others, strict=True)]


def _groups(corpus: Corpus, train: Table) -> Sequence[str | bytes | None]:
    """What must stand on one side of a cut, as `cut` takes it: rows that any of the tasks reads alike."""
    if corpus.together is not None:
        return corpus.together(texts(train, str(corpus.texts[0][0])))
    first, *others = (_keys(train, columns) for columns in corpus.texts)
    return _united([first, *others]) if others else first


def _united(keys: Sequence[Sequence[str | bytes]]) -> list[str]:
    """One key for all rows that are linked by equal keys in any of several lists, "" for a row without any text.

    >>> _united([["a", "b", "c", ""], ["x", "x", "y", ""]])
    ['0', '0', '2', '']
    """
    rows = range(len(keys[0]))
    parent = list(rows)

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = i = parent[parent[i]]
        return i

    for own in keys:
        first: dict[str | bytes, int] = {}
        for i, key in enumerate(own):
            if key:
                a, b = sorted((root(first.setdefault(key, i)), root(i)))
                parent[b] = a
    return [str(root(i)) if any(own) else "" for i, own in zip(rows, zip(*keys, strict=True), strict=True)]


def text_columns(table: Table, columns: Columns, *, of_tokens: bool) -> dict[str, Sequence[Any]]:
    """The texts of some rows as columns of :class:`~graphmtl.data.task.TaskData`.

    Args:
        table: the rows.
        columns: those of the text, the pair, the tokens, or the context and its choices.
        of_tokens: there are lists of tokens.

    Returns:
        ``tokens``, or ``text`` and, of pairs, ``text_pair``, or of choices ``choices``.

    Raises:
        InputError: there is no such column, or a value is no text, or no list of tokens.
    """
    if are_of_choices(columns):
        return {"text": contexts(table, columns), "choices": choices(table, columns)}
    names = [column for column in columns if isinstance(column, str)]
    if of_tokens:
        return {"tokens": tokens(table, names[0])}
    return dict(zip(("text", "text_pair"), (texts(table, name) for name in names), strict=False))


def _keyed(corpus: Corpus, train: Table) -> Table:
    """The rows with the key of each, which is then made once, whatever is cut off."""
    if corpus.together is not None:
        return train
    return replace(train, keys={columns: _keys(train, columns) for columns in corpus.texts})


def _keys(table: Table, columns: Columns) -> Sequence[bytes]:
    """A digest of the normalised text of each row; of a blank one nothing."""
    if columns in table.keys:
        return table.keys[columns]
    with ColumnWriter() as writer:
        texts = iter(_normalised(table, columns))
        while some := [*islice(texts, AT_ONCE)]:
            writer.write(pa.array([digest(text) for text in some], pa.binary()), pa.binary())
        return Column(writer.written(pa.binary()))


def _normalised(table: Table, columns: Columns) -> Iterable[str]:
    of_tokens = isinstance(table[str(columns[0])][0], list) if len(table) else False
    read = text_columns(table, columns, of_tokens=of_tokens)
    if "choices" in read:
        return (of_choices(*row) for row in zip(read["text"], read["choices"], strict=True))
    if "tokens" in read:
        return (normalise(" ".join(own)) for own in read["tokens"])
    return (normalise(*row) for row in zip(*read.values(), strict=True))


def _split_keys(splits: Mapping[str, Table], columns: Columns) -> SplitKeys:
    """The normalised texts of each split; those of all test splits one after the other."""
    tests = [table for split, table in splits.items() if split.startswith("test")]
    return SplitKeys(
        train=_keys(splits["train"], columns),
        valid=_keys(splits["valid"], columns),
        test=chained([_keys(table, columns) for table in tests]),
    )


def _texts(
    splits: Mapping[str, Table], columns: Columns, cleaned: CleanSplits, *, of_tokens: bool, carried: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """The columns of each split that all its tasks have: texts, rows, what is carried, whether training saw them."""
    tests = [split for split in splits if split.startswith("test")]
    test_seen = np.split(cleaned.test_seen, np.cumsum([len(splits[split]) for split in tests])[:-1])
    seen = {"valid": cleaned.valid_seen, **dict(zip(tests, test_seen, strict=True))}
    read = {}
    for split, table in splits.items():
        if split == "train":
            table = table.take(np.flatnonzero(cleaned.keep))
        read_columns = text_columns(table, columns, of_tokens=of_tokens)
        own = {name: _in_arrow(values) for name, values in read_columns.items()} if len(table) else {}
        read[split] = {**own, "row": pa.array(table.numbers(), pa.int64())}
        read[split] |= {name: pa.array([*table[name]], pa.int64()) for name in carried}
        if split in seen:
            read[split]["seen"] = pa.array(seen[split])
    return read


def _in_arrow(values: Sequence[Any]) -> pa.ChunkedArray:
    return values.in_order() if isinstance(values, Column) else pa.chunked_array([pa.array(values)])


def _task_data(
    name: str,
    source: Source,
    splits: Mapping[str, Table],
    read: Mapping[str, Mapping[str, Any]],
    cleaned: CleanSplits,
    unit: str,
) -> TaskData:
    """One task's data sets, after the clean evaluation."""
    corpus = source.corpus
    training = {"train", *(split for split in ("valid", "test") if not isinstance(getattr(corpus, split), Table))}
    task, values = replace(source.task, name=name).of_kind.read(source, splits, training)
    values["train"] = [values["train"][i] for i in np.flatnonzero(cleaned.keep)]
    if not values["train"]:
        raise InputError(f"{splits['train'].source}: every training example stands in a held-out split of another task")
    for split, own in values.items():
        _check_enough(task, f"{splits[split].source} ({split})", own, 2 if split == "train" else 1)
    with described(source):
        task.of_kind.find_metrics()
        if source.class_weights is not None:
            weights = task.of_kind.class_weights(source.class_weights, values["train"])
            task = replace(task, class_weights=weights)
    arrow = task.of_kind.arrow
    rows = {split: _dataset({**own, "label": pa.array(values[split], arrow)}) for split, own in read.items()}
    empty = sum(map(_empty, read.values()))
    return TaskData(
        task=task,
        train=rows["train"],
        valid=rows["valid"],
        test=rows["test"],
        overlap=replace(cleaned.overlap, empty=empty),
        corpus=unit,
        other_tests={split: rows[split] for split in corpus.other_tests},
        submission=source.submission,
    )


def _dataset(columns: Mapping[str, Any]) -> Dataset:
    """Rows under a name of their own: the library would make one of their whole content, in memory."""
    return Dataset(pa.table(columns), fingerprint=uuid4().hex[:16])


def _check_enough(task: Task, source: str, values: Sequence, least: int) -> None:
    """Fails where a split has fewer different labels than it needs."""
    found = task.of_kind.different(values)
    if len(found) < least:
        what = f"every label is {found.pop()!r}, two are needed" if found else "no row has a label"
        raise InputError(f"{source}: {what} in {task.label!r}")


def _empty(read: Mapping[str, pa.Array]) -> int:
    """How many rows have an empty text (of a pair: either)."""
    columns = [Column(read[name]) for name in ("text", "text_pair") if name in read]
    return sum(not all(text.strip() for text in row) for row in zip(*columns, strict=True))
