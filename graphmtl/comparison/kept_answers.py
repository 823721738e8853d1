"""What a finished run's model answers on the test splits, kept in the run's folder: a run is asked once.

``test_answers.npz`` holds arrays alone, nothing that is executed when it is read: of each task labels, answers,
probabilities, losses, counts, seen and by what texts are known, each ``TASK/WHAT``; lists, as tags are, as JSON; and
the tasks themselves. Examples stand in the order of their texts, whatever that of a file is.
"""

import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from graphmtl.comparison.examples import in_order_of_texts
from graphmtl.data.task import Task
from graphmtl.errors import InputError, note
from graphmtl.files import read_bounded, written_whole
from graphmtl.training.evaluation import Predictions
from graphmtl.training.finished import encoded_for, fitted_tasks, predict
from graphmtl.training.run import Run
from graphmtl.training.run_data import read_frozen_once

__all__ = ["KEPT", "Answers", "answers_of"]

KEPT = "test_answers.npz"
_FORMAT = 2
_MOST = 1 << 30  # bytes
_DAMAGED = (OSError, ValueError, LookupError, TypeError, EOFError, NotImplementedError, zipfile.BadZipFile, zlib.error)
_ARRAYS = ("labels", "answers", "probabilities", "losses", "counts", "seen", "texts")
Answers = dict[str, tuple[Task, Predictions]]
"""The tasks, by name, and what was answered on their test splits."""


def answers_of(run: Run) -> Answers:
    """What the run's model answers on the test splits of its data; it is asked where that is not kept yet.

    Raises:
        InputError: the data cannot be loaded, or is no longer the run's; or the file is damaged.
    """
    path = run.folder / KEPT
    if path.exists() and (kept := _read(path)) is not None:
        return kept
    tasks, model = fitted_tasks(run), run.model
    data = encoded_for(run, tasks)
    read_frozen_once(model, (task.test for task in data.values()), tell=False, progress=False)
    predictions = in_order_of_texts(predict(run, data, "test", model), tasks)
    answers = {name: (data[name].task, own) for name, own in predictions.items()}
    try:
        _write(path, answers)
    except InputError as error:
        note(f"{error}, so that the run will be asked again")
    return answers


def _write(path: Path, answers: Answers) -> None:
    about = {"format": _FORMAT, "tasks": [task.to_dict() for task, _ in answers.values()]}
    arrays: dict[str, Any] = {"about": _packed(about)}
    for name, (_, own) in answers.items():
        arrays |= {f"{name}/{key}": array for key, array in _arrays(own)}
    with written_whole(path) as part, part.open("wb") as file:
        np.savez_compressed(file, **arrays)


def _arrays(predictions: Predictions) -> list[tuple[str, np.ndarray]]:
    found = []
    for key in _ARRAYS:
        value = getattr(predictions, key)
        if value is not None:
            found.append((key, value) if value.dtype != object else (f"{key}.json", _packed(_plain(value))))
    return found


def _plain(values: np.ndarray) -> list:
    """Lists of whatever an array of objects has; what was an array itself is marked as such."""
    return [{"array": own.tolist()} if isinstance(own, np.ndarray) else own for own in values.tolist()]


def _packed(content: Any) -> np.ndarray:
    """JSON as bytes, (bytes,)."""
    return np.frombuffer(json.dumps(content).encode(), dtype=np.uint8)


def _unpacked(content: np.ndarray) -> Any:
    return json.loads(content.tobytes())


def _read(path: Path) -> Answers | None:
    """None of an earlier version, which did not know texts: the run is asked again, and its data must be there."""
    content = io.BytesIO(read_bounded(path, most=_MOST))
    try:
        with np.load(content, allow_pickle=False) as file:
            about = _unpacked(file["about"])
            if about["format"] == 1:
                return None
            if about["format"] != _FORMAT:
                raise InputError(f"{path}: format {about['format']}; this version of graphmtl reads format {_FORMAT}")
            tasks = [Task.from_dict(own) for own in about["tasks"]]
            known = {f"{task.name}/{key}{ending}" for task in tasks for key in _ARRAYS for ending in ("", ".json")}
            if unknown := {*file} - known - {"about"}:  # else a damaged name would be an array that is not there
                raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
            return {task.name: (task, _predictions(file, task.name)) for task in tasks}
    except _DAMAGED as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: damaged ({error}); remove it, and it is written again") from None


def _predictions(file: Mapping[str, np.ndarray], task: str) -> Predictions:
    values: dict[str, Any] = {"probabilities": None, "texts": None}
    for key in _ARRAYS:
        if f"{task}/{key}" in file:
            values[key] = file[f"{task}/{key}"]
        elif f"{task}/{key}.json" in file:
            values[key] = _objects(_unpacked(file[f"{task}/{key}.json"]))
    return Predictions(**values)


def _objects(plain: list) -> np.ndarray:
    found = np.empty(len(plain), dtype=object)
    for i, own in enumerate(plain):
        found[i] = np.asarray(own["array"], dtype=np.int64) if isinstance(own, dict) and "array" in own else own
    return found
