"""Self-training: a task set's unlabelled texts are learned with the labels that a finished run gives them.

The run answers each unlabelled text, and what it is sure of is learned as if it were labelled (``--self-training RUN``,
``--self-confidence``): Scudder, IEEE Transactions on Information Theory 1965; Yarowsky, ACL 1995; for networks Lee,
Pseudo-label, ICML workshop 2013. The new model begins afresh; nothing of the run but its answers goes into it.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from accelerate import PartialState

from graphmtl.config import Options
from graphmtl.data.loading import IN_MEMORY, open_sources
from graphmtl.data.overlap import row_keys
from graphmtl.data.task import TaskData, TaskSet
from graphmtl.data.unlabelled import key_of
from graphmtl.errors import InputError, note
from graphmtl.training.run import Run
from graphmtl.training.run_data import load_fitted_tasks, planted_options
from graphmtl.training.teachers import check_unseen, find_teachers

__all__ = ["answers_for"]

_OPTION = "--self-training"
_KINDS = ("text-classification", "ordinal")  # whose answer to a text is one of the labels


def answers_for(
    run: Run, tasks: TaskSet, options: Options, say: Callable[..., Any]
) -> dict[str, dict[str, list[str]]] | None:
    """The unlabelled texts that a run is to learn, and their labels, by task; None where it is to learn none.

    A run that goes on has those that it began with. Texts that stand in a training split, or in any that a score is
    measured on, are left out. With ``--shuffle-labels`` the answers are shuffled too.

    Args:
        run: the run.
        tasks: as they were loaded.
        options: the run's.
        say: is told how many were answered.

    Raises:
        InputError: there is no run that answers, it lacks a task or has seen a text that is scored here, or the task
            set has no unlabelled texts.
    """
    if options.self_training is None:
        if options.self_confidence != Options.self_confidence:
            note(f"--self-confidence has no effect without {_OPTION}")
        return None
    if options.resume and (kept := run.answers) is not None:
        return kept
    texts = _unlabelled(tasks, options)
    teacher = Run.open(options.self_training)
    find_teachers([teacher], {name: tasks[name].task for name in texts}, option=_OPTION)
    check_unseen(teacher, [*teacher.model.tasks], load_fitted_tasks(teacher), tasks, option=_OPTION)
    model = teacher.model.to(PartialState().device)
    rng, answers = np.random.default_rng(options.seed), {}
    for name, own in texts.items():
        sure = [
            (text, answer["label"])
            for text, answer in zip(own, model.predict(own, name), strict=True)
            if answer["label"] is not None and answer["probabilities"][answer["label"]] >= options.self_confidence
        ]
        labels = [label for _, label in sure]
        labels = rng.permutation(labels).tolist() if options.shuffle_labels else labels
        answers[name] = {"text": [text for text, _ in sure], "label": labels}
    counts = {name: len(own["text"]) for name, own in answers.items()}
    listed = ", ".join(f"{name} {count:,}" for name, count in counts.items())
    said = f"{sum(counts.values()):,} of {sum(map(len, texts.values())):,} unlabelled texts"
    say(f"self-training: learns {said}, those that {teacher.folder} is sure of: {listed}")
    return answers


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
    found, unfit, count = {}, [], 0
    for name, data in tasks.items():
        given = sources[name]().unlabelled()
        count += len(given)
        if given and (not _learns_texts(data) or shared.count(data.corpus) > 1):
            unfit.append(name)
        elif texts := _new(given, {*known}):
            found[name] = texts
    if unfit:
        reads = "it is for tasks that label single texts of their own"
        note(f"{_OPTION}: no unlabelled texts are learned by {', '.join(unfit)}: {reads}")
    if not found and count and not unfit:
        raise InputError(f"{_OPTION}: all {count} unlabelled texts are blank or stand in a split of --tasks already")
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
