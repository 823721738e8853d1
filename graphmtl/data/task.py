"""What a task is, and the data of the tasks of a run."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from datasets import Dataset

from graphmtl.data.choices import Columns
from graphmtl.data.kind import NO_LABEL, Kind, kind_class
from graphmtl.data.overlap import Overlap
from graphmtl.data.planted_truth import PlantedTruth
from graphmtl.data.submission_file import SubmissionFile
from graphmtl.errors import InputError, check_kind, shown, unknown_name

__all__ = ["Task", "TaskData", "TaskSet"]

_RESERVED = ("all", "mean", "virtual", ".", "..")  # predict --task all, --select-by mean, the star's node, folders

# fields that few tasks have, and their defaults
_RARE: dict[str, Any] = {
    "weight": 1.0,
    "choices": [],
    "language": [],
    "whole": False,
    **dict.fromkeys(("class_weights", "max_length", "first", "separator", "scheme", "source", "licence")),
}


@dataclass(frozen=True, kw_only=True)
class Task:
    """One task: what its examples hold, and how it is measured.

    Args:
        name: the task's name, a node of the task graph.
        kind: ``text-classification``, ``ordinal`` (labels that have an order), ``regression`` (a number for every
            text), ``multi-label`` (any of several labels for every text), ``token-classification`` (a tag for every
            token), ``question-answering`` (a span of the second text answers the first), or ``multiple-choice`` (which
            of several choices is right).
        text: the source's column that holds the text or its tokens, or the two columns that hold a pair of texts.
        label: the source's column that holds the label or the tags; of a column corpus also a comment's key
            (``# s_type``), which holds the label of a sentence.
        labels: the names of the classes; a label of the data is an index into them. Tags of spans are IOB2, whatever
            the scheme of the source. None of a regression.
        metrics: what is measured; the first one selects the model. By default accuracy, of a regression both
            correlations.
        positive: the label whose F1 ``f1`` is; None: the mean over all labels.
        scale: the lowest and the highest score of a regression; None: any number.
        in_mean: the task counts in the mean over tasks, unless no task of the run does.
        tokens: the examples are lists of tokens rather than texts; always so where tokens are tagged.
        head: ``linear``, ``crf`` or ``module:Class`` for a task that tags tokens; None: as the run's options say.
        weight: of its loss among those of all tasks.
        class_weights: the weight of each label's examples in the loss, in the order of ``labels``; None: all are 1.
        max_length: tokens kept of a text, where that is not as the run's options say.
        whole: no token of a text is cut off, whatever the kind of the task; so where a task over the same texts speaks
            of each.
        choices: the column that holds lists of choices, or those that hold one each; ``text`` is then the context's
            column, or two that are joined with a space.
        first: what the label is where the first choice is right: ``0``, ``1``, ``A``, or ``text`` where labels are the
            texts of choices; None: as the labels look.
        separator: what stands between the labels of a text where they are written as one, of a multi-label task; None:
            they are lists.
        scheme: ``none`` for tags that look like those of spans (IOB2) and are none; None: they are what they look like.
        source: where the data is from, for the model card; likewise the two below.
        licence: what the data may be used for, such as ``cc-by-4.0``.
        language: of the texts, such as ``en``; or several.

    Raises:
        InputError: a name that cannot be used, an unknown kind, metric, head or positive label, not one or two text
            columns, span scores of tags that are no spans, or a field that tasks of its kind have not.
    """

    name: str
    kind: str = "text-classification"
    text: tuple[str, ...] = ("text",)
    label: str = "label"
    labels: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    positive: str | None = None
    scale: tuple[float, float] | None = None
    in_mean: bool = True
    tokens: bool = False
    head: str | None = None
    weight: float = 1.0
    class_weights: tuple[float, ...] | None = None
    max_length: int | None = None
    whole: bool = False
    choices: tuple[str, ...] = ()
    first: str | None = None
    separator: str | None = None
    scheme: str | None = None
    source: str | None = None
    licence: str | None = None
    language: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_kind("name of a task", self.name, str, "a text")
        for name in ("labels", "text"):
            value = getattr(self, name)
            check_kind(f"{name} of task {self.name!r}", value, () if isinstance(value, str) else Sequence, "several")
        if not re.fullmatch(r"[\w.-]+", self.name) or self.name in _RESERVED:
            raise InputError(
                f"task name {self.name!r}: expected letters, digits, _, - and . only, and not {', '.join(_RESERVED)}"
            )
        kind = self.of_kind
        object.__setattr__(self, "metrics", self.metrics or kind.default_metrics)
        if not 0 < self.weight < math.inf:
            raise InputError(f"weight of task {self.name!r}: {self.weight}, expected a number above 0")
        if self.class_weights is not None and not all(0 <= weight < math.inf for weight in self.class_weights):
            raise InputError(f"class_weights of task {self.name!r}: {self.class_weights}, expected numbers from 0 on")
        if self.max_length is not None and self.max_length < 1:
            raise InputError(f"max_length of task {self.name!r}: {self.max_length}, expected 1 or more")
        if len(self.text) not in (1, 2):
            raise InputError(f"task {self.name!r} has {len(self.text)} text columns, expected one, or two for a pair")
        if kind.labels_tokens:
            object.__setattr__(self, "tokens", True)
        if self.tokens and self.is_pair:
            raise InputError(f"task {self.name!r} has 2 text columns, expected one column of tokens")
        kind.check()

    @cached_property
    def of_kind(self) -> Kind:
        """What the kind of the task says of it."""
        return kind_class(self.kind, what=f"kind of task {self.name!r}")(self)

    def kept_tokens(self, otherwise: int) -> int:
        """Tokens kept of a text: the task's own ``max_length``, or what the run's options say."""
        return otherwise if self.max_length is None else self.max_length

    @property
    def is_pair(self) -> bool:
        return len(self.text) == 2 and not self.choices

    @property
    def reads(self) -> Columns:
        """The columns that it reads."""
        return (*self.text, self.choices) if self.choices else self.text

    def unlike(self, learned: "Task") -> str | None:
        """In what a model of the other task is none of this one, for errors; None: in nothing.

        How the columns are written, and what is only said of the data, is free.
        """
        if self.is_pair != learned.is_pair:
            return f"its examples are {'pairs of texts' if self.is_pair else 'single texts'}, the model's are not"
        for name in _FIELDS:
            own, other = getattr(self, name), getattr(learned, name)
            if own != other and name not in _FREE:
                return f"its `{name}` is {shown(own)}, the model's {shown(other)}"
        return None

    def to_dict(self) -> dict:
        """The task as plain lists and strings, for JSON; what few tasks have stands there where they have it."""
        values = {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}
        return {key: value for key, value in values.items() if key not in _RARE or value != _RARE[key]}

    @classmethod
    def from_dict(cls, fields: Mapping) -> "Task":
        """The task that `to_dict` wrote.

        Raises:
            InputError: something else.
        """
        if not isinstance(fields, Mapping) or "name" not in fields:
            raise InputError(f"found {shown(fields)}, expected a task: an object with its name, kind, labels, ...")
        for key, value in fields.items():
            if key not in _FIELDS:
                raise unknown_name("key of a task", key, _FIELDS)
            if not _is_of_kind(value, *_FIELDS[key]):
                raise InputError(f"{key} of task {shown(fields['name'])}: found {shown(value)}")
        values: dict = {key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()}
        return cls(**values)


_Kinds = type | tuple[type, ...]
_FIELDS: dict[str, tuple[_Kinds, _Kinds]] = {  # what JSON has for each, and what is in it where that is a list
    **dict.fromkeys(("name", "kind", "label"), (str, ())),
    **dict.fromkeys(("text", "labels", "metrics", "choices", "language"), (list, str)),
    **dict.fromkeys(("positive", "head", "first", "separator", "scheme", "source", "licence"), ((str, type(None)), ())),
    **dict.fromkeys(("in_mean", "tokens", "whole"), (bool, ())),
    "scale": ((list, type(None)), (int, float)),
    "weight": ((int, float), ()),
    "class_weights": ((list, type(None)), (int, float)),
    "max_length": ((int, type(None)), ()),
}


_FREE = {"text", "label", "choices", "first", "separator", "source", "licence", "language", "whole"}


def _is_of_kind(value: object, kinds: _Kinds, within: _Kinds) -> bool:
    return isinstance(value, kinds) and (not isinstance(value, list) or all(isinstance(each, within) for each in value))


@dataclass(kw_only=True)
class TaskData:
    """A task and its three splits.

    Each split has the columns ``text`` (str), ``text_pair`` (str, of pairs only) and ``label`` (int, an index into
    ``task.labels``; of a regression float, nan where there is none; of a multi-label task a list of 0 and 1 for each of
    ``task.labels``, None where nothing is known), and ``row``: its line in the source, or its number
    where that has no lines, counted from 1. ``valid`` and ``test`` also have ``seen`` (bool): the text occurs in a
    training split of the run. Of a generated task whose texts depend on one parent each there is ``decided_by`` (int):
    which one, see :class:`~graphmtl.data.planted_truth.PlantedTruth`.

    Of choices ``choices`` (list of str) stands beside ``text``, their context, and ``label`` is the place of the right
    one, counted from 0. Of a corpus of tokens there is ``tokens`` (list of str) in place of ``text``. ``label`` is a
    list with one index per token where tokens are tagged. It is `NO_LABEL` (-100) wherever there is none, be it for a
    token or for a text. Several tasks may be layers of one corpus: they have the same ``corpus``, and in each split row
    i is the same text for all.

    Args:
        corpus: what the rows belong to; by default the task's own name, which no other task shares.
        other_tests: further test splits by name, such as ``test_mismatched``.
        submission: the files that a leaderboard takes.
    """

    task: Task
    train: Dataset
    valid: Dataset
    test: Dataset
    overlap: Overlap
    corpus: str = ""
    other_tests: Mapping[str, Dataset] = field(default_factory=dict)
    submission: tuple[SubmissionFile, ...] = ()

    def __post_init__(self) -> None:
        self.corpus = self.corpus or self.task.name

    @property
    def splits(self) -> dict[str, Dataset]:
        """All of them by name."""
        return {"train": self.train, "valid": self.valid, "test": self.test, **self.other_tests}

    @property
    def unlabelled(self) -> dict[str, int]:
        """How many rows of each split have no label, of those splits that have such rows."""
        labelled = self.task.of_kind.is_labelled
        counts = {split: sum(not labelled(x) for x in rows["label"]) for split, rows in self.splits.items()}
        return {split: count for split, count in counts.items() if count}

    @property
    def untagged(self) -> dict[str, tuple[int, int]]:
        """How many tokens of each split have no tag, and of how many, in rows that have some; none but of tags."""
        if not self.task.of_kind.labels_tokens:
            return {}
        labelled = self.task.of_kind.is_labelled
        tagged = {split: [*filter(labelled, rows["label"])] for split, rows in self.splits.items()}
        return {split: (sum(x.count(NO_LABEL) for x in own), sum(map(len, own))) for split, own in tagged.items()}

    def __repr__(self) -> str:
        return f"TaskData({self.task.name!r}, {len(self.train)} / {len(self.valid)} / {len(self.test)})"


class TaskSet(Mapping[str, TaskData]):
    """The tasks of a run, by name, in the order that was asked for.

    Args:
        name: a short name for file names, such as ``fdu-mtl-books-dvd``.
        data: the data of each task.
        truth: the known task graph, of generated sets only.
        loaded_with: the options, by name, that load this very set again.
    """

    def __init__(
        self,
        *,
        name: str,
        data: Sequence[TaskData],
        truth: PlantedTruth | None = None,
        loaded_with: Mapping[str, Any] | None = None,
    ):
        self.name = name
        self.truth = truth
        self.loaded_with = dict(loaded_with or {})
        self._data = {each.task.name: each for each in data}

    def __getitem__(self, name: str) -> TaskData:
        if name not in self._data:
            raise KeyError(f"{name!r} (tasks: {', '.join(self._data)})")
        return self._data[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._data)

    def __len__(self) -> int:
        return len(self._data)

    def __repr__(self) -> str:
        return f"TaskSet({self.name!r}, {len(self)} tasks: {', '.join(self)})"

    @property
    def tasks(self) -> dict[str, Task]:
        """The tasks without their data."""
        return {name: each.task for name, each in self._data.items()}

    def check_learned(self, learned: Mapping[str, Task], run: Path) -> None:
        """Whether these are the tasks of a run's model, whatever their columns are called.

        Raises:
            InputError: they are not; what differs is named.
        """
        if self.keys() != learned.keys():
            raise InputError(f"{run}: the data has the tasks {', '.join(self)}, the model {', '.join(learned)}")
        for name, task in self.tasks.items():
            if unlike := task.unlike(learned[name]):
                raise InputError(f"{run}: task {name!r} is not what the model has learned: {unlike}")

    @property
    def overlap(self) -> dict[str, Overlap]:
        """What the clean evaluation counted in each task, and once in the tasks of one corpus."""
        return {each.corpus: each.overlap for each in self._data.values()}
