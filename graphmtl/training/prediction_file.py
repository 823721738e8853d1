"""A file of what a run's model says of every scored example of a split, an example a line: JSON lines, or csv."""

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset

from graphmtl.data.digits import shortest
from graphmtl.data.task import Task, TaskSet
from graphmtl.files import written_whole
from graphmtl.training.evaluation import Predictions

__all__ = ["PREDICTION_FORMATS", "write_predictions"]

PREDICTION_FORMATS = (".jsonl", ".csv")  #: the endings that such a file may have

_COLUMNS = (
    "task",
    "split",
    "row",
    "text",
    "text_pair",
    "tokens",
    "choices",
    "label",
    "answer",
    "probabilities",
    "seen",
)


def write_predictions(path: Path, tasks: TaskSet, predictions: Mapping[str, Mapping[str, Predictions]]) -> None:
    """Writes a line for every example that has a label, in the order of the splits.

    Each has ``task``, ``split``, ``row`` (the example's line or row in its source, where that is known), ``text`` and
    ``text_pair``, ``tokens`` or ``choices``, and ``label`` and ``answer``: names, of regressions numbers, of tags lists
    of names with null where a token has no label, of choices places counted from 0. Of classes there are
    ``probabilities`` by name, of choices a list of them; ``seen`` says of held-out
    examples whether their text stands in a training split of the run. In csv these are the columns, lists and
    probabilities are JSON, and what an example does not have is empty.

    Args:
        path: the file; it is replaced, once all is written.
        tasks: the tasks.
        predictions: ``{split: {task: predictions}}``.

    Raises:
        InputError: the file cannot be written.
    """
    is_csv = path.suffix.lower() == ".csv"
    with written_whole(path) as part, part.open("w", encoding="utf-8", newline="" if is_csv else "\n") as file:
        write = _csv_writer(file) if is_csv else _json_writer(file)
        for split, own in predictions.items():
            for name, each in own.items():
                task, rows = tasks[name].task, _rows(tasks, name, split)
                for line in _lines(task, rows, each):
                    write({"task": name, "split": split, **line})


def _rows(tasks: TaskSet, name: str, split: str) -> Dataset:
    data = tasks[name]
    return data.other_tests[split] if split in data.other_tests else getattr(data, split)


def _labelled(task: Task, rows: Dataset) -> Iterator[dict[str, Any]]:
    """The rows that are scored."""
    return (row for row in rows if task.of_kind.is_labelled(row["label"]))


def _example(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: row[key] for key in ("row", "text", "text_pair", "tokens", "choices") if key in row}


def _seen(row: Mapping[str, Any]) -> dict[str, bool]:
    return {"seen": row["seen"]} if "seen" in row else {}


def _lines(task: Task, rows: Dataset, predictions: Predictions) -> Iterator[dict[str, Any]]:
    """Each example, its label and the model's answer, of classes and choices also what it gives to each."""
    kind, labels, answers = task.of_kind, _plain(predictions.labels), _plain(predictions.answers)
    for i, (row, label, answer) in enumerate(zip(_labelled(task, rows), labels, answers, strict=True)):
        line = {**_example(row), "label": kind.named(label), "answer": kind.named(answer)}
        if predictions.probabilities is not None:
            own = shortest(predictions.probabilities[i])  # of choices as many as the example has that has the most
            line["probabilities"] = kind.by_name(own[: len(row["choices"])] if "choices" in row else own)
        yield line | _seen(row)


def _plain(values: np.ndarray) -> Iterator[Any]:
    return (shortest(value) if isinstance(value, np.ndarray | np.generic) else value for value in values)


def _json_writer(file) -> Callable[[dict], None]:
    def write(line: dict) -> None:
        file.write(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n")

    return write


def _csv_writer(file) -> Callable[[dict], None]:
    writer = csv.DictWriter(file, _COLUMNS, restval="")
    writer.writeheader()

    def write(line: dict) -> None:
        cells = {
            key: json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value
            for key, value in line.items()
        }
        writer.writerow(cells)

    return write
