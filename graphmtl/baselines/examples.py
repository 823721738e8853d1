"""The labelled examples of a split, as baselines learn and answer them."""

import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from datasets import Dataset

from graphmtl.data.task import TaskData
from graphmtl.data.tokenizer import Span, Tokenizer
from graphmtl.errors import DataWarning
from graphmtl.training.evaluation import Predictions

__all__ = ["Examples", "Said"]


@dataclass(frozen=True)
class Said:
    """What a baseline says of the labelled examples of a split, as arrays of numbers.

    Attributes:
        answers: (examples, ...), those of tags one after the other, (tokens of all examples,); those of spans the
            places of the first and the last word, (examples, 2), counted from 1, and 0 for no answer.
        probabilities: those of the classes, (examples, classes) float32, as
            :class:`~graphmtl.training.evaluation.Predictions` has them; None where answers have none.
        losses: (examples,), the sum over each example's labels.
    """

    answers: np.ndarray
    probabilities: np.ndarray | None
    losses: np.ndarray


class Examples:
    """Those examples of a split of a task that have a label, in the split's order.

    Args:
        data: the task and its data.
        split: the name of the split.

    Attributes:
        task: the task.
        rows: their columns, without the label.
        lengths: (examples,), tokens of each, where tokens have labels, or words of the context in which an answer
            stands, and one more; else 0.
        values: the labels as they are learned: (examples, ...), those of tags one after the other, those of spans as
            :class:`Said` has them.
        counts: (examples,), how many labels each has.
    """

    def __init__(self, data: TaskData, split: str):
        self.task, kind = data.task, data.task.of_kind
        rows = data.splits[split]
        labels = _column(rows, "label")
        kept = [i for i, label in enumerate(labels) if kind.is_labelled(label)]
        rows = rows if len(kept) == len(rows) else rows.select(kept)
        self.rows: dict[str, list] = {name: _column(rows, name) for name in rows.column_names if name != "label"}
        self.lengths = self._lengths()
        with warnings.catch_warnings():  # what is said of the labels is said where a model reads them
            warnings.simplefilter("ignore", DataWarning)
            about = (self.lengths, self.rows, _Words(), f"{self.task.name}, {split}")
            self._labels = kind.encoded([labels[i] for i in kept], *about)
        self.values: np.ndarray = self._labels.values
        self.counts: np.ndarray = self._labels.counts

    def __len__(self) -> int:
        return len(self.counts)

    def _lengths(self) -> np.ndarray:
        texts = self.rows.get("tokens", [])
        if self.task.of_kind.form == "texts":
            texts = [spans or [()] for spans in _Words().spans(self.rows["text_pair"])]
            return np.array([len(words) + 1 for words in texts], dtype=np.int64)
        count = next(len(values) for values in self.rows.values())
        return np.array([*map(len, texts)] or [0] * count, dtype=np.int64)

    def moments(self) -> tuple[float, float]:
        """The mean of the labels and their standard deviation, of numbers."""
        values = self.values.astype(np.float64)  # (examples,)
        return float(values.mean()), float(values.std())

    def predictions(self, said: Said) -> Predictions:
        """What was said, as a model's predictions are."""
        answers = said.answers
        if self.task.of_kind.labels_tokens:
            ends, answers = np.cumsum(self.lengths), np.empty(len(self), dtype=object)
            for i, (end, length) in enumerate(zip(ends, self.lengths, strict=True)):
                answers[i] = said.answers[end - length : end]
        seen = self.rows.get("seen", [False] * len(self))
        return Predictions(
            labels=self._labels.rows(),
            answers=self._labels.as_rows(answers),
            probabilities=said.probabilities,
            losses=said.losses,
            counts=self.counts,
            seen=np.array(seen, dtype=bool),
        )


class _Words:
    """What a kind whose labels are places in texts asks of a vocabulary."""

    def spans(self, texts: Iterable[str]) -> Iterator[list[Span]]:
        return Tokenizer().all_spans(texts)


def _column(rows: Dataset, name: str) -> list:
    return rows.with_format("arrow", columns=[name])[:][name].to_pylist()
