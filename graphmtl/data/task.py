"""What a task is, and the data of the tasks of a run."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from datasets import Dataset

from graphmtl.data.overlap import Overlap
from graphmtl.errors import InputError, unknown_name

__all__ = ["METRICS", "NO_LABEL", "PlantedTruth", "Task", "TaskData", "TaskSet"]

METRICS = {
    "text-classification": ("accuracy", "f1", "matthews"),
    "token-classification": ("span_f1", "span_precision", "span_recall", "accuracy"),
}
"""The metrics of each kind of task; the first one is the default."""
NO_LABEL = -100
"""The index of a label that a corpus does not have; losses and scores leave it out."""
_RESERVED = ("all", "mean", "virtual")  # predict --task all, --select-by mean, and the star's node


@dataclass(frozen=True, kw_only=True)
class Task:
    """One task: what its examples hold, and how it is measured.

    Args:
        name: the task's name, a node of the task graph.
        kind: ``text-classification`` or ``token-classification``.
        text: the source's column that holds the text, or the two columns that hold a pair of texts.
        label: the source's column that holds the label.
        labels: the names of the classes or tags (IOB2 for spans); a label of the data is an index into them.
        metrics: what is measured; the first one selects the model.
        tokens: the examples are lists of tokens, not texts.
        head: ``linear`` or ``crf`` for tags; None: the option decides.

    Raises:
        InputError: a name that cannot be used, an unknown kind or metric, no metric, or not one or two text columns.
    """

    name: str
    kind: str = "text-classification"
    text: tuple[str, ...] = ("text",)
    label: str = "label"
    labels: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ("accuracy",)
    tokens: bool = False
    head: str | None = None

    def __post_init__(self):
        if not re.fullmatch(r"[\w.-]+", self.name) or self.name in _RESERVED:
            raise InputError(
                f"task name {self.name!r}: expected letters, digits, _, - and . only, and not {', '.join(_RESERVED)}"
            )
        if self.kind not in METRICS:
            raise unknown_name(f"kind of task {self.name!r}", self.kind, METRICS)
        for metric in self.metrics:
            if metric not in METRICS[self.kind]:
                raise unknown_name(f"metric of task {self.name!r}", metric, METRICS[self.kind])
        if not self.metrics:
            raise InputError(f"task {self.name!r} has no metric (known: {', '.join(METRICS[self.kind])})")
        if len(self.text) not in (1, 2):
            raise InputError(f"task {self.name!r} has {len(self.text)} text columns, expected one, or two for a pair")

    @property
    def is_pair(self) -> bool:
        return len(self.text) == 2

    @property
    def is_tagging(self) -> bool:
        """Every token gets a label."""
        return self.kind == "token-classification"

    @property
    def is_spans(self) -> bool:
        """The tags are IOB2."""
        tags = [label for label in self.labels if label != "O"]
        return self.is_tagging and bool(tags) and all(re.match("[BI]-", tag) for tag in tags)

    def to_dict(self) -> dict:
        """The task as plain lists and strings, for JSON."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, fields: Mapping) -> "Task":
        """The task that `to_dict` wrote."""
        values: dict = {key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()}
        return cls(**values)


@dataclass(kw_only=True)
class TaskData:
    """A task and its three splits.

    Each split has the columns ``text`` (str), ``text_pair`` (str, of pairs only) and ``label`` (int, an index into
    ``task.labels``). ``valid`` and ``test`` also have ``seen`` (bool): the text occurs in a training split of the run.
    Where the examples are lists of tokens, ``tokens`` stands for the text; tags are a list of int; -100: no label.
    Tasks of the same ``corpus`` are layers of the same sentences: their rows are aligned in every split. A task alone
    has its own name there.
    """

    task: Task
    train: Dataset
    valid: Dataset
    test: Dataset
    overlap: Overlap
    corpus: str = ""

    def __repr__(self) -> str:
        return f"TaskData({self.task.name!r}, {len(self.train)} / {len(self.valid)} / {len(self.test)})"


@dataclass(frozen=True, kw_only=True)
class PlantedTruth:
    """The known task graph of a generated task set.

    Args:
        edges: (source, target) for every parent and child.
        siblings: pairs of children that share a parent; they count neither for nor against a learned graph.
        inverted: those of the edges whose source's polarities are the opposite in the target (negative transfer).
    """

    edges: tuple[tuple[str, str], ...]
    siblings: tuple[tuple[str, str], ...] = ()
    inverted: tuple[tuple[str, str], ...] = ()

    def to_dict(self) -> dict:
        """The truth as plain lists, for JSON."""
        return {key: [list(pair) for pair in pairs] for key, pairs in asdict(self).items()}

    @classmethod
    def from_dict(cls, fields: Mapping) -> "PlantedTruth":
        """The truth that `to_dict` wrote."""
        return cls(**{key: tuple((source, target) for source, target in pairs) for key, pairs in fields.items()})

    def restricted(self, names: Mapping[str, str]) -> "PlantedTruth":
        """The truth among some of the tasks, given as {name: new name}."""
        return PlantedTruth(
            **{
                key: tuple((names[a], names[b]) for a, b in pairs if a in names and b in names)
                for key, pairs in self.to_dict().items()
            }
        )


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

    @property
    def overlap(self) -> dict[str, Overlap]:
        """What the clean evaluation counted in each task."""
        return {name: each.overlap for name, each in self._data.items()}
