"""Texts as numbers: every split encoded once into one flat memory-mapped array, and batches cut from it."""

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from graphmtl.config import ModelOptions
from graphmtl.data.task import Task, TaskData
from graphmtl.data.vocabulary import PAD, Vocabulary

__all__ = ["Batch", "EncodedSplit", "EncodedTask", "encode_tasks", "made_ahead", "truncate"]


@dataclass
class Batch:
    """Examples of one task.

    Attributes:
        task: its name.
        tokens: (batch, tokens) int64, padded on the right with 0.
        lengths: (batch,) int64, at least 1; always on the CPU, as torch's packed sequences want them.
        labels: (batch,) int64, or None for texts without labels.
        weights: (batch,) float32: 1, or 0 for an example that only fills the batch.
    """

    task: str
    tokens: Tensor
    lengths: Tensor
    labels: Tensor | None
    weights: Tensor

    def to(self, device: torch.device | str) -> "Batch":
        labels = None if self.labels is None else self.labels.to(device)
        return replace(self, tokens=self.tokens.to(device), labels=labels, weights=self.weights.to(device))


def made_ahead(make: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
    """``make(item)`` of every item; the next one is made in a thread while the caller works on this one."""
    with ThreadPoolExecutor(max_workers=1) as worker:
        waiting = None
        for item in items:
            following = worker.submit(make, item)
            if waiting is not None:
                yield waiting.result()
            waiting = following
        if waiting is not None:
            yield waiting.result()


def truncate(ids: list[int], max_length: int, end: str) -> list[int]:
    """At most ``max_length`` tokens: the head, the tail, or half of both.

    >>> truncate([1, 2, 3, 4, 5, 6], 3, "both")
    [1, 2, 6]
    """
    if len(ids) <= max_length:
        return ids
    head = {"head": max_length, "tail": 0, "both": (max_length + 1) // 2}[end]
    return ids[:head] + ids[len(ids) - (max_length - head) :]


class EncodedSplit:
    """The examples of one split, their tokens one after the other in a temporary file that is mapped into memory.

    Args:
        task: name of the task.
        texts: token ids of every example.
        labels: class index of every example, or None.
        seen: whether the text stands in a training split of the run; None where nobody asked.
    """

    def __init__(
        self,
        *,
        task: str,
        texts: Iterable[Sequence[int]],
        labels: Sequence[int] | None = None,
        seen: Sequence[bool] | None = None,
    ):
        self.task = task
        lengths = []
        with tempfile.TemporaryFile() as file:
            for text in texts:
                np.asarray(text, dtype=np.int32).tofile(file)
                lengths.append(len(text))
            self._ids = np.memmap(file, dtype=np.int32, mode="r") if any(lengths) else np.empty(0, dtype=np.int32)
        self.lengths = np.array(lengths, dtype=np.int64)
        self._ends = np.cumsum(self.lengths)
        self.labels = None if labels is None else np.asarray(labels, dtype=np.int64)
        self.seen = np.zeros(len(lengths), dtype=bool) if seen is None else np.asarray(seen, dtype=bool)

    def __len__(self) -> int:
        return len(self.lengths)

    def batch(self, rows: Sequence[int] | np.ndarray, fillers: int = 0) -> Batch:
        """The examples ``rows``, the last ``fillers`` of which get weight 0."""
        rows = np.asarray(rows)  # (batch,)
        lengths = self.lengths[rows]  # (batch,)
        tokens = np.full((len(rows), lengths.max()), PAD, dtype=np.int64)
        for line, end, length in zip(tokens, self._ends[rows], lengths, strict=True):
            line[:length] = self._ids[end - length : end]
        weights = torch.ones(len(rows))
        weights[len(rows) - fillers :] = 0
        labels = None if self.labels is None else torch.from_numpy(self.labels[rows])
        return Batch(self.task, torch.from_numpy(tokens), torch.from_numpy(lengths), labels, weights)


@dataclass
class EncodedTask:
    """A task and its three splits, encoded."""

    task: Task
    train: EncodedSplit
    valid: EncodedSplit
    test: EncodedSplit


def encode_tasks(
    tasks: Mapping[str, TaskData], vocabulary: Vocabulary, options: ModelOptions
) -> dict[str, EncodedTask]:
    """Every split of every task, its texts cut to ``options.max_length`` tokens."""

    def encode(name: str, rows) -> EncodedSplit:
        pairs = rows["text_pair"] if "text_pair" in rows.column_names else [None] * len(rows)
        return EncodedSplit(
            task=name,
            texts=(
                truncate(vocabulary.encode(text, pair), options.max_length, options.truncate)
                for text, pair in zip(rows["text"], pairs, strict=True)
            ),
            labels=rows["label"],
            seen=rows["seen"] if "seen" in rows.column_names else None,
        )

    return {
        name: EncodedTask(data.task, *(encode(name, rows) for rows in (data.train, data.valid, data.test)))
        for name, data in tasks.items()
    }
