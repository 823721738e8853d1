"""From the sentences of a column corpus to the data of its tasks: one cut and one cleaning for all of them."""

import logging
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from datasets import Dataset

from graphmtl.data.column_files import Sentences
from graphmtl.data.cut import cut
from graphmtl.data.overlap import CleanSplits, normalise
from graphmtl.data.source import Corpus, Layer, described
from graphmtl.data.tags import MISSING, are_spans, check, in_doubt, recognise, respelled, sort_tags, to_iob2
from graphmtl.data.task import METRICS, NO_LABEL, Task, TaskData
from graphmtl.errors import InputError

__all__ = ["cut_corpus", "layer_data", "sentence_keys"]


def sentence_keys(sentences: Sentences) -> list[str]:
    """The normalised text of each sentence."""
    return [normalise(" ".join(tokens)) for tokens in sentences.tokens]


def cut_corpus(corpus: Corpus, seed: int) -> dict[str, Sentences]:
    """The sentences of each split; test and validation are cut off where the corpus has none.

    The cut does not look at labels: it is the same whichever layers of the corpus a run has.

    Raises:
        InputError: fewer sentences than are to be cut off.
    """
    train, held_out = corpus.train, {}
    for split, given in (("test", corpus.test), ("valid", corpus.valid)):
        if isinstance(given, Sentences):
            held_out[split] = given
            continue
        rng = np.random.default_rng([seed, zlib.crc32(f"{corpus.name}/{split}".encode())])
        chosen = cut([""] * len(train), sentence_keys(train), size=given, rng=rng)
        if given >= len(train) or not chosen.any():
            raise InputError(f"{train.source}: cannot cut a {split} split of {given} off {len(train)} sentences")
        held_out[split] = train.take(np.flatnonzero(chosen))
        train = train.take(np.flatnonzero(~chosen))
    return {"train": train, **held_out}


def layer_data(name: str, layer: Layer, splits: Mapping[str, Sentences], cleaned: CleanSplits, corpus: str) -> TaskData:
    """One task of a corpus.

    Args:
        name: its name in the run.
        layer: the task as it was read.
        splits: the sentences of the corpus.
        cleaned: what the clean evaluation does to them.
        corpus: as in `TaskData`.

    Raises:
        InputError: no training sentences left, fewer than two labels in training, none in another split, or a tag
            outside its scheme.
    """
    values = _tags(layer, splits) if layer.task.is_tagging else _labels(layer, splits)
    kept = np.flatnonzero(cleaned.keep)
    if not len(kept):
        source = splits["train"].source
        raise InputError(f"{source}: every training sentence stands in a held-out split of another task")
    train = [values["train"][i] for i in kept]
    for split, its, least in (("train", train, 2), ("valid", values["valid"], 1), ("test", values["test"], 1)):
        _check_enough(layer.task.label, splits[split], its, least)
    labels = layer.task.labels or tuple(sort_tags({value for split in values.values() for value in _flat(split)}))
    _check_known(layer.task, labels, splits, values)
    return TaskData(
        task=_named(name, layer, labels),
        train=_dataset([splits["train"].tokens[i] for i in kept], train, labels),
        valid=_dataset(splits["valid"].tokens, values["valid"], labels, seen=cleaned.valid_seen),
        test=_dataset(splits["test"].tokens, values["test"], labels, seen=cleaned.test_seen),
        overlap=cleaned.overlap,
        corpus=corpus,
    )


def _check_enough(layer: str, sentences: Sentences, values: Sequence, least: int) -> None:
    """Fails where a split has fewer different labels than it needs."""
    found = set(_flat(values))
    if len(found) < least:
        what = f"every label is {found.pop()!r}, two are needed" if found else "no sentence has a label"
        raise InputError(f"{sentences.source}: {what} in {layer!r}")


def _named(name: str, layer: Layer, labels: Sequence[str]) -> Task:
    task = replace(layer.task, name=name, metrics=("accuracy",) if layer.default_metrics else layer.task.metrics)
    with described(layer):
        task = replace(
            task,
            labels=tuple(layer.names.get(label, label) for label in labels),
            positive=layer.names.get(task.positive or "", task.positive),
        )
    if layer.default_metrics and task.is_spans and layer.scheme != "none":
        return replace(task, metrics=METRICS["token-classification"][:3])
    return task


def _labels(layer: Layer, splits: Mapping[str, Sentences]) -> dict[str, list[str]]:
    """The labels of the sentences of each split."""
    key = layer.task.label.removeprefix("#").strip()
    return {split: sentences.labels(key) for split, sentences in splits.items()}


def _tags(layer: Layer, splits: Mapping[str, Sentences]) -> dict[str, list[list[str]]]:
    """The tags of the sentences of each split; those of spans in IOB2."""
    read = {split: sentences.tags(layer.task.label) for split, sentences in splits.items()}
    if layer.scheme == "none":
        return read
    read = _respelled(layer, splits["train"].source, read)
    scheme = layer.scheme or _recognised([tags for split in read.values() for tags in split])
    if scheme == "none":
        _say_doubt(layer, splits["train"].source, {tag for split in read.values() for tag in _flat(split)})
        return read
    for split, sentences in splits.items():
        _check_scheme(layer.task.label, sentences, read[split], scheme)
    return {split: [to_iob2(tags) for tags in sentences] for split, sentences in read.items()}


def _respelled(layer: Layer, source: str, read: dict[str, list[list[str]]]) -> dict[str, list[list[str]]]:
    """The tags of each split; those of spans that are spelled in another way as PREFIX-TYPE.

    Where the task names its labels as they are spelled in the data, they stay so.
    """
    spelled = respelled({tag for split in read.values() for tag in _flat(split)})
    if not spelled or spelled.keys() & set(layer.task.labels):
        return read
    tag = min(spelled)
    line = "%s: tags of %r such as %s are read as spans, %s; `scheme: none` takes them for classes"
    logging.getLogger(__name__).warning(line, source, layer.task.label, tag, spelled[tag])
    return {split: [[spelled.get(tag, tag) for tag in tags] for tags in rows] for split, rows in read.items()}


def _say_doubt(layer: Layer, source: str, tags: set[str]) -> None:
    """Says that tags which look like those of spans are taken for classes."""
    looks = in_doubt(tags)
    if looks:
        line = "%s: tags of %r such as %s are taken for classes, not for spans, whose tags are B-TYPE, I-TYPE and O"
        logging.getLogger(__name__).warning(line, source, layer.task.label, ", ".join(looks[:3]))


def _recognised(sentences: Sequence[Sequence[str]]) -> str:
    return recognise(sentences) if are_spans(set(_flat(sentences))) else "none"


def _check_scheme(column: str, sentences: Sentences, tags: Sequence[Sequence[str]], scheme: str) -> None:
    faults = {tag: fault for tag in set(_flat(tags)) if (fault := check(tag, scheme))}
    _fail_at_first(column, sentences, tags, faults)


def _check_known(task: Task, labels: Sequence[str], splits: Mapping[str, Sentences], values: Mapping) -> None:
    for split, sentences in splits.items():
        found = set(_flat(values[split])) - set(labels)
        faults = {label: f"label {label!r} is not among the task's labels ({', '.join(labels)})" for label in found}
        _fail_at_first(task.label, sentences, values[split], faults)


def _fail_at_first(layer: str, sentences: Sentences, values: Sequence, faults: Mapping[str, str]) -> None:
    """Raises the fault that stands first in the file."""
    if not faults:
        return
    for i, value in enumerate(values):
        for j, each in enumerate([value] if isinstance(value, str) else value):
            if each in faults:
                raise InputError(f"{sentences.where(layer, i, j)}: {faults[each]}")


def _flat(values: Sequence[str] | Sequence[Sequence[str]]) -> list[str]:
    """The labels of sentences or of tokens one after the other, without the missing ones."""
    rows = ([value] if isinstance(value, str) else value for value in values)
    return [each for row in rows for each in row if each != MISSING]


def _dataset(
    tokens: list[list[str]], values: Sequence, labels: Sequence[str], *, seen: np.ndarray | None = None
) -> Dataset:
    index = {label: i for i, label in enumerate(labels)} | {MISSING: NO_LABEL}
    label = [index[value] if isinstance(value, str) else [index[each] for each in value] for value in values]
    columns: dict[str, object] = {"tokens": tokens, "label": label}
    if seen is not None:
        columns["seen"] = seen
    return Dataset.from_dict(columns)
