"""From what was read to what is trained on: validation splits cut off, labels made indices, repeated texts marked."""

import zlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from datasets import Dataset

from graphmtl.data.overlap import CleanSplits, SplitKeys, clean, normalise
from graphmtl.data.readers import Examples
from graphmtl.data.source import Source
from graphmtl.data.task import TaskData
from graphmtl.errors import InputError

__all__ = ["build", "cut"]


def build(sources: Mapping[str, Source], *, seed: int, keep_overlap: bool) -> list[TaskData]:
    """Cuts, labels and cleans the tasks of a run.

    Args:
        sources: the tasks by the names they have in the run.
        seed: the seed of the cuts; a task's cut does not depend on the other tasks.
        keep_overlap: as in `graphmtl.data.overlap.clean`.

    Raises:
        InputError: no training examples left, fewer than two classes, or a label that training never saw.
    """
    splits = {name: _splits(source, seed) for name, source in sources.items()}
    keys = {name: {split: _keys(examples) for split, examples in each.items()} for name, each in splits.items()}
    cleaned = clean({name: SplitKeys(**each) for name, each in keys.items()}, keep_overlap=keep_overlap)
    return [_task_data(name, source, splits[name], cleaned[name]) for name, source in sources.items()]


def _splits(source: Source, seed: int) -> dict[str, Examples]:
    """The examples of each split; test and validation are cut off the training split where the source has none."""
    train, held_out = source.train, {}
    for split, given in (("test", source.test), ("valid", source.valid)):
        if isinstance(given, Examples):
            held_out[split] = given
            continue
        rng = np.random.default_rng([seed, zlib.crc32(f"{source.task.name}/{split}".encode())])
        chosen = cut(train.label, _keys(train), size=given, rng=rng)
        if given >= len(train) or not chosen.any():
            raise InputError(f"{train.source}: cannot cut a {split} split of {given} off {len(train)} examples")
        held_out[split] = train.take(np.flatnonzero(chosen))
        train = train.take(np.flatnonzero(~chosen))
    return {"train": train, **held_out}


def cut(labels: Sequence[str], keys: Sequence[str], *, size: float, rng: np.random.Generator) -> np.ndarray:
    """Which examples to hold out: stratified by label, and equal texts stay on one side.

    Args:
        labels: (n,) the label of each example.
        keys: (n,) its normalised text.
        size: how many to hold out: a share below 1, or a number of examples.
        rng: draws them.

    Returns:
        (n,) bool. Every label keeps an example that is not held out. A few less than asked for are held out where
        equal texts leave no other way.
    """
    count = round(size * len(labels)) if size < 1 else int(size)
    room = _quotas(Counter(labels), count)
    rows_of_text = defaultdict(list)
    for i, key in enumerate(keys):
        rows_of_text[key or i].append(i)
    groups = list(rows_of_text.values())
    held_out = np.zeros(len(labels), dtype=bool)
    for g in rng.permutation(len(groups)):
        wanted = Counter(labels[i] for i in groups[g])
        if all(room[label] >= n for label, n in wanted.items()):
            room.subtract(wanted)
            held_out[groups[g]] = True
    return held_out


def _quotas(sizes: Counter, count: int) -> Counter:
    """How many of each label to hold out: in proportion, largest remainders first, at least one of each stays."""
    labels, total = sorted(sizes), sum(sizes.values())
    exact = {label: count * sizes[label] / total for label in labels}
    quotas = {label: int(exact[label]) for label in labels}
    by_remainder = sorted(labels, key=lambda label: quotas[label] - exact[label])
    for label in by_remainder[: max(count - sum(quotas.values()), 0)]:
        quotas[label] += 1
    return Counter({label: min(quotas[label], sizes[label] - 1) for label in labels})


def _keys(examples: Examples) -> list[str]:
    if examples.text_pair is None:
        return [normalise(text) for text in examples.text]
    return [normalise(*pair) for pair in zip(examples.text, examples.text_pair, strict=True)]


def _task_data(name: str, source: Source, splits: Mapping[str, Examples], cleaned: CleanSplits) -> TaskData:
    """One task's data sets, after the clean evaluation."""
    train = splits["train"].take(np.flatnonzero(cleaned.keep))
    if not len(train):
        raise InputError(f"{train.source}: every training example stands in a held-out split of another task")
    known = set(train.label)
    if len(known) < 2:
        raise InputError(f"{train.source}: every training example has the label {known.pop()!r}; two are needed")
    labels = source.task.labels or train.labels or _sorted_labels(known)
    _check_labels(train, labels, "that is not among the task's labels")
    for split in ("valid", "test"):
        _check_labels(splits[split], [label for label in labels if label in known], "that training never saw")
    empty = train.empty() + splits["valid"].empty() + splits["test"].empty()
    return TaskData(
        task=replace(source.task, name=name, labels=tuple(source.names.get(label, label) for label in labels)),
        train=_dataset(train, labels),
        valid=_dataset(splits["valid"], labels, seen=cleaned.valid_seen),
        test=_dataset(splits["test"], labels, seen=cleaned.test_seen),
        overlap=replace(cleaned.overlap, empty=empty),
    )


def _check_labels(examples: Examples, known: Sequence[str], fault: str) -> None:
    for i, label in enumerate(examples.label):
        if label not in known:
            raise InputError(f"{examples.where(i)}: label {label!r} {fault} (known: {', '.join(known)})")


def _sorted_labels(labels: set[str]) -> list[str]:
    try:
        return sorted(labels, key=lambda label: (int(label), label))
    except ValueError:
        return sorted(labels)


def _dataset(examples: Examples, labels: Sequence[str], *, seen: np.ndarray | None = None) -> Dataset:
    index = {label: i for i, label in enumerate(labels)}
    columns: dict[str, object] = {"text": examples.text, "label": [index[label] for label in examples.label]}
    if examples.text_pair is not None:
        columns["text_pair"] = examples.text_pair
    if seen is not None:
        columns["seen"] = seen
    return Dataset.from_dict(columns)
