"""From what was read to what is trained on: validation splits cut off, labels made indices, repeated texts marked."""

import math
import zlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from datasets import Dataset

from graphmtl.data.column_files import Sentences
from graphmtl.data.cut import cut
from graphmtl.data.examples import Examples
from graphmtl.data.layers import cut_corpus, layer_data, sentence_keys
from graphmtl.data.overlap import CleanSplits, SplitKeys, clean, normalise
from graphmtl.data.source import Layer, Source, described
from graphmtl.data.task import Task, TaskData
from graphmtl.errors import InputError, shown

__all__ = ["build"]

_LARGEST = float(np.finfo(np.float32).max)  # scores are learned as float32


def build(sources: Mapping[str, Source | Layer], *, seed: int, keep_overlap: bool) -> list[TaskData]:
    """Cuts, labels and cleans the tasks of a run.

    Tasks that are layers of one corpus are cut and cleaned as one, so that their rows stay the same texts.

    Args:
        sources: the tasks by the names they have in the run.
        seed: the seed of the cuts; a task's cut does not depend on the other tasks.
        keep_overlap: as in `graphmtl.data.overlap.clean`.

    Raises:
        InputError: no training examples left, fewer than two classes, a label that training never saw, a score that is
            no number or outside the task's scale, or a tag outside its scheme.
    """
    corpus_of = _corpora(sources)
    splits: dict[str, dict] = {}  # of each task
    units: dict[str, dict] = {}  # of each corpus, those of its first task
    for name, source in sources.items():
        unit = corpus_of[name]
        if isinstance(source, Layer):
            splits[name] = units[unit] if unit in units else cut_corpus(source.corpus, seed)
        else:
            splits[name] = _splits(source, seed)
        units.setdefault(unit, splits[name])
    cleaned = clean({unit: _split_keys(each) for unit, each in units.items()}, keep_overlap=keep_overlap)
    data = []
    for name, source in sources.items():
        corpus = corpus_of[name]
        if isinstance(source, Layer):
            data.append(layer_data(name, source, splits[name], cleaned[corpus], corpus))
        else:
            data.append(_task_data(name, source, splits[name], cleaned[corpus], corpus))
    return data


def _corpora(sources: Mapping[str, Source | Layer]) -> dict[str, str]:
    """What the corpus of each layer is called in the run: the names of its tasks, as in ``upos+xpos``."""
    corpora = {name: s.corpus.key if isinstance(s, Layer) else s.corpus or name for name, s in sources.items()}
    tasks = defaultdict(list)
    for name, corpus in corpora.items():
        tasks[corpus].append(name)
    return {name: "+".join(tasks[corpus]) for name, corpus in corpora.items()}


def _split_keys(splits: Mapping[str, Examples | Sentences]) -> SplitKeys:
    """The normalised texts of each split; those of all test splits one after the other."""
    tests = [examples for split, examples in splits.items() if split.startswith("test")]
    return SplitKeys(
        train=_keys(splits["train"]), valid=_keys(splits["valid"]), test=[key for each in tests for key in _keys(each)]
    )


def _splits(source: Source, seed: int) -> dict[str, Examples]:
    """The examples of each split; test and validation are cut off the training split where the source has none.

    The cut is stratified by label, but a regression's is not.
    """
    train, held_out = source.train, {}
    for split, given in (("test", source.test), ("valid", source.valid)):
        if isinstance(given, Examples):
            held_out[split] = given
            continue
        rng = np.random.default_rng([seed, zlib.crc32(f"{source.task.name}/{split}".encode())])
        keys = _keys(train) if source.together is None else source.together(train.text)
        labels = [""] * len(train) if source.task.is_regression else train.label
        chosen = cut(labels, keys, size=given, rng=rng)
        if given >= len(train) or not chosen.any():
            raise InputError(f"{train.source}: cannot cut a {split} split of {given} off {len(train)} examples")
        held_out[split] = train.take(np.flatnonzero(chosen))
        train = train.take(np.flatnonzero(~chosen))
    return {"train": train, **held_out, **source.other_tests}


def _keys(examples: Examples | Sentences) -> list[str]:
    if isinstance(examples, Sentences):
        return sentence_keys(examples)
    if examples.text_pair is None:
        return [normalise(text) for text in examples.text]
    return [normalise(*pair) for pair in zip(examples.text, examples.text_pair, strict=True)]


def _task_data(
    name: str, source: Source, splits: Mapping[str, Examples], cleaned: CleanSplits, corpus: str
) -> TaskData:
    """One task's data sets, after the clean evaluation."""
    train = splits["train"].take(np.flatnonzero(cleaned.keep))
    if not len(train):
        raise InputError(f"{train.source}: every training example stands in a held-out split of another task")
    splits = {**splits, "train": train}
    task = replace(source.task, name=name)
    if task.is_regression:
        values = {split: _scores(task, examples) for split, examples in splits.items()}
        _check_two(train, np.asarray(values["train"], dtype=np.float32).tolist())  # as they are learned
    else:
        labels = _labels(task, splits)
        index = {label: i for i, label in enumerate(labels)}
        values = {split: [index[label] for label in examples.label] for split, examples in splits.items()}
        with described(source):
            task = replace(
                task,
                labels=tuple(source.names.get(label, label) for label in labels),
                positive=source.names.get(task.positive or "", task.positive),
            )
    tests = [split for split in splits if split.startswith("test")]
    test_seen = np.split(cleaned.test_seen, np.cumsum([len(splits[split]) for split in tests])[:-1])
    seen = {"valid": cleaned.valid_seen, **dict(zip(tests, test_seen, strict=True))}
    rows = {split: _dataset(examples, values[split], seen.get(split)) for split, examples in splits.items()}
    return TaskData(
        task=task,
        train=rows["train"],
        valid=rows["valid"],
        test=rows["test"],
        overlap=replace(cleaned.overlap, empty=sum(examples.empty() for examples in splits.values())),
        corpus=corpus,
        other_tests={split: rows[split] for split in source.other_tests},
        submission=source.submission,
    )


def _scores(task: Task, examples: Examples) -> list[float]:
    """The labels of a regression as numbers."""
    low, high = task.scale or (-math.inf, math.inf)
    scores = []
    for i, label in enumerate(examples.label):
        try:
            score = float(label)
        except ValueError:
            score = math.nan
        if not (math.isfinite(score) and low <= score <= high):
            raise InputError(f"{examples.where(i)}: score {shown(label)}, expected {task.answers}")
        if abs(score) > _LARGEST:
            accepted = f"{task.answers} that single precision holds, up to {_LARGEST:.3g}"
            raise InputError(f"{examples.where(i)}: score {shown(label)}, expected {accepted}")
        scores.append(score)
    return scores


def _labels(task: Task, splits: Mapping[str, Examples]) -> Sequence[str]:
    """The labels of a task in their order, once every example's is known to be among those of training."""
    train = splits["train"]
    known = set(train.label)
    _check_two(train, train.label)
    labels = task.labels or train.labels or _sorted_labels(known)
    _check_labels(train, labels, "that is not among the task's labels")
    for examples in splits.values():
        _check_labels(examples, [label for label in labels if label in known], "that training never saw")
    return labels


def _check_two(train: Examples, values: Sequence[str] | Sequence[float]) -> None:
    if len(set(values)) < 2:
        raise InputError(f"{train.source}: every training example has the label {train.label[0]!r}; two are needed")


def _check_labels(examples: Examples, known: Sequence[str], fault: str) -> None:
    for i, label in enumerate(examples.label):
        if label not in known:
            raise InputError(f"{examples.where(i)}: label {label!r} {fault} (known: {', '.join(known)})")


def _sorted_labels(labels: set[str]) -> list[str]:
    try:
        return sorted(labels, key=lambda label: (int(label), label))
    except ValueError:
        return sorted(labels)


def _dataset(examples: Examples, values: Sequence[float], seen: np.ndarray | None) -> Dataset:
    columns: dict[str, object] = {"text": examples.text, "label": values}
    if examples.text_pair is not None:
        columns["text_pair"] = examples.text_pair
    if seen is not None:
        columns["seen"] = seen
    return Dataset.from_dict(columns)
