"""The data of a run in which tasks joined the graph of another: the rows that the graph has learned, and no others.

All is read again at once, so that what stands in another task's held-out split is found, and then cut down to that.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import TypedDict

import numpy as np

from graphmtl.data.few_examples import draw_examples
from graphmtl.data.overlap import digest, row_keys
from graphmtl.data.refit import with_other_training
from graphmtl.data.task import TaskData, TaskSet

__all__ = ["Draw", "learned_rows", "never_learned"]


def never_learned(tasks: TaskSet, learned: Mapping[str, TaskData]) -> dict[str, list[str]]:
    """Training texts that a graph was not trained on, since they stood in another task's held-out split.

    Args:
        tasks: the tasks with all rows.
        learned: tasks of the graph, with the rows that it was trained on.

    Returns:
        Of each task of ``learned`` that has such texts their digests (:func:`~graphmtl.data.overlap.digest`), in hex.
    """
    found = {name: _digests(tasks[name]) - _digests(own) for name, own in learned.items()}
    return {name: sorted(own) for name, own in found.items() if own}


class Draw(TypedDict):
    """Which tasks joined at once, and how many of their examples: see `draw_examples`."""

    new: list[str]
    examples: int | None
    draw: int


def learned_rows(tasks: TaskSet, *, draws: Sequence[Draw], left_out: Mapping[str, Collection[str]]) -> TaskSet:
    """The tasks with the rows that were learned, ``seen`` marked by these.

    Args:
        tasks: the tasks with all rows.
        draws: what joined, in order.
        left_out: what :func:`never_learned` gave.
    """
    found = {name: _without(tasks[name], {*own}) for name, own in left_out.items()}
    for each in draws:
        found |= _drawn(tasks, each) if left_out or each["examples"] is not None else {}
    return with_other_training(tasks, found) if found else tasks


def _drawn(tasks: TaskSet, how: Draw) -> dict[str, TaskData]:
    """The tasks that joined at once; rows of a corpus are those of all its tasks, or else the corpus is another."""
    new = how["new"]
    drawn = draw_examples({name: tasks[name] for name in new}, how["examples"], draw=how["draw"])
    of_others = {data.corpus for name, data in tasks.items() if name not in new}
    return {
        name: replace(own, corpus=f"{own.corpus}+{min(new)}") if own.corpus in of_others else own
        for name, own in drawn.items()
    }


def _digests(data: TaskData) -> set[str]:
    return {digest(key).hex() for key in row_keys(data.train)} - {""}


def _without(data: TaskData, left_out: Collection[str]) -> TaskData:
    kept = np.array([digest(key).hex() not in left_out for key in row_keys(data.train)], dtype=bool)  # (rows,)
    overlap = data.overlap and replace(data.overlap, dropped=data.overlap.dropped + int((~kept).sum()))
    return replace(data, train=data.train.select(np.flatnonzero(kept)), overlap=overlap)
