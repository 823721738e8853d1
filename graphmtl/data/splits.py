"""From what was read to what is trained on: validation splits cut off, labels made indices, repeated texts marked."""

import zlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from datasets import Dataset

from graphmtl.data.column_files import Sentences
from graphmtl.data.cut import cut
from graphmtl.data.layers import cut_corpus, layer_data, sentence_keys
from graphmtl.data.overlap import CleanSplits, SplitKeys, clean, normalise
from graphmtl.data.readers import Examples
from graphmtl.data.source import Layer, Source
from graphmtl.data.task import TaskData
from graphmtl.errors import InputError

__all__ = ["build"]


def build(sources: Mapping[str, Source | Layer], *, seed: int, keep_overlap: bool) -> list[TaskData]:
    """Cuts, labels and cleans the tasks of a run.

    Tasks that are layers of one corpus are cut and cleaned as one, so that their rows stay the same sentences.

    Args:
        sources: the tasks by the names they have in the run.
        seed: the seed of the cuts; a task's cut does not depend on the other tasks.
        keep_overlap: as in `graphmtl.data.overlap.clean`.

    Raises:
        InputError: no training examples left, fewer than two classes, a label that training never saw, or a tag
            outside its scheme.
    """
    layers = {name: source for name, source in sources.items() if isinstance(source, Layer)}
    corpus_of = _corpora(layers)
    splits: dict[str, dict] = {}
    for name, source in sources.items():
        unit = corpus_of.get(name, name)
        if unit not in splits:
            splits[unit] = cut_corpus(source.corpus, seed) if isinstance(source, Layer) else _splits(source, seed)
    keys = {unit: {split: _keys(examples) for split, examples in each.items()} for unit, each in splits.items()}
    cleaned = clean({unit: SplitKeys(**each) for unit, each in keys.items()}, keep_overlap=keep_overlap)
    data = []
    for name, source in sources.items():
        unit = corpus_of.get(name, name)
        if isinstance(source, Layer):
            data.append(layer_data(name, source, splits[unit], cleaned[unit], unit))
        else:
            data.append(_task_data(name, source, splits[unit], cleaned[unit]))
    return data


def _corpora(layers: Mapping[str, Layer]) -> dict[str, str]:
    """What the corpus of each layer is called in the run: the names of its tasks, as in ``upos+xpos``."""
    tasks = defaultdict(list)
    for name, layer in layers.items():
        tasks[layer.corpus.key].append(name)
    return {name: "+".join(tasks[layer.corpus.key]) for name, layer in layers.items()}


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


def _keys(examples: Examples | Sentences) -> list[str]:
    if isinstance(examples, Sentences):
        return sentence_keys(examples)
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
