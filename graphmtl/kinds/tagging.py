r"""A label for every token: a tag, or the spans that tags of IOB2 mark.

The loss of the linear head is the cross-entropy of every token's tag, that of the CRF minus the log-likelihood of a
text's tags (:mod:`graphmtl.kinds.crf`).
"""

from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from torch import Tensor
from torch.nn import functional as F

from graphmtl.data.kind import NO_LABEL, Survey
from graphmtl.data.label_arrays import TokenLabels
from graphmtl.data.label_set import alike_labels, sort_labels
from graphmtl.data.roles import flat as every
from graphmtl.data.source import Source
from graphmtl.data.table import Table
from graphmtl.data.tags import (
    MISSING,
    are_spans,
    check,
    in_doubt,
    is_iob2,
    recognise,
    respelled,
    to_iob2,
)
from graphmtl.data.values import listed, tags, tokens
from graphmtl.errors import note, unknown_name
from graphmtl.kinds.class_names import fail_at_first, flat, renamer, with_labels
from graphmtl.kinds.head import Head, LinearHead, at_least_single
from graphmtl.kinds.scored import ScoredKind
from graphmtl.layers.pooling import mean_over_tokens
from graphmtl.metrics.answered import Answered
from graphmtl.registry import HEADS, find_class, is_outside

__all__ = ["LinearTagHead", "TagHead", "Tagging", "tag_head_class"]

_OF_SPANS = ("span_f1", "span_precision", "span_recall")


class TagHead(Head):
    """A head that tags tokens, by the cross-entropy of every tag unless it says otherwise.

    It is made with ``input_size``, ``labels``, ``spans`` and ``dropout``, as :class:`~graphmtl.kinds.crf.CRFHead`.
    """

    def losses(self, logits: Tensor, labels: Tensor, lengths: Tensor, *, label_smoothing: float = 0.0) -> Tensor:
        losses = F.cross_entropy(
            at_least_single(logits).mT,
            labels,
            weight=self.class_weights if self.training else None,
            reduction="none",
            label_smoothing=label_smoothing,
        )  # (batch, tokens)
        return losses.sum(1)

    def answers(self, logits: Tensor, lengths: Tensor) -> Tensor:
        """The tags (batch, tokens); those at padding mean nothing."""
        return self.decode(logits, lengths)

    def decode(self, logits: Tensor, lengths: Tensor) -> Tensor:
        """Logits (batch, tokens, tags) to the tags (batch, tokens); those at padding mean nothing."""
        return logits.argmax(-1)

    def margins(self, logits: Tensor, lengths: Tensor) -> Tensor:
        """The mean over the tokens, (batch,)."""
        best = logits.topk(2, -1).values  # (batch, tokens, 2)
        return mean_over_tokens(best[..., :1] - best[..., 1:], lengths).squeeze(-1)


class LinearTagHead(LinearHead, TagHead):
    """Dropout and a linear layer for every token: (batch, tokens, input_size) to logits (batch, tokens, tags)."""

    def __init__(self, *, input_size: int, labels: Sequence[str], spans: bool, dropout: float):
        super().__init__(input_size=input_size, classes=len(labels), dropout=dropout)


def tag_head_class(name: str) -> type[TagHead]:
    """The class of a head that tags tokens: one of the table, or ``module:Class``.

    Raises:
        InputError: there is none, or it is no such head.
    """
    return find_class("tag_head", name, HEADS, TagHead)


class Tagging(ScoredKind):
    """``token-classification``: a tag for every token; those of spans are IOB2, whatever the scheme of the data."""

    has = frozenset({"labels", "head", "class_weights"})
    keys = ("scheme", "head")
    form = "tags"
    hub_task = "token-classification"
    default_metrics = ("accuracy",)
    arrow = pa.list_(pa.int64())
    labels_tokens = reads_tokens = True
    one_of_several = True
    stratified = False
    columns: ClassVar = {
        "labels": pa.list_(pa.string()),
        "tokens": pa.list_(pa.string()),
        "offsets": pa.list_(pa.list_(pa.int64())),
    }

    @property
    def is_spans(self) -> bool:
        """The labels are tags of spans."""
        return self.task.scheme != "none" and is_iob2(self.task.labels)

    @property
    def spans(self) -> bool | None:
        return self.is_spans if self.task.labels else None

    def check(self) -> None:
        super().check()
        task = self.task
        if task.head is not None and task.head not in HEADS and not is_outside(task.head):
            raise unknown_name(f"head of task {task.name!r}", task.head, HEADS)

    @classmethod
    def survey(cls, table: Table, held_out: Mapping[str, Table], column: str) -> Survey:
        found = Counter(map(str, every(listed(table, [column])[column])))
        found.pop(MISSING, None)
        counts = {tag: found[tag] for tag in sort_labels(found)}
        return Survey(counts=counts, remarks=[odd for odd in [alike_labels(counts)] if odd])

    # Labels

    def read(self, source: Any, splits: Mapping[str, Table], training: Collection[str]) -> tuple[Any, dict[str, list]]:
        values, scheme = _read_tags(source, splits)
        if source.task.labels and scheme not in ("none", "iob2"):
            source = replace(source, task=replace(source.task, labels=_in_iob2(source)))
        task = replace(self.task, scheme="none") if source.scheme == "none" else self.task
        task = with_labels(task, source, splits, values, training)
        if not is_iob2(task.labels):
            task = replace(task, scheme=None)  # of which there was no doubt
        if Tagging(task).is_spans and source.default_metrics:
            task = replace(task, metrics=_OF_SPANS)
        index: dict[str, int] = {label: i for i, label in enumerate(task.labels)} | {MISSING: NO_LABEL}
        return task, {split: [[index[tag] for tag in row] for row in own] for split, own in values.items()}

    def as_scored(self, source: Any) -> Any:
        """Tags that the model has learned as classes are no spans, whatever they look like."""
        return source if self.is_spans else replace(source, scheme="none")

    def is_labelled(self, label: Any) -> bool:
        return any(tag != NO_LABEL for tag in label)

    def different(self, labels: Iterable[Any]) -> set:
        return {self.task.labels[tag] for own in labels for tag in own if tag != NO_LABEL}

    def named(self, label: Any) -> list[str | None]:
        return [None if tag == NO_LABEL else self.task.labels[tag] for tag in label]

    def strata(self, labels: Sequence[Any]) -> Sequence[Hashable] | None:
        return None

    def relabelled(self, shuffled: list, labels: Sequence[Any], rows: Any) -> list:
        """All tags one after the other, cut anew to the texts; a span that is cut begins anew."""
        names = self.task.labels
        begins = {f"I-{name[2:]}": i for i, name in enumerate(names) if self.is_spans and name.startswith("B-")}
        begin = {i: begins[name] for i, name in enumerate(names) if name in begins}
        joined = [tag for own in shuffled for tag in own]
        lengths = [len(own) for own in labels]
        cut = [joined[end - length : end] for end, length in zip(np.cumsum(lengths).tolist(), lengths, strict=True)]
        return [[begin.get(own[0], own[0]), *own[1:]] if own else own for own in cut]

    def label_counts(self, labels: Sequence[Any]) -> np.ndarray:
        known = np.array([tag for own in labels for tag in own if tag != NO_LABEL], dtype=np.int64)
        return np.bincount(known, minlength=len(self.task.labels))

    def arrays(self, labels: Sequence[Any], lengths: np.ndarray) -> TokenLabels:
        return TokenLabels(labels, lengths, missing=NO_LABEL)

    # The model

    def head(self, *, input_size: int, dropout: float, tag_head: str) -> TagHead:
        name = self.task.head or tag_head
        name = ("crf" if self.is_spans else "linear") if name == "auto" else name
        made: Any = tag_head_class(name)
        return made(input_size=input_size, labels=self.task.labels, spans=self.is_spans, dropout=dropout)

    # Answers

    def answer(self, answer: Any, probabilities: Sequence[float] | None, tokens: Sequence[str]) -> dict[str, Any]:
        return {"tokens": tokens, "labels": self.named(answer[: len(tokens)])}

    def blank(self, text: Any) -> dict[str, Any]:
        offsets: dict[str, list] = {"offsets": []} if isinstance(text, str) else {}
        return {"tokens": [], "labels": [], **offsets}

    def answered(self, predictions: Any) -> Answered:
        """The tags by name, without the tokens that have no label."""
        names = np.asarray(self.task.labels, dtype=object)  # (tags,)
        found: dict[str, Any] = {"labels": [], "answers": []}
        for labels, answers in zip(predictions.labels, predictions.answers, strict=True):
            known = labels != NO_LABEL  # (tokens,)
            found["labels"].append(names[labels[known]].tolist())
            found["answers"].append(names[answers[known]].tolist())
        return Answered(form=self.form, names=self.task.labels, spans=self.is_spans, **found)


def _in_iob2(source: Source) -> tuple[str, ...]:
    """The labels that a task names as its data has them, in IOB1, BIOES and the like: of each type what IOB2 has."""
    named = [source.names.get(label, label) for label in source.task.labels]
    both = ((f"B-{tag[2:]}", f"I-{tag[2:]}") if tag[1:2] == "-" else (tag,) for tag in named)
    iob2 = [*dict.fromkeys(chain.from_iterable(both))]
    return tuple(named if {*named} == {*iob2} else iob2)


def _read_tags(source: Source, splits: Mapping[str, Table]) -> tuple[dict[str, list], str]:
    """The tags of the rows of each split by their names, those of spans in IOB2; and the scheme they were in."""
    task, read = source.task, {}
    for split, table in splits.items():
        read[split] = tags(table, task.label, of=tokens(table, task.text[0]), missing=source.missing)
    named = renamer(source, flat([row for own in read.values() for row in own]))
    read = {split: [[named(tag) for tag in row] for row in own] for split, own in read.items()}
    if not task.labels and (alike := alike_labels({*flat([row for own in read.values() for row in own])})) is not None:
        note(f"task {task.name!r} ({splits['train'].source}): {alike}")
    if source.scheme == "none":
        return read, "none"
    read = _respelled(source, read, splits["train"].source)
    scheme = source.scheme or _recognised([row for own in read.values() for row in own])
    if scheme == "none":
        looks = in_doubt(set(flat([row for own in read.values() for row in own])))
        if looks and not source.task.labels:
            about = f"{splits['train'].source}: tags of {task.label!r} such as {', '.join(looks[:3])}"
            note(f"{about} are taken for classes, not for spans, whose tags are B-TYPE, I-TYPE and O")
        return read, scheme
    for split, table in splits.items():
        faults = {tag: fault for tag in set(flat(read[split])) if (fault := check(tag, scheme))}
        fail_at_first(task.label, table, read[split], faults)
    return {split: [to_iob2(row) for row in own] for split, own in read.items()}, scheme


def _respelled(source: Source, read: dict[str, list], where: str) -> dict[str, list]:
    """The tags of each split; those of spans that are spelled in another way as PREFIX-TYPE.

    Where the task names its labels as they are spelled in the data, they stay so.
    """
    spelled = respelled(set(flat([row for own in read.values() for row in own])))
    if not spelled or spelled.keys() & {*source.task.labels, *source.names.values()}:
        return read
    tag = min(spelled)
    note(
        f"{where}: tags of {source.task.label!r} such as {tag} are read as spans, {spelled[tag]}; `scheme: none` takes"
        " them for classes"
    )
    return {split: [[spelled.get(tag, tag) for tag in row] for row in own] for split, own in read.items()}


def _recognised(sentences: Sequence[Sequence[str]]) -> str:
    return recognise(sentences) if are_spans(set(flat(sentences))) else "none"
