r"""A number for every text.

The head gives standardised scores z; the score itself is :math:`\mu + \sigma z`, with the mean and the standard
deviation of the training labels. The loss is the squared error :math:`(z - (y - \mu) / \sigma)^2`.
"""

import math
import re
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor, nn

from graphmtl.data.kind import Survey
from graphmtl.data.label_arrays import TextLabels
from graphmtl.data.roles import NUMBER, SCORES, are_numbers, have_fractions, non_missing, numbers
from graphmtl.data.table import Table
from graphmtl.data.values import scores
from graphmtl.errors import InputError
from graphmtl.kinds.head import LinearHead, Units, at_least_single
from graphmtl.kinds.scored import ScoredKind

__all__ = ["Regression", "RegressionHead"]


class RegressionHead(LinearHead):
    r"""Dropout and a linear layer: pooled vectors (batch, input_size) to standardised scores z (batch,).

    :math:`\mu` and :math:`\sigma` are buffers of the head, so that a saved model answers in the label's own units.

    Args:
        input_size: dimensions of a pooled vector.
        scale: the lowest and the highest score, which no answer leaves; None: any number.
        dropout: on the pooled vectors.
    """

    is_exported = True
    mean: Tensor  # ()
    std: Tensor  # ()

    def __init__(self, *, input_size: int, scale: tuple[float, float] | None, dropout: float):
        super().__init__(input_size=input_size, classes=1, dropout=dropout)
        self.scale = scale
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("std", torch.ones(()))

    def learn_from(self, labels: Any) -> None:
        """Mean and standard deviation of the training labels (examples,), nan where there is none."""
        values = torch.as_tensor(labels[:])  # (examples,)
        known = values[~values.isnan()].double()
        self.mean.fill_(known.mean().item())
        self.std.fill_(known.std(correction=0).item() or 1.0)  # few scores may all be equal

    def forward(self, pooled: Tensor, common: nn.Linear | None = None) -> Tensor:
        return super().forward(pooled, common).squeeze(-1)  # (batch,)

    def losses(self, logits: Tensor, labels: Tensor, lengths: Tensor, *, label_smoothing: float = 0.0) -> Tensor:
        errors = at_least_single(logits) - (labels - self.mean) / self.std  # (batch,)
        return errors.where(~labels.isnan(), 0).square()

    def counts(self, labels: Tensor) -> Tensor:
        return ~labels.isnan()  # (batch,)

    def answers(self, logits: Tensor, lengths: Tensor) -> Tensor:
        """Standardised scores (batch,) to scores in the label's units (batch,)."""
        return self.units().scores(logits)

    def units(self) -> Units:
        return Units(self.mean, self.std, self.scale)

    def right(self, answers: Tensor, labels: Tensor) -> Tensor:
        return torch.full_like(labels, torch.nan)

    def margins(self, logits: Tensor, lengths: Tensor) -> Tensor:
        """The score itself, (batch,)."""
        return logits


class Regression(ScoredKind):
    """``regression``: a number for every text, nan where there is none."""

    has = frozenset({"scale"})
    keys = ("scale",)
    form = "numbers"
    default_metrics = ("pearson", "spearman")
    arrow = pa.float64()
    no_label = math.nan
    stratified = False
    columns: ClassVar = {"value": pa.float64()}

    def check(self) -> None:
        super().check()
        scale = self.task.scale
        if scale is not None and not (len(scale) == 2 and -math.inf < scale[0] < scale[1] < math.inf):
            raise InputError(f"scale of task {self.task.name!r}: {scale}, expected the lowest and the highest score")

    @property
    def in_words(self) -> str:
        scale = self.task.scale
        return "a number" if scale is None else f"a number from {scale[0]:g} to {scale[1]:g}"

    @classmethod
    def suits(cls, column: str, values: Sequence[Any]) -> bool:
        """Numbers with fractions, or many of them under such a name as ``score``."""
        if not are_numbers(values):
            return False
        different = {*numbers(non_missing(values))}
        scores = any(word in SCORES for word in re.split(r"[\W_]+", column.casefold()))
        return (have_fractions(values) and len(different) > 2) or (scores and len(different) > 10)

    @classmethod
    def survey(cls, table: Table, held_out: Mapping[str, Table], column: str) -> Survey:
        scores = numbers(non_missing(table[column]))
        every = [value for each in (table, *held_out.values()) for value in non_missing(each[column])]
        marks = sorted({str(value) for value in every if not NUMBER.fullmatch(str(value))})
        none = len(table) - len(scores)
        return Survey(
            counts={},
            about=f"from {min(scores):g} to {max(scores):g}, mean {sum(scores) / len(scores):.3g}",
            remarks=[f"{none:,} rows have no score"] if none else [],
            missing=[mark for mark in marks if mark.lower() not in ("nan", "<na>")],
        )

    def read(self, source: Any, splits: Mapping[str, Table], training: Collection[str]) -> tuple[Any, dict[str, list]]:
        task = source.task
        low, high = task.scale or (-math.inf, math.inf)
        about: dict[str, Any] = {"missing": source.missing, "accepted": self.in_words, "low": low, "high": high}
        return self.task, {split: scores(table, task.label, **about) for split, table in splits.items()}

    def is_labelled(self, label: Any) -> bool:
        return not math.isnan(label)

    def different(self, labels: Iterable[Any]) -> set:
        """As they are learned, in single precision."""
        return {float(np.float32(score)) for score in labels if not math.isnan(score)}

    def named(self, label: Any) -> float | None:
        return None if label is None or math.isnan(label) else float(label)

    def arrays(self, labels: Sequence[Any], lengths: np.ndarray) -> TextLabels:
        values = np.asarray(labels, dtype=np.float32)  # (examples,)
        return TextLabels(values, known=~np.isnan(values))

    def head(self, *, input_size: int, dropout: float, tag_head: str) -> RegressionHead:
        return RegressionHead(input_size=input_size, scale=self.task.scale, dropout=dropout)

    def head_of_several(self) -> Hashable | None:
        return self.task.scale  # scores without a scale have nothing in common

    def answer(self, answer: Any, probabilities: Sequence[float] | None, tokens: Sequence[str]) -> dict[str, Any]:
        return {"value": answer}

    def short(self, answer: Mapping[str, Any]) -> tuple[str | None, float | None]:
        return f"{answer['value']:.3g}", None

    def short_label(self, label: Any) -> str | None:
        return None if math.isnan(label) else f"{label:.3g}"
