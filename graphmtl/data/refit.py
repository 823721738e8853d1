"""Larger training splits: with the validation split, for a model that is trained again once its epoch is chosen, or
with other rows."""

from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np
from datasets import Dataset, concatenate_datasets

from graphmtl.data.overlap import row_keys, seen_in
from graphmtl.data.task import TaskData, TaskSet
from graphmtl.errors import InputError

__all__ = ["train_with_valid", "with_answers", "with_more_training", "with_other_training"]

_NO_ROW = -1  # of the file with the labelled texts


def train_with_valid(tasks: TaskSet, names: Collection[str] | None = None) -> TaskSet:
    """The tasks, or those of these names, with their validation examples at the end of the training split.

    ``valid`` itself stays.

    Validation examples whose text stands in the test split of another of them are left out, as training examples are.
    """
    there = {name: data for name, data in tasks.items() if names is None or name in names}
    one = {data.corpus: data for data in there.values()}  # task of each corpus, whose layers have the same texts
    tests = {corpus: {key for rows in _tests(data).values() for key in row_keys(rows)} for corpus, data in one.items()}
    chosen = {corpus: _fit_for_training(data, tests) for corpus, data in one.items()}
    valid = {name: own.valid.select(chosen[own.corpus]).remove_columns("seen") for name, own in there.items()}
    return with_more_training(tasks, valid)


def with_more_training(tasks: TaskSet, rows: Mapping[str, Dataset]) -> TaskSet:
    """The tasks with further rows at the end of some training splits; ``seen`` marks the texts of the enlarged ones.

    Tasks over the same texts must have the same texts in their rows.
    """
    return with_other_training(tasks, {name: _merged(tasks[name], own) for name, own in rows.items()})


def with_other_training(tasks: TaskSet, others: Mapping[str, TaskData]) -> TaskSet:
    """The tasks, some of them with other training splits; ``seen`` marks the texts of the splits as they are then."""
    whole = [others.get(name, data) for name, data in tasks.items()]
    training = {key for data in whole for key in row_keys(data.train)}
    return TaskSet(
        name=tasks.name,
        data=[_marked(data, training) for data in whole],
        truth=tasks.truth,
        loaded_with=tasks.loaded_with,
    )


def with_answers(tasks: TaskSet, answers: Mapping[str, Mapping[str, list[str]]]) -> TaskSet:
    """The tasks with unlabelled texts in their training splits, labelled by a model.

    Args:
        tasks: the tasks.
        answers: of some tasks ``{"text": [...], "label": [...]}``, the labels by their names.

    Raises:
        InputError: a task has no such label.
    """
    rows = {}
    for name, own in answers.items():
        places = {label: place for place, label in enumerate(tasks[name].task.labels)}
        unknown = next((label for label in own["label"] if label not in places), None)
        if unknown is not None:
            raise InputError(f"the answers to unlabelled texts of task {name!r}: {unknown!r} is none of its labels")
        labels = [places[label] for label in own["label"]]
        rows[name] = Dataset.from_dict({"text": own["text"], "row": [_NO_ROW] * len(labels), "label": labels})
    return with_more_training(tasks, {name: own for name, own in rows.items() if len(own)})


def _tests(data: TaskData) -> dict[str, Dataset]:
    return {"test": data.test, **data.other_tests}


def _fit_for_training(data: TaskData, tests: Mapping[str, set[str]]) -> np.ndarray:
    """The rows of ``valid`` whose text stands in no other corpus' test split."""
    others = {key for corpus, keys in tests.items() if corpus != data.corpus for key in keys}
    return np.flatnonzero(~seen_in(others, row_keys(data.valid)))


def _merged(data: TaskData, rows: Dataset) -> TaskData:
    return replace(data, train=concatenate_datasets([data.train, rows.cast(data.train.features)]))


def _marked(data: TaskData, training: set[str]) -> TaskData:
    marked = {split: _with_seen(rows, training) for split, rows in {"valid": data.valid, **_tests(data)}.items()}
    return replace(data, valid=marked.pop("valid"), test=marked.pop("test"), other_tests=marked)


def _with_seen(rows: Dataset, training: set[str]) -> Dataset:
    return rows.remove_columns("seen").add_column("seen", seen_in(training, row_keys(rows)))
