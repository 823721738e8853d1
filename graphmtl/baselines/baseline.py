"""What every baseline is: it learns from the labelled texts of a few tasks, and says the labels of others."""

from collections.abc import Mapping
from typing import ClassVar

from graphmtl.baselines.examples import Examples, Said
from graphmtl.baselines.words import Words
from graphmtl.data.task import Task
from graphmtl.registry import BASELINES, find_class

__all__ = ["Baseline", "Group", "baseline_class", "held_out"]

Group = Mapping[str, Mapping[str, Examples]]
"""The examples of some tasks, by task and split."""


class Baseline:
    """A baseline. One is a file in this folder and a line in the registry, or a class from elsewhere.

    It learns from the training split alone; the validation split is for choosing what it learns with.

    Attributes:
        alone: the baseline that it is where a group has one task; None: itself.
    """

    alone: ClassVar["type[Baseline] | None"] = None

    def refusal(self, task: Task) -> str | None:
        """Why it cannot do a task, in words; None where it can."""
        raise NotImplementedError

    def groups(self, tasks: Mapping[str, Task]) -> list[tuple[str, ...]]:
        """The tasks, those together that are learned together; here each by itself."""
        return [(name,) for name in tasks]

    def fit(self, group: Group, words: Words, *, seed: int) -> dict[str, dict[str, Said]]:
        """Learns some tasks, and says the labels of the splits that are held out.

        Args:
            group: the examples of each task, by split.
            words: what numbers the words of their texts.
            seed: of whatever is drawn.

        Returns:
            ``{split: {task: what it says}}``, of all splits but ``train``.
        """
        raise NotImplementedError


def held_out(group: Group) -> dict[str, dict[str, Examples]]:
    """The examples of all splits but the training one, by split and task."""
    found: dict[str, dict[str, Examples]] = {}
    for task, splits in group.items():
        for split, examples in splits.items():
            if split != "train":
                found.setdefault(split, {})[task] = examples
    return found


def baseline_class(name: str) -> type[Baseline]:
    """The class of a baseline: one of the table, or ``module:Class``.

    Raises:
        InputError: there is none, or it is no baseline.
    """
    return find_class("baseline", name, BASELINES, Baseline)
