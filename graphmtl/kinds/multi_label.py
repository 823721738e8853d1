r"""Any of several labels for every text.

The loss of a text is the mean over the C labels of the binary cross-entropy,

.. math:: \ell = -\frac{1}{C} \sum_c w_c y_c \log \sigma(z_c) + (1 - y_c) \log(1 - \sigma(z_c))

with :math:`y_c` 1 where the label applies and :math:`z_c` its logit: like the other kinds a text counts once, however
many labels there are. ``class_weights`` are the :math:`w_c`; ``balanced`` is :math:`n(y_c = 0) / n(y_c = 1)` over the
training texts, from 1/100 to 100. With label smoothing :math:`\epsilon` the target is :math:`(1 - \epsilon) y_c +
\epsilon / 2`.

A label is answered where its probability :math:`\sigma(z_c)` is at least a threshold, the one of all labels that has
the best micro F1 on the validation split; it is saved with the model, and 0.5 where there is no such split. The best F1
is seldom at 0.5 (Lipton et al., Optimal thresholding of classifiers to maximize F1 measure, 2014); a threshold for each
label is chosen on its few examples and fits those (Fan and Lin, A study on threshold selection for multi-label
classification, 2007, on rare labels).
"""

from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor
from torch.nn import functional as F

from graphmtl.data.kind import NO_LABEL
from graphmtl.data.label_arrays import TextLabels
from graphmtl.data.table import Table
from graphmtl.data.values import label_sets
from graphmtl.errors import InputError, note
from graphmtl.kinds.class_names import flat, named_labels, with_labels
from graphmtl.kinds.head import LinearHead, at_least_single
from graphmtl.kinds.scored import ScoredKind
from graphmtl.metrics.answered import Answered

__all__ = ["MultiLabel", "MultiLabelHead", "best_threshold"]

_OFF, _ON = {"0", "False"}, {"1", "True"}  # as the entries of a row of 0 and 1 are written
_LARGEST_WEIGHT = 100.0  # of a rare label that is balanced


class MultiLabelHead(LinearHead):
    """A :class:`~graphmtl.kinds.head.LinearHead`: pooled vectors (batch, input_size) to logits (batch, classes).

    A label is a row of 0 and 1, (classes,), of :data:`~graphmtl.data.kind.NO_LABEL` where nothing is known.
    """

    labels_apply = "any"
    is_exported = True
    chosen = ("threshold",)
    threshold: Tensor  # ()

    def __init__(self, *, input_size: int, classes: int, dropout: float):
        super().__init__(input_size=input_size, classes=classes, dropout=dropout)
        self.register_buffer("threshold", torch.tensor(0.5))

    def choose(self, predictions: Any) -> Any:
        self.threshold.fill_(best_threshold(predictions.probabilities, predictions.labels))
        answers = predictions.probabilities >= self.threshold.float().cpu().numpy()  # (examples, classes)
        return replace(predictions, answers=answers.astype(np.int64))

    def exported_with(self) -> dict[str, float]:
        return {"threshold": self.threshold.item()}

    def losses(self, logits: Tensor, labels: Tensor, lengths: Tensor, *, label_smoothing: float = 0.0) -> Tensor:
        logits, known = at_least_single(logits), labels != NO_LABEL  # (batch, classes)
        targets = (1 - label_smoothing) * labels.to(logits.dtype) + label_smoothing / 2  # (batch, classes)
        weights = self.class_weights if self.training else None  # (classes,)
        losses = F.binary_cross_entropy_with_logits(logits, targets, pos_weight=weights, reduction="none")
        return losses.where(known, 0).mean(-1)  # (batch,)

    def counts(self, labels: Tensor) -> Tensor:
        return labels[:, 0] != NO_LABEL  # (batch,)

    def answers(self, logits: Tensor, lengths: Tensor) -> Tensor:
        """Which labels apply, (batch, classes)."""
        return (self.probabilities(logits) >= self.threshold.float()).long()

    def probabilities(self, logits: Tensor) -> Tensor:
        return logits.float().sigmoid()  # (batch, classes), each on its own

    def right(self, answers: Tensor, labels: Tensor) -> Tensor:
        """The share of the labels that are answered right, (batch,)."""
        return (answers == labels).float().mean(-1)

    def margins(self, logits: Tensor, lengths: Tensor) -> Tensor:
        """How far the logits are from the threshold, (batch,): the mean over the labels."""
        return (at_least_single(logits) - self.threshold.float().logit(eps=1e-6)).abs().mean(-1)


def best_threshold(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """The threshold that has the best micro F1; of several equal ones the nearest to 0.5.

    There are as many to choose from as there are different answers: the middle between two probabilities that follow
    each other, 0, and 0.5 itself.

    Args:
        probabilities: (examples, classes), float32.
        labels: (examples, classes), 0 and 1.

    Returns:
        A number that float32 holds; 0.5 where no label applies anywhere, or a probability is nan.
    """
    right = np.sort(probabilities[labels == 1])  # (labels that apply,)
    found = np.sort(probabilities, axis=None)  # (examples * classes,)
    if not len(right) or np.isnan(found[-1]):
        return 0.5
    values = np.unique(found)
    low, high = values[:-1], values[1:]
    middles = ((low.astype(np.float64) + high) / 2).astype(np.float32)
    middles = np.where(middles > low, middles, high)  # neighbours have nothing between them
    thresholds = np.array([0.5, 0.0, *middles], dtype=np.float32)
    answered = len(found) - np.searchsorted(found, thresholds)  # (thresholds,)
    hits = len(right) - np.searchsorted(right, thresholds)  # (thresholds,)
    scores = 2 * hits / (answered + len(right))  # (thresholds,), F1
    return float(thresholds[np.lexsort([np.abs(thresholds - 0.5), -scores])[0]])


class MultiLabel(ScoredKind):
    """``multi-label``: any of several labels for every text.

    A cut-off split is drawn without regard to the labels, whose sets are too many to keep in proportion.
    """

    has = frozenset({"labels", "class_weights", "separator"})
    keys = ("separator",)
    form = "label-sets"
    default_metrics = ("micro_f1", "macro_f1")
    arrow = pa.list_(pa.int8())
    no_label = None
    stratified = False
    columns: ClassVar = {"labels": pa.list_(pa.string()), "probabilities": pa.list_(pa.float64())}

    # Labels

    def read(self, source: Any, splits: Mapping[str, Table], training: Collection[str]) -> tuple[Any, dict[str, list]]:
        about: dict[str, Any] = {"separator": self.task.separator, "missing": source.missing}
        column = source.task.label
        read: dict[str, list] = {split: label_sets(table, column, **about) for split, table in splits.items()}
        if column not in splits["train"].names:
            read = _without_rows_of_bits(source, splits, read)
        values = named_labels(source, splits, read)
        for split, table in splits.items():
            values[split] = _each_once(column, table, values[split])
        task = with_labels(self.task, source, splits, values, training)
        return task, {split: [_row(label, task.labels) for label in own] for split, own in values.items()}

    def counts(self, table: Table, column: str, *, missing: Iterable[str] = ()) -> Counter[str]:
        return Counter(flat(label_sets(table, column, separator=self.task.separator, missing=missing)))

    def different(self, labels: Iterable[Any]) -> set:
        """The different sets of labels."""
        return {tuple(self.named(label) or ()) for label in labels if self.is_labelled(label)}

    def named(self, label: Any) -> list[str] | None:
        if not self.is_labelled(label):
            return None
        return [name for name, applies in zip(self.task.labels, label, strict=True) if applies]

    def strata(self, labels: Sequence[Any]) -> Sequence[Hashable] | None:
        return None

    def is_labelled(self, label: Any) -> bool:
        return label is not None

    def class_weights(self, given: Mapping[str, float] | str, labels: Sequence[Any]) -> tuple[float, ...]:
        """The weight of each label where it applies; see the top of the file."""
        if not isinstance(given, str):
            return super().class_weights(given, labels)
        counts = self.label_counts(labels)  # (classes,)
        texts = sum(map(self.is_labelled, labels))
        balanced = (texts - counts) / np.maximum(counts, 1)  # (classes,)
        balanced = np.clip(balanced, 1 / _LARGEST_WEIGHT, _LARGEST_WEIGHT)
        return tuple(np.where(counts > 0, balanced, 1.0).tolist())

    def label_counts(self, labels: Sequence[Any]) -> np.ndarray:
        known = [label for label in labels if self.is_labelled(label)]
        return np.array(known, dtype=np.int64).reshape(len(known), len(self.task.labels)).sum(0)

    def arrays(self, labels: Sequence[Any], lengths: np.ndarray) -> TextLabels:
        known = np.array([self.is_labelled(label) for label in labels], dtype=bool)  # (examples,)
        values = np.full((len(labels), len(self.task.labels)), NO_LABEL, dtype=np.int8)  # (examples, classes)
        for i in np.flatnonzero(known).tolist():
            values[i] = labels[i]
        return TextLabels(values, known=known)

    def head(self, *, input_size: int, dropout: float, tag_head: str) -> MultiLabelHead:
        return MultiLabelHead(input_size=input_size, classes=len(self.task.labels), dropout=dropout)

    # Answers

    def answer(self, answer: Any, probabilities: Sequence[float] | None, tokens: Sequence[str]) -> dict[str, Any]:
        return {"labels": self.named(answer), "probabilities": self.by_name(probabilities or ())}

    def cells(self, answer: Mapping[str, Any]) -> dict[str, Any]:
        """The labels that apply, and the probability of each."""
        labels = answer["labels"]
        return {"labels": labels, "probabilities": labels and [answer["probabilities"][label] for label in labels]}

    def short(self, answer: Mapping[str, Any]) -> tuple[str | None, float | None]:
        return _joined(answer["labels"]), None

    def short_label(self, label: Any) -> str | None:
        return _joined(self.named(label))

    def answered(self, predictions: Any) -> Answered:
        applies = {"labels": predictions.labels == 1, "answers": predictions.answers == 1}  # (examples, classes)
        return replace(super().answered(predictions), **applies)


def _without_rows_of_bits(source: Any, splits: Mapping[str, Table], read: dict[str, list]) -> dict[str, list]:
    """Rows of 0 and 1, one for each of the task's labels, as lists of the labels that apply; other lists stay.

    Raises:
        InputError: a row has more or fewer entries than there are labels, or the task names no labels.
    """
    names = source.task.labels
    found = {entry for own in read.values() for entry in flat(own)}
    if not found or not found <= _OFF | _ON or found & {*names}:
        return read
    for split, own in read.items():
        for i, row in enumerate(own):
            where = splits[split].where(i, source.task.label)
            if not names and row is not None and len({*row}) < len(row):
                raise InputError(
                    f"{where}: a row of 0 and 1, of which the key `labels` must name the {len(row)} labels"
                )
            if names and row is not None and len(row) != len(names):
                raise InputError(f"{where}: {len(row)} entries of 0 and 1, expected {len(names)}, one for each label")
    if not names:
        return read
    return {
        split: [row and [name for name, entry in zip(names, row, strict=True) if entry in _ON] for row in own]
        for split, own in read.items()
    }


def _each_once(column: str, table: Table, values: list) -> list:
    """Lists in which no label stands twice, which is said."""
    twice = [i for i, own in enumerate(values) if own is not None and len({*own}) < len(own)]
    if twice:
        note(f"{table.where(twice[0], column)}: a label stands twice in {column!r} and counts once; rows: {len(twice)}")
    return [own and [*dict.fromkeys(own)] for own in values]


def _row(label: Sequence[str] | None, names: Sequence[str]) -> list[int] | None:
    """A row of 0 and 1, (classes,)."""
    return None if label is None else [int(name in label) for name in names]


def _joined(labels: Sequence[str] | None) -> str | None:
    return None if labels is None else ", ".join(labels) or "(none)"
