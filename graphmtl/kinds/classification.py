r"""A label for every text, one of several.

The loss is the cross-entropy; with label smoothing :math:`\epsilon` its target is :math:`1 - \epsilon` on the label
plus :math:`\epsilon / C` on each of the C labels (Szegedy et al., 2016, section 7).
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, ClassVar

import pyarrow as pa
from torch import Tensor
from torch.nn import functional as F

from graphmtl.data.kind import NO_LABEL, Survey
from graphmtl.data.label_set import no_labels, odd_labels, sort_labels, whole_numbers
from graphmtl.data.roles import NUMBER
from graphmtl.data.table import Table
from graphmtl.data.values import labels
from graphmtl.errors import InputError, shown, unknown_name
from graphmtl.kinds.class_names import read_labels, with_labels
from graphmtl.kinds.head import LinearHead, at_least_single
from graphmtl.kinds.scored import ScoredKind

__all__ = ["Classification", "ClassificationHead"]

_OF_POSITIVE = {"f1", "precision", "recall", "auc"}  # what a positive label is for
_NEARLY_ALL = 0.9  # of the rows with one label
_TYPES = {str: "text", int: "a number", float: "a number", type(None): ""}


class ClassificationHead(LinearHead):
    """A :class:`~graphmtl.kinds.head.LinearHead`: pooled vectors (batch, input_size) to logits (batch, classes)."""

    labels_apply = "one"
    is_exported = True

    def losses(self, logits: Tensor, labels: Tensor, lengths: Tensor, *, label_smoothing: float = 0.0) -> Tensor:
        return F.cross_entropy(
            at_least_single(logits),
            labels,
            weight=self.class_weights if self.training else None,
            reduction="none",
            label_smoothing=label_smoothing,
        )  # (batch,)

    def probabilities(self, logits: Tensor) -> Tensor:
        return logits.float().softmax(-1)  # (batch, classes)


class Classification(ScoredKind):
    """``text-classification``: one of several labels for every text."""

    has = frozenset({"labels", "positive", "class_weights"})
    form = "classes"
    default_metrics = ("accuracy",)
    arrow = pa.int64()
    one_of_several = True
    columns: ClassVar = {"label": pa.string(), "probability": pa.float64()}

    def check(self) -> None:
        super().check()
        task = self.task
        if task.positive is not None and not _OF_POSITIVE & {*task.metrics}:
            raise InputError(
                f"task {task.name!r} has a positive label {task.positive!r}, but none of the metrics "
                f"{', '.join(sorted(_OF_POSITIVE))}"
            )
        if task.positive is not None and task.labels and task.positive not in task.labels:
            raise unknown_name(f"positive label of task {task.name!r}", task.positive, task.labels)

    @classmethod
    def survey(cls, table: Table, held_out: Mapping[str, Table], column: str) -> Survey:
        found = [label for label in labels(table, column) if label is not None]
        others = (label for each in held_out.values() for label in labels(each, column) if label)
        counts = Counter(map(whole_numbers([*found, *others]), found))
        sure, suspects = no_labels(counts)
        for label in sure:
            del counts[label]
        ordered = {label: counts[label] for label in sort_labels(counts)}
        remarks = _about_labels(table, column, counts, sorted(suspects))
        return Survey(counts=ordered, remarks=remarks, missing=sorted(sure))

    @classmethod
    def unseen(cls, held_out: Mapping[str, Table], column: str, survey: Survey) -> set[str]:
        every = (label for table in held_out.values() for label in labels(table, column, missing=survey.missing))
        found = {label for label in every if label is not None}
        return {*map(whole_numbers([*found, *survey.counts]), found)} - {*survey.counts}

    def read(self, source: Any, splits: Mapping[str, Table], training: Collection[str]) -> tuple[Any, dict[str, list]]:
        values = read_labels(source, splits)
        task = with_labels(self.task, source, splits, values, training)
        index: dict[str | None, int] = {label: i for i, label in enumerate(task.labels)} | {None: NO_LABEL}
        return task, {split: [index[label] for label in own] for split, own in values.items()}

    def counts(self, table: Table, column: str, *, missing: Iterable[str] = ()) -> Counter[str]:
        return Counter(label for label in labels(table, column, missing=missing) if label is not None)

    def head(self, *, input_size: int, dropout: float, tag_head: str) -> ClassificationHead:
        return ClassificationHead(input_size=input_size, classes=len(self.task.labels), dropout=dropout)

    def cells(self, answer: Mapping[str, Any]) -> dict[str, Any]:
        label = answer["label"]
        return {"label": label, "probability": None if label is None else answer["probabilities"][label]}


def _about_labels(table: Table, column: str, counts: Counter[str], suspects: Sequence[str]) -> list[str]:
    total = sum(counts.values())
    (label, most), *_ = counts.most_common(1)
    once = sorted(label for label, count in counts.items() if count == 1)
    types = sorted({"a truth value" if isinstance(v, bool) else _TYPES.get(type(v), "?") for v in table[column]} - {""})
    shape = [bool(NUMBER.fullmatch(each)) for each in counts]
    return [
        *([f"{len(table) - total:,} rows have no label"] if total < len(table) else []),
        *(f"the label {each!r} may mean that there is none: then `missing: [{each!r}]`" for each in suspects),
        *(odd for odd in [odd_labels(counts)] if odd),
        *([f"{most:,} of {total:,} rows have the label {label!r}"] if most > _NEARLY_ALL * total else []),
        *([f"labels that stand there once: {', '.join(map(shown, once[:10]))}"] if once else []),
        *([f"labels of several types: {', '.join(types)}"] if len(types) > 1 else []),
        *(["some labels are numbers, others are not"] if any(shape) and not all(shape) else []),
    ]
