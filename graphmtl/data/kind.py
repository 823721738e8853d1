"""What a kind of task is to the rest of the toolkit: all that differs between classes, scores, tags and others."""

from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from graphmtl.data.digits import shortest
from graphmtl.data.label_arrays import TextLabels, TokenLabels
from graphmtl.data.table import Table
from graphmtl.errors import InputError, unknown_name
from graphmtl.registry import KINDS, find_class

__all__ = ["NO_LABEL", "Kind", "Survey", "default_kind", "kind_class", "suited_kind"]

NO_LABEL = -100
"""The index of a label that a corpus does not have; losses and scores leave it out. A missing score is nan."""
_OWN = (
    "labels",
    "positive",
    "class_weights",
    "scale",
    "head",
    "choices",
    "first",
    "separator",
)  # not all kinds have them


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What the label column of a file of examples holds.

    Attributes:
        counts: how often each label stands in the training rows, in the order of the labels; of scores nothing.
        about: which scores there are, in words.
        remarks: what looks wrong.
        missing: what stands in the place of a label that is not there.
    """

    counts: Mapping[str, int]
    about: str = ""
    remarks: Sequence[str] = ()
    missing: Sequence[str] = ()


class Kind:
    """A kind of task, of one task: ``task.of_kind``.

    All that the rest of the toolkit asks of a kind stands in this class; a kind is one file in ``graphmtl/kinds``, with
    its head. It says how labels are read and kept, which head learns them, and what an answer is, in arrays and in
    words. In the arrays of a split a label is what :meth:`read` made of it, and the answers are of the same form.

    Args:
        task: the task (:class:`~graphmtl.data.task.Task`).
    """

    has: ClassVar[frozenset[str]] = frozenset()  #: those of the fields of ``_OWN`` that it has
    keys: ClassVar[tuple[str, ...]] = ()  #: keys of a task file that its tasks alone have
    form: ClassVar[str]  #: what answers are to :mod:`graphmtl.metrics`
    hub_task: ClassVar[str] = "text-classification"  #: what the Hugging Face Hub calls such a task
    default_metrics: ClassVar[tuple[str, ...]]  #: what is measured where a task does not say it
    arrow: ClassVar[pa.DataType]  #: the type of a label in a data set
    no_label: ClassVar[Any] = NO_LABEL  #: what stands in the place of a label that is not there
    labels_tokens: ClassVar[bool] = False  #: True where every token has a label
    reads_tokens: ClassVar[bool] = False  #: True where the head reads every token's state, so that none is cut off
    one_of_several: ClassVar[bool] = False  #: True where logits are those of classes of which one is right
    labels_ordered: ClassVar[bool] = False  #: True where the order of the labels says something
    stratified: ClassVar[bool] = True  #: True where a cut keeps the proportions of the labels
    columns: ClassVar[Mapping[str, pa.DataType]]  #: the keys of an answer in words that are columns of a table

    def __init__(self, task: Any):
        self.task = task

    def check(self) -> None:
        """Whether the task's fields are such as a task of this kind has.

        Raises:
            InputError: they are not.
        """
        for name in _OWN:
            if name not in self.has and getattr(self.task, name) not in (None, ()):
                owners = ", ".join(kind for kind in KINDS if name in kind_class(kind).has)
                raise InputError(
                    f"task {self.task.name!r} of kind {self.task.kind} has `{name}`, which is for tasks of {owners}"
                )

    @property
    def in_words(self) -> str:
        """What the task answers: its labels, or which numbers."""
        return ", ".join(self.task.labels)

    # Files whose task is guessed

    @classmethod
    def suits(cls, column: str, values: Sequence[Any]) -> bool:
        """Whether the name of a column and what it holds look like labels of this kind, and of no kind before it."""
        return False

    @classmethod
    def survey(cls, table: Table, held_out: Mapping[str, Table], column: str) -> Survey:
        """What the labels of a file are, and what looks wrong with them.

        Args:
            table: the training rows.
            held_out: those of other splits that have files.
            column: where the labels stand.
        """
        raise NotImplementedError

    @classmethod
    def unseen(cls, held_out: Mapping[str, Table], column: str, survey: Survey) -> set[str]:
        """Labels of other splits that the training rows have not, where these alone say which labels there are."""
        return set()

    # Labels

    def read(self, source: Any, splits: Mapping[str, Table], training: Collection[str]) -> tuple[Any, dict[str, list]]:
        """The task with its labels, and the label of each split's rows, ``no_label`` where there is none.

        Args:
            source: the task as it was read (:class:`~graphmtl.data.source.Source`).
            splits: the rows of each split.
            training: the names of those splits that come from the training rows.

        Raises:
            InputError: a label that is none or is not among the task's, or that training never saw and the task does
                not list.
        """
        raise NotImplementedError

    def as_scored(self, source: Any) -> Any:
        """The source of data that a finished model is scored on, where it must be read as in training."""
        return source

    def counts(self, table: Table, column: str, *, missing: Iterable[str] = ()) -> Counter[str]:
        """How often each label of a whole text stands in a column; nothing where texts have no such labels."""
        return Counter()

    def is_labelled(self, label: Any) -> bool:
        """Whether a label says something."""
        return label != self.no_label

    def different(self, labels: Iterable[Any]) -> set:
        """The different labels, by name, of which training needs two."""
        return {self.named(label) for label in labels if self.is_labelled(label)}

    def named(self, label: Any) -> Any:
        """A label by its name, for JSON: a text, a number or a list; None where there is none."""
        return self.task.labels[label] if self.is_labelled(label) else None

    def strata(self, labels: Sequence[Any]) -> Sequence[Hashable] | None:
        """By what a draw of a few examples keeps the proportions; None: by nothing."""
        return labels

    def relabelled(self, shuffled: list, labels: Sequence[Any], rows: Any) -> list:
        """Labels in another order, so that each fits the text that it now belongs to.

        Args:
            shuffled: the labels in that order.
            labels: those that the texts have had.
            rows: the texts, a split of a :class:`~graphmtl.data.task.TaskData`.
        """
        return shuffled

    def class_weights(self, given: Mapping[str, float] | str, labels: Sequence[Any]) -> tuple[float, ...]:
        """The weight of each class in the loss, in the order of the labels.

        Args:
            given: {label: weight}, 1 for labels that it has not; or ``balanced``: n / (C n_c) for n_c of n labels.
            labels: those of the training split.

        Raises:
            InputError: a label is none of the task's.
        """
        names = self.task.labels
        if isinstance(given, str):
            counts = self.label_counts(labels)  # (classes,)
            balanced = counts.sum() / (len(names) * np.maximum(counts, 1))  # (classes,)
            return tuple(np.where(counts > 0, balanced, 1.0).tolist())
        for label in given:
            if label not in names:
                raise unknown_name(f"label in class_weights of task {self.task.name!r}", label, names)
        return tuple(given.get(name, 1.0) for name in names)

    def label_counts(self, labels: Sequence[Any]) -> np.ndarray:
        """How often each class is a label, (classes,)."""
        known = np.array([label for label in labels if self.is_labelled(label)], dtype=np.int64)
        return np.bincount(known, minlength=len(self.task.labels))

    def arrays(self, labels: Sequence[Any], lengths: np.ndarray) -> TextLabels | TokenLabels:
        """The labels of a split as arrays.

        Args:
            labels: that of each text, as :meth:`read` gave it.
            lengths: (examples,), tokens of each text.
        """
        values = np.asarray(labels, dtype=np.int64)  # (examples,)
        return TextLabels(values, known=values != NO_LABEL)

    def encoded(self, labels: Sequence[Any], lengths: np.ndarray, rows: Any, vocabulary: Any, where: str) -> Any:
        """The labels of a split as arrays, as :meth:`arrays` gives them, where places in the texts play a part.

        Args:
            labels: that of each text, as :meth:`read` gave it.
            lengths: (examples,), tokens of each text.
            rows: the texts, with the columns of a :class:`~graphmtl.data.task.TaskData`.
            vocabulary: what has made tokens of them.
            where: what a note about labels calls the texts.
        """
        return self.arrays(labels, lengths)

    # The model

    def head(self, *, input_size: int, dropout: float, tag_head: str) -> Any:
        """A new head (:class:`~graphmtl.kinds.head.Head`).

        Args:
            input_size: dimensions of what it reads: of a text's vector, or of a token's state.
            dropout: on that.
            tag_head: ``--tag-head``, for kinds that have a choice of heads.
        """
        raise NotImplementedError

    def head_of_several(self) -> Hashable | None:
        """What tasks must have the same of to have a head in common, beside the head's class; None: they have none."""
        return self.task.labels or None

    # Answers

    def answer(self, answer: Any, probabilities: Sequence[float] | None, tokens: Sequence[str]) -> dict[str, Any]:
        """An answer in words, for JSON.

        Args:
            answer: of the form of a label.
            probabilities: of each class, where the head gives them.
            tokens: of the text, where each is spoken of.
        """
        return {"label": self.named(answer), "probabilities": self.by_name(probabilities or ())}

    def located(self, answers: Any, texts: Sequence[Any], vocabulary: Any) -> list:
        """The answers to some texts as :meth:`answer` takes them.

        Args:
            answers: of the texts, a tensor (batch, ...), as the head gives them.
            texts: what was read; of an example that is several texts the list of them.
            vocabulary: what has made tokens of them.
        """
        return shortest(answers)

    def by_name(self, probabilities: Sequence[float]) -> Any:
        """``{LABEL: p}``."""
        return dict(zip(self.task.labels, probabilities, strict=True))

    def blank(self, text: Any) -> dict[str, Any]:
        """The answer to a text in which nothing stands."""
        return {next(iter(self.columns)): None}

    def cells(self, answer: Mapping[str, Any]) -> dict[str, Any]:
        """An answer in words as the cells of :attr:`columns`."""
        return {name: answer.get(name) for name in self.columns}

    def short(self, answer: Mapping[str, Any]) -> tuple[str | None, float | None]:
        """An answer in words as a report shows it beside a text, and its probability; None where there is none."""
        cells = self.cells(answer)
        return cells["label"], cells.get("probability")

    def short_label(self, label: Any) -> str | None:
        """A label as a report shows it beside a text."""
        return self.named(label)

    def find_metrics(self) -> None:
        """Whether the metrics are there that are functions of the user's own; asked before anything is trained.

        Raises:
            InputError: one is not, or less of the first metric is better.
        """
        raise NotImplementedError

    def scores(self, predictions: Any) -> dict[str, float]:
        """The task's metrics, in its order; nan where there is no prediction.

        Args:
            predictions: of a split (:class:`~graphmtl.training.evaluation.Predictions`).
        """
        raise NotImplementedError

    def by_class(self, predictions: Any) -> dict[str, Any]:
        """What the classes are taken for, by the keys that ``evaluation.json`` has for it.

        ``classes`` are the scores of each and ``confusion`` the counts, or of tags of spans ``types`` those of each
        type; nothing where there are no classes.
        """
        raise NotImplementedError


def default_kind(*, labels_tokens: bool = False) -> str:
    """The kind of a task that does not say it: the first one of the table."""
    return next(name for name in KINDS if kind_class(name).labels_tokens == labels_tokens)


def suited_kind(column: str, values: Sequence[Any]) -> str:
    """The kind of task that a column of labels looks like."""
    return next((name for name in KINDS if kind_class(name).suits(column, values)), default_kind())


def kind_class(name: str, *, what: str = "kind") -> type[Kind]:
    """The class of a kind of task: one of the table, or ``module:Class``.

    Args:
        name: its name.
        what: what an error calls it.

    Raises:
        InputError: there is none, or it is no kind.
    """
    return find_class(what, name, KINDS, Kind)
