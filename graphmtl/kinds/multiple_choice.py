r"""Which of an example's choices is right: a context and two or more choices, whose number may differ by example.

Every choice is read with the context as a pair of texts. The head gives each one score :math:`s_i`; the probabilities
are their softmax over the choices of an example, and the loss is the cross-entropy, so that neither the order of the
choices nor other examples play a part (as in Radford et al., Improving Language Understanding by Generative
Pre-Training, 2018, section 3.3). With label smoothing :math:`\epsilon` the target is :math:`1 - \epsilon` on the right
choice plus :math:`\epsilon / n` on each of the n choices of the example.
"""

import math
import string
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from torch import Tensor, nn
from torch.nn import functional as F

from graphmtl.data.batching import Batch
from graphmtl.data.choices import choice_keys, choices
from graphmtl.data.kind import NO_LABEL
from graphmtl.data.label_arrays import TextLabels
from graphmtl.data.table import Table
from graphmtl.data.values import labels
from graphmtl.errors import InputError, note, unknown_name
from graphmtl.kinds.head import LinearHead, at_least_single
from graphmtl.kinds.scored import ScoredKind

__all__ = ["MultipleChoice", "MultipleChoiceHead"]

_FIRST = ("0", "1", "A", "text")  # what the label is where the first choice is right; text: its text
_NONE = "-1"  # what data sets have in the place of a label that they keep to themselves


class MultipleChoiceHead(LinearHead):
    """Dropout and a linear layer: pooled vectors (texts, input_size) to a score of each text, (texts,).

    The loss and the answers take the scores of an example side by side.
    """

    def __init__(self, *, input_size: int, dropout: float):
        super().__init__(input_size=input_size, classes=1, dropout=dropout)

    def forward(self, pooled: Tensor, common: nn.Linear | None = None) -> Tensor:
        return super().forward(pooled, common).squeeze(-1)  # (texts,)

    def within(self, logits: Tensor, batch: Batch) -> Tensor:
        """Scores (texts,) as those of the choices of each example, (batch, choices), minus infinity for no more."""
        return batch.by_example(logits, -math.inf)

    def losses(self, logits: Tensor, labels: Tensor, lengths: Tensor, *, label_smoothing: float = 0.0) -> Tensor:
        logits = at_least_single(logits)  # (batch, choices)
        losses = F.cross_entropy(logits, labels, reduction="none")  # (batch,)
        if not label_smoothing:
            return losses
        there = logits.isneginf().logical_not()  # (batch, choices)
        even = -logits.log_softmax(-1).where(there, 0).sum(-1) / there.sum(-1)  # (batch,)
        return (1 - label_smoothing) * losses + label_smoothing * even.where(labels != NO_LABEL, 0)

    def probabilities(self, logits: Tensor) -> Tensor:
        """(batch, choices), 0 where an example has no more choices."""
        return logits.float().softmax(-1)

    def margins(self, logits: Tensor, lengths: Tensor) -> Tensor:
        """As of classes; of texts by themselves their scores, (texts,)."""
        return logits if logits.ndim == 1 else super().margins(logits, lengths)


class MultipleChoice(ScoredKind):
    """``multiple-choice``: the place of the right one of an example's choices, counted from 0."""

    has = frozenset({"choices", "first"})
    keys = ("choices", "first")
    form = "choices"
    hub_task = "multiple-choice"
    default_metrics = ("accuracy",)
    arrow = pa.int64()
    stratified = False
    columns: ClassVar = {"choice": pa.int64(), "label": pa.string(), "probability": pa.float64()}

    def check(self) -> None:
        super().check()
        task = self.task
        if not task.choices:
            raise InputError(
                f"task {task.name!r} of kind {task.kind} has no `choices`: the column of the lists of choices, or a "
                "list of the columns that hold one each"
            )
        if task.tokens:
            raise InputError(f"task {task.name!r} of kind {task.kind} reads texts, not lists of tokens")
        if task.first is not None and task.first not in _FIRST:
            raise unknown_name(f"first of task {task.name!r}", task.first, _FIRST)

    @property
    def in_words(self) -> str:
        return "the place of the right choice"

    # Labels

    def read(self, source: Any, splits: Mapping[str, Table], training: Collection[str]) -> tuple[Any, dict[str, list]]:
        task, rows = source.task, {}
        for split, table in splits.items():
            written = labels(replace(table, names={}), task.label, missing=source.missing)  # of classes their places
            own = choices(table, task.reads), choice_keys(table, task.reads)
            rows[split] = [*zip(written, *own, strict=True)]
        first = task.first or _recognised([row for own in rows.values() for row in own], source, splits)
        task = self.task if first == "key" else replace(self.task, first=first)
        return task, {
            split: [_place(splits[split], i, task, first, *row) for i, row in enumerate(own)]
            for split, own in rows.items()
        }

    def different(self, labels: Iterable[Any]) -> set:
        """The examples that have one: the right choice may be the first one in all of them."""
        return {f"that of example {i}" for i, label in enumerate(labels, 1) if self.is_labelled(label)}

    def named(self, label: Any) -> int | None:
        return int(label) if self.is_labelled(label) else None

    def strata(self, labels: Sequence[Any]) -> Sequence[Hashable] | None:
        return None

    def relabelled(self, shuffled: list, labels: Sequence[Any], rows: Any) -> list:
        """A place behind an example's last choice is counted on from the first."""
        sizes = map(len, rows["choices"])
        return [label % n if self.is_labelled(label) else label for label, n in zip(shuffled, sizes, strict=True)]

    def arrays(self, labels: Sequence[Any], lengths: np.ndarray) -> TextLabels:
        values = np.asarray(labels, dtype=np.int64)  # (examples,)
        return TextLabels(values, known=values != NO_LABEL)

    # The model

    def head(self, *, input_size: int, dropout: float, tag_head: str) -> MultipleChoiceHead:
        return MultipleChoiceHead(input_size=input_size, dropout=dropout)

    # Answers

    def located(self, answers: Any, texts: Sequence[Any], vocabulary: Any) -> list:
        """The place of each answer among the choices, and these."""
        return [(place, [choice for _, choice in own]) for place, own in zip(answers.tolist(), texts, strict=True)]

    def answer(self, answer: Any, probabilities: Sequence[float] | None, tokens: Sequence[str]) -> dict[str, Any]:
        """The place of the choice, its text, and the probability of each choice."""
        place, own = answer
        return {"choice": place, "label": own[place], "probabilities": [*(probabilities or ())][: len(own)]}

    def by_name(self, probabilities: Sequence[float]) -> Any:
        """Those of the choices, in their order."""
        return [*probabilities]

    def cells(self, answer: Mapping[str, Any]) -> dict[str, Any]:
        place = answer["choice"]
        probability = None if place is None else answer["probabilities"][place]
        return {"choice": place, "label": answer.get("label"), "probability": probability}

    def short(self, answer: Mapping[str, Any]) -> tuple[str | None, float | None]:
        return f"choice {answer['choice']}", answer["probabilities"][answer["choice"]]

    def short_label(self, label: Any) -> str | None:
        return f"choice {label}" if self.is_labelled(label) else None


_Row = tuple[str | None, list[str], list[str] | None]
"""What the label of an example is, its choices, and the keys of these."""


def _recognised(rows: Sequence[_Row], source: Any, splits: Mapping[str, Table]) -> str:
    """What labels are: one of `_FIRST`, or keys; said where they could be something else."""
    known = [row for row in rows if row[0] not in (None, _NONE)]
    found = [str(label) for label, *_ in known]
    if any(keys is not None for *_, keys in known):
        return "key"
    where = f"task {source.task.name!r} ({splits['train'].source}): labels such as {found[0]!r}" if found else ""
    if found and all(map(_is_number, found)):
        first, taken = "0", "the places of choices, counted from 0"
    elif found and all(label.upper() in string.ascii_uppercase and len(label) == 1 for label in found):
        first, taken = "A", "letters of choices, A for the first"
    else:
        return "text"
    if all(label in own for label, own, _ in known):
        note(f"{where} are taken for {taken}; `first: text` takes them for the texts of choices")
    elif (
        first == "0"
        and "0" not in found
        and all(int(label) < len(own) for label, own in zip(found, known, strict=True))
    ):
        note(f"{where} are taken for {taken}, though none is 0; `first: 1` counts from 1")
    return first


def _is_number(label: str) -> bool:
    return label.isascii() and label.isdecimal()


def _place(
    table: Table, i: int, task: Any, first: str, label: str | None, own: Sequence[str], keys: Sequence[str] | None
) -> int:
    """The place of the right choice of row ``i``."""
    if label is None or (label == _NONE and first != "text"):
        return NO_LABEL
    place = _PLACES[first](label, own, keys or (), task.choices)
    if len(place) == 1 and 0 <= place[0] < len(own):
        return place[0]
    n = len(own)
    expected = {
        "0": f"a place from 0 to {n - 1}{'; `first: 1` counts from 1' if label == str(n) else ''}",
        "1": f"a place from 1 to {n}, as `first: 1` says",
        "A": f"a letter from A to {string.ascii_uppercase[min(n, 26) - 1]}",
        "text": "the text of one of them, or a place counted from 0 in all rows",
        "key": f"one of their keys, {', '.join(keys or ())}",
    }[first]
    several = f" is that of {len(place)} of" if len(place) > 1 else " of"
    raise InputError(f"{table.where(i, task.label)}: label {label!r}{several} {n} choices, expected {expected}")


def _of_text(label: str, own: Sequence[str], keys: Sequence[str], columns: Sequence[str]) -> list[int]:
    """The choices with this text, or else that of the column with this name."""
    texts = [" ".join(choice.split()) for choice in own]
    found = [j for j, text in enumerate(texts) if text == " ".join(label.split())]
    return found or [j for j, column in enumerate(columns) if column == label and len(columns) > 1]


_PLACES: Mapping[str, Any] = {  # the places that a label means, by what labels are
    "0": lambda label, own, keys, columns: [int(label)] if _is_number(label) else [],
    "1": lambda label, own, keys, columns: [int(label) - 1] if _is_number(label) else [],
    "A": lambda label, own, keys, columns: [string.ascii_uppercase.find(label.upper())] if len(label) == 1 else [],
    "text": _of_text,
    "key": lambda label, own, keys, columns: [j for j, key in enumerate(keys) if key == label],
}
