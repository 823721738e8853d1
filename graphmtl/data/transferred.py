"""The data of a run in which tasks joined the graph of another: the rows that the graph has learned, and no others.

All is read again at once, so that what stands in another task's held-out split is found, and then cut down to that.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np

from graphmtl.data.few_examples import draw_examples
from graphmtl.data.overlap import digest, row_keys
from graphmtl.data.refit import with_other_training
from graphmtl.data.task import TaskData, TaskSet

__all__ = ["learned_rows", "never_learned"]


def never_learned(tasks: TaskSet, learned: TaskSet) -> dict[str, list[str]]:
    """Training texts that a graph was not trained on, since they stood in another task's held-out split.

    Args:
        tasks: the tasks with all rows.
        learned: tasks of the graph, with the rows that it was trained on.

    Returns:
        Of each task of ``learned`` that has such texts their digests (:func:`~graphmtl.data.overlap.digest`), in hex.
    """
    found = {name: _digests(tasks[name]) - _digests(own) for name, own in learned.items()}
    return {name: sorted(own) for name, own in found.items() if own}


def learned_rows(
    tasks: TaskSet,
    *,
    new: Collection[str],
    examples: int | None,
    draw: int,
    left_out: Mapping[str, Collection[str]],
) -> TaskSet:
    """The tasks with the rows that were learned, ``seen`` marked by these.

    Args:
        tasks: the tasks with all rows.
        new: those that joined.
        examples, draw: how many of their examples, see :func:`~graphmtl.data.few_examples.draw_examples`.
        left_out: what :func:`never_learned` gave.
    """
    if examples is None and not left_out:
        return tasks
    known = {name: _without(tasks[name], {*own}) for name, own in left_out.items()}
    drawn = draw_examples({name: tasks[name] for name in new}, examples, draw=draw)
    of_old = {data.corpus for name, data in tasks.items() if name not in new}
    apart = {  # rows of a corpus are those of all its tasks, or the corpus is another
        name: replace(own, corpus=f"{own.corpus}+{min(new)}") if own.corpus in of_old else own
        for name, own in drawn.items()
    }
    return with_other_training(tasks, {**known, **apart})


def _digests(data: TaskData) -> set[str]:
    return {digest(key).hex() for key in row_keys(data.train)} - {""}


def _without(data: TaskData, left_out: Collection[str]) -> TaskData:
    kept = np.array([digest(key).hex() not in left_out for key in row_keys(data.train)], dtype=bool)  # (rows,)
    overlap = data.overlap and replace(data.overlap, dropped=data.overlap.dropped + int((~kept).sum()))
    return replace(data, train=data.train.select(np.flatnonzero(kept)), overlap=overlap)
