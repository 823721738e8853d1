"""How good the baselines are on a run's tasks: ``baselines.json`` of its folder, and what the run is not above."""

import time
from collections.abc import Iterable, Mapping
from typing import Any

from graphmtl.baselines.reading import read_baselines
from graphmtl.data.task import TaskSet
from graphmtl.errors import InputError, shown
from graphmtl.files import read_json, user_cache
from graphmtl.printed_tables import counted_tasks
from graphmtl.training.results import mean_of_first_metrics, split_scores
from graphmtl.training.run import Run

__all__ = ["OF_A_RUN", "beside", "means", "not_above", "read_scores", "write_scores"]

OF_A_RUN = ("majority", "tfidf")
"""The baselines that a run is shown beside."""


def write_scores(run: Run, tasks: TaskSet, *, seed: int, progress: bool) -> dict[str, dict]:
    """Scores the baselines of a run, and writes ``baselines.json``.

    Returns:
        ``{baseline: {task: {"valid", "test", "test_dedup": {METRIC: x}}}}``, with the other test splits there are, in
        the form of ``metrics.json``'s "tasks"; without the tasks that a baseline cannot do.
    """
    began = time.perf_counter()
    folder = user_cache("baselines")
    found = read_baselines(tasks, folder=folder, seed=seed, names=OF_A_RUN, progress=progress)
    scores: dict[str, dict] = {}
    for name, splits in found.items():
        unseen = {task: own.unseen() for task, own in splits.get("test", {}).items()}
        every = {split: split_scores(tasks, own) for split, own in {**splits, "test_dedup": unseen}.items()}
        scores[name] = {task: {split: own[task] for split, own in every.items() if task in own} for task in unseen}
    run.write_json("baselines.json", {"baselines": scores, "seconds": time.perf_counter() - began})
    return scores


def read_scores(run: Run) -> dict[str, dict]:
    """What :func:`write_scores` gave; nothing where it was not asked for.

    Raises:
        InputError: the file is damaged.
    """
    path = run.folder / "baselines.json"
    if not path.is_file():
        return {}
    found = read_json(path).get("baselines")
    if not isinstance(found, dict) or not all(map(_are_scores, found.values())):
        raise InputError(f"{path}: not what graphmtl writes there (baselines: found {shown(found)})")
    return found


def _are_scores(found: Any) -> bool:
    """Whether this is ``{task: {split: {METRIC: x}}}``."""
    if not isinstance(found, dict) or not all(isinstance(splits, dict) for splits in found.values()):
        return False
    scores = [own for splits in found.values() for own in splits.values()]
    return all(
        isinstance(own, dict) and all(x is None or isinstance(x, int | float) for x in own.values()) for own in scores
    )


def beside(tasks: Mapping[str, dict], baselines: Mapping[str, dict], split: str = "test") -> dict[str, dict]:
    """``metrics.json``'s "tasks" with each baseline's scores on a split under the baseline's name.

    A task that a baseline cannot do has none, ``{}``.
    """
    return {
        task: {**own, **{name: scores.get(task, {}).get(split, {}) for name, scores in baselines.items()}}
        for task, own in tasks.items()
    }


def means(rows: Mapping[str, dict], baselines: Iterable[str]) -> dict[str, float | None]:
    """The mean of the first metrics of each baseline, given what :func:`beside` gave.

    None where a task that counts has no such value: that mean would be one over other tasks than the run's.
    """
    found = {}
    for name in baselines:
        whole = all(rows[task][name].get(rows[task]["metric"]) is not None for task in counted_tasks(rows))
        found[name] = mean_of_first_metrics(rows, name) if whole else None
    return found


def not_above(tasks: Mapping[str, dict], baselines: Mapping[str, dict], split: str = "test") -> dict[str, list[str]]:
    """For each baseline the tasks whose first metric is no better than the baseline's on a split.

    A baseline that has no value, such as a constant that correlates with nothing, is as good as none.
    """
    found: dict[str, list[str]] = {name: [] for name in baselines}
    for name, scores in baselines.items():
        for task, own in tasks.items():
            theirs = scores.get(task, {}).get(split, {}).get(own["metric"])
            ours = own.get(split, {}).get(own["metric"])
            if theirs is not None and (ours is None or ours <= theirs):
                found[name].append(task)
    return found
