"""A few labelled examples of a task: nested draws, in which a larger number holds all of a smaller one's."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from zlib import crc32

import numpy as np
from datasets import Dataset

from graphmtl.data.overlap import row_keys
from graphmtl.data.task import TaskData
from graphmtl.errors import InputError

__all__ = ["NO_SELECTION", "draw_examples"]

NO_SELECTION = 50  #: up to so many examples are all trained on: too few to select an epoch by
_FIFTH = 5  # of more examples, one in five is for validation


def draw_examples(data: Mapping[str, TaskData], examples: int | None, *, draw: int) -> dict[str, TaskData]:
    """Tasks with ``examples`` labelled examples, those for validation included; the test splits stay.

    The examples are drawn from the training split, each text once; of a task of texts, every number of them has the
    labels in the proportions of the whole. Above 50 one of every five is for validation, up to 50 none. Tasks of one
    corpus get the same sentences.

    Args:
        data: the tasks.
        examples: how many; None leaves the splits as they are.
        draw: the number of the draw; the examples of a draw of n are among those of the same draw of any more than n.

    Raises:
        InputError: a task has not as many.
    """
    if examples is None:
        return dict(data)
    corpora: dict[str, list[TaskData]] = {}
    for each in data.values():
        corpora.setdefault(each.corpus, []).append(each)
    drawn = {}
    for layers in corpora.values():
        names = "+".join(each.task.name for each in layers)
        order = _order(layers, np.random.default_rng([draw, crc32(names.encode())]))  # (rows,)
        if not 1 <= examples <= len(order):
            raise InputError(f"task {names}: {examples} examples asked for, expected 1 to {len(order)}, or all")
        held_out = _held_out(examples, np.random.default_rng([draw, crc32(names.encode()), 1]))  # (examples,)
        rows = order[:examples]
        for each in layers:
            train, valid = (each.train.select(np.sort(rows[side])) for side in (~held_out, held_out))
            drawn[each.task.name] = replace(each, train=train, valid=_as_valid(valid))
    return {name: drawn[name] for name in data}


def _order(layers: Sequence[TaskData], rng: np.random.Generator) -> np.ndarray:
    """The rows that have a label, each text once, in random order; labels alternate as their shares allow."""
    labels = [each.train["label"] for each in layers]
    known = [map(each.task.of_kind.is_labelled, own) for each, own in zip(layers, labels, strict=True)]
    labelled = [i for i, known in enumerate(map(any, zip(*known, strict=True))) if known]
    keys = row_keys(layers[0].train)
    first = {keys[i] or i: i for i in reversed(labelled)}
    rows = rng.permutation(np.array(sorted(first.values()), dtype=np.int64))  # (rows,)
    strata = layers[0].task.of_kind.strata(labels[0]) if len(layers) == 1 else None
    if strata is None:
        return rows
    of_row = [strata[i] for i in rows.tolist()]
    sizes, seen, place = Counter(of_row), Counter[int](), []
    for label in of_row:
        place.append((seen[label] + 0.5) / sizes[label])
        seen[label] += 1
    return rows[np.argsort(place, kind="stable")]


def _held_out(examples: int, rng: np.random.Generator) -> np.ndarray:
    """(examples,) bool: one of every five in a row, drawn; nested as the examples are."""
    held_out = np.zeros(examples, dtype=bool)
    if examples > NO_SELECTION:
        fifths = np.arange(0, examples, _FIFTH)
        chosen = fifths + rng.integers(0, _FIFTH, len(fifths))
        held_out[chosen[chosen < examples]] = True  # of the last five not all may be there
    return held_out


def _as_valid(rows: Dataset) -> Dataset:
    """No example of it stands in the training split, since each text is drawn once."""
    return Dataset.from_dict({**rows.to_dict(), "seen": [False] * len(rows)})
