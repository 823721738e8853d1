"""Tasks and task sets as they are read, before anything is cut, labelled or cleaned."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from graphmtl.data.readers import Examples
from graphmtl.data.task import PlantedTruth, Task

__all__ = ["Source", "SourceSet"]


@dataclass(frozen=True, kw_only=True)
class Source:
    """A task as it was read.

    Args:
        task: the task. Where it has no ``labels``, they are those that the file declares, else those of the training
            split, sorted (as numbers if all are whole numbers).
        train: the training examples.
        valid: the validation examples, or how many to cut off the training examples: a share below 1 or a number.
        test: the test examples, or how many to cut off, likewise.
        names: names for labels, {label in the data: name}.
    """

    task: Task
    train: Examples
    valid: Examples | float
    test: Examples | float
    names: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class SourceSet:
    """A task set before its tasks are read.

    Args:
        name: its short name.
        sources: what reads each task; only the tasks of a run are read.
        truth: the known task graph, of generated sets.
    """

    name: str
    sources: Mapping[str, Callable[[], Source]]
    truth: PlantedTruth | None = None
