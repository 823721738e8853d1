"""Self-training: a task set's unlabelled texts are learned with the labels that a finished run gives them.

The run answers each unlabelled text, and what it is sure of is learned as if it were labelled (``--self-training RUN``,
``--self-confidence``): Scudder, IEEE Transactions on Information Theory 1965; Yarowsky, ACL 1995; for networks Lee,
Pseudo-label, ICML workshop 2013. The new model begins afresh; nothing of the run but its answers goes into it.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from accelerate import PartialState
from datasets import Dataset

from graphmtl.config import Options
from graphmtl.data.loading import IN_MEMORY, open_sources
from graphmtl.data.overlap import row_keys
from graphmtl.data.refit import with_more_training
from graphmtl.data.task import TaskData, TaskSet
from graphmtl.data.unlabelled import key_of
from graphmtl.errors import InputError, note
from graphmtl.training.run_data import load_fitted_tasks, planted_options
from graphmtl.training.run_folder import Run
from graphmtl.training.teachers import check_unseen, find_teachers

__all__ = ["self_trained"]

_OPTION = "--self-training"
_NO_ROW = -1  # of the file with the labelled texts
_KINDS = ("text-classification", "ordinal")  # whose answer to a text is one of the labels


def self_trained(tasks: TaskSet, options: Options, say: Callable[..., Any]) -> TaskSet:
    """The tasks with the unlabelled texts in their training splits of whose label a finished run is sure.

    Texts that stand in a training split, or in any that a score is measured on, are left out. With
    ``--shuffle-labels`` the answers are shuffled too.

    Args:
        tasks: as they were loaded.
        options: the run's.
        say: is told how many were answered.

    Raises:
        InputError: there is no such run, it lacks a task or has seen a text that is scored here, or the task set has no
            unlabelled texts.
    """
    if options.self_training is None:
        if options.self_confidence != Options.self_confidence:
            note(f"--self-confidence has no effect without {_OPTION}")
        return tasks
    texts = _unlabelled(tasks, options)
    run = Run.open(options.self_training)
    find_teachers([run], {name: tasks[name].task for name in texts}, option=_OPTION)
    check_unseen(run, [*run.model.tasks], load_fitted_tasks(run), tasks, option=_OPTION)
    model = run.model.to(PartialState().device)
    rng = np.random.default_rng(options.seed)
    rows, counts = {}, {}
    for name, own in texts.items():
        sure = [
            (text, answer["label"])
            for text, answer in zip(own, model.predict(own, name), strict=True)
            if answer["label"] is not None and answer["probabilities"][answer["label"]] >= options.self_confidence
        ]
        labels = np.array([tasks[name].task.labels.index(label) for _, label in sure], dtype=np.int64)
        labels = rng.permutation(labels) if options.shuffle_labels else labels
        counts[name] = len(sure)
        if sure:
            columns = {"text": [text for text, _ in sure], "row": [_NO_ROW] * len(sure), "label": labels.tolist()}
            rows[name] = Dataset.from_dict(columns)
    of = sum(map(len, texts.values()))
    listed = ", ".join(f"{name} {count:,}" for name, count in counts.items())
    said = f"{sum(counts.values()):,} of {of:,} unlabelled texts, of which {run.folder} is sure"
    say(f"self-training: learns {said} ({options.self_confidence:g} or more): {listed}")
    return with_more_training(tasks, rows)


def _unlabelled(tasks: TaskSet, options: Options) -> dict[str, list[str]]:
    """The unlabelled texts of each task that has any and can learn them; a task that cannot is named."""
    if options.tasks == IN_MEMORY:
        raise InputError(
            f"{_OPTION}: the unlabelled texts of data at hand are not known; accepted: a task file or name"
        )
    sources = open_sources(
        options.tasks, data_dir=options.data_dir, seed=options.seed, planted=planted_options(options)
    )
    known = {key for data in tasks.values() for split in data.splits.values() for key in row_keys(split)}
    shared = [data.corpus for data in tasks.values()]
    found, unfit = {}, []
    for name, data in tasks.items():
        given = sources[name]().unlabelled()
        if given and (not _learns_texts(data) or shared.count(data.corpus) > 1):
            unfit.append(name)
        elif texts := _new(given, known):
            found[name] = texts
    if unfit:
        reads = "it is for tasks that label single texts of their own"
        note(f"{_OPTION}: no unlabelled texts are learned by {', '.join(unfit)}: {reads}")
    if not found:
        raise InputError(
            f"{_OPTION}: --tasks {options.tasks} has no unlabelled texts (key `unlabelled` of a task file)"
        )
    return found


def _learns_texts(data: TaskData) -> bool:
    return data.task.kind in _KINDS and {*data.train.column_names} == {"text", "row", "label"}


def _new(texts: Sequence[str], known: set[str]) -> list[str]:
    """Those that are not known, once each, in order; now they are known."""
    found = []
    for text in texts:
        key = key_of(text)
        if key and key not in known:
            known.add(key)
            found.append(text)
    return found
