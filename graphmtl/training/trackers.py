"""What ``--track`` names: accelerate's trackers, such as TensorBoard, W&B and MLflow.

Each is given the losses, the metrics and the learning rate of every evaluation, and but for TensorBoard the options. A
run is called as its folder is, in the project ``graphmtl`` or the one that ``WANDB_PROJECT``, ``COMET_PROJECT_NAME`` or
``MLFLOW_EXPERIMENT_NAME`` names. TensorBoard and W&B write into the run's folder, the others where their own settings
say.

A run that is resumed goes on in the same records: what finds them again stands in ``trackers.json`` in its folder
(trackio takes the latest record of the run's name). Trackers that are not in that file begin a new one, which is said.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any
from uuid import uuid4

from accelerate import Accelerator
from accelerate.tracking import LOGGER_TYPE_TO_CLASS, GeneralTracker, get_available_trackers

from graphmtl.config import TrainingOptions
from graphmtl.errors import InputError, note, shown, unknown_name
from graphmtl.files import read_json, write_whole

__all__ = ["RECORDS", "finish_trackers", "start_trackers", "tracker_names", "trackers_finished"]

RECORDS = "trackers.json"  # in a run's folder: {tracker: what its record is found by}
_PROJECT = "graphmtl"
_ALSO_CALLED = {"comet": "comet_ml"}
_FOUND_AGAIN = ("wandb", "trackio", "mlflow", "comet_ml")
_INSIDE = ("refit", "teachers", "controls", "affinity")  # in a run's folder, what has runs of its own


def tracker_names(track: str | None) -> list[str]:
    """What accelerate calls the trackers that ``--track`` names.

    Args:
        track: names with commas between; None: no tracker.

    Raises:
        InputError: accelerate has no such tracker, or it is not installed.
    """
    names = [] if track is None else [_ALSO_CALLED.get(name, name) for name in track.split(",")]
    for name in names:
        if name not in LOGGER_TYPE_TO_CLASS:
            raise unknown_name("--track", name, sorted({*LOGGER_TYPE_TO_CLASS, *_ALSO_CALLED}))
        if name not in map(str, get_available_trackers()):
            raise InputError(f"--track {track}: {name} is not installed; `pip install {name}`")
    return [*dict.fromkeys(names)]


def start_trackers(accelerator: Accelerator, options: TrainingOptions, folder: Path, *, resumed: bool) -> None:
    """Starts what ``options.track`` names, in the first process; ``accelerator.log`` then reaches it.

    Args:
        accelerator: has the trackers afterwards.
        options: of the training; the trackers are told.
        folder: of the run, which is there.
        resumed: whether evaluations were logged before.

    Raises:
        InputError: as :func:`tracker_names`, or one does not start, as where nobody has logged in.
    """
    names = tracker_names(options.track)
    if not names or not accelerator.is_main_process:
        return
    path = folder / RECORDS
    records = _records(path)
    config = {name: value for name, value in asdict(options).items() if name not in ("resume", "overwrite")}
    for name in names:
        is_new = name not in records
        tracker = LOGGER_TYPE_TO_CLASS[name](**_arguments(name, folder, records.get(name)))
        try:
            tracker.start()
            if name == "comet_ml":  # which has no argument for it
                tracker.tracker.set_name(_run_name(folder))
            # TensorBoard would make a run of its own of them, and MLflow takes none anew
            if name != "tensorboard" and (is_new or name != "mlflow"):
                tracker.store_init_configuration(config)
        except Exception as error:  # each tracker has its own
            why = " ".join(f"{type(error).__name__}: {error}".split())
            raise InputError(f"--track {options.track}: {name} does not start ({why})") from error
        accelerator.trackers.append(tracker)
        if resumed and is_new and name != "tensorboard":
            note(f"--track {options.track}: {name} has no record of this run, which goes on in a new one")
        if name in _FOUND_AGAIN:
            records[name] = _found_by(tracker)
    if records:
        write_whole(path, json.dumps(records, indent=2) + "\n")


def _records(path: Path) -> dict[str, str]:
    """By what each tracker finds the run again.

    Raises:
        InputError: the file holds something else.
    """
    found = read_json(path) if path.is_file() else {}
    for name, own in found.items():
        if not isinstance(own, str):
            raise InputError(f"{path}: not what graphmtl writes there ({name}: found {shown(own)})")
    return found


def finish_trackers(accelerator: Accelerator) -> None:
    """Ends the trackers; unlike ``Accelerator.end_training`` the process group stays."""
    while accelerator.trackers:
        accelerator.trackers.pop().finish()


@contextmanager
def trackers_finished(accelerator: Accelerator) -> Iterator[None]:
    """Ends the trackers also of a training that fails, or the next one of this process would write into its records."""
    try:
        yield
    finally:
        finish_trackers(accelerator)


def _arguments(name: str, folder: Path, found_by: str | None) -> dict[str, Any]:
    """How a tracker is made.

    Args:
        name: the tracker's.
        folder: of the run.
        found_by: what its record of this run is found by, if it has one.
    """
    run = _run_name(folder)
    own: dict[str, dict[str, Any]] = {
        "tensorboard": {"run_name": "tensorboard"},
        "wandb": {
            "run_name": os.environ.get("WANDB_PROJECT", _PROJECT),
            "name": run,
            "id": found_by or uuid4().hex,
            "resume": "allow",
            "dir": str(folder),
        },
        "trackio": {"run_name": _PROJECT, "name": run, "resume": "allow" if found_by else "never"},
        "mlflow": {"experiment_name": _PROJECT, "run_name": run, "run_id": found_by},
        "comet_ml": {
            "run_name": os.environ.get("COMET_PROJECT_NAME", _PROJECT),
            "experiment_key": found_by or uuid4().hex,
        },
    }
    where = {"logging_dir": str(folder)} if LOGGER_TYPE_TO_CLASS[name].requires_logging_directory else {}
    return own.get(name, {"run_name": _PROJECT}) | where


def _found_by(tracker: GeneralTracker) -> str:
    """What a tracker's record of this run is found by."""
    record: Any = tracker.tracker
    return {
        "wandb": lambda: record.id,
        "trackio": lambda: record.name,
        "mlflow": lambda: record.info.run_id,
        "comet_ml": lambda: record.get_key(),
    }[tracker.name]()


def _run_name(folder: Path) -> str:
    """The folder's name, behind that of the run that it belongs to."""
    parts = folder.resolve().parts
    depth = next((depth for depth in (2, 3) if parts[1 - depth] in _INSIDE), 1)
    return "/".join(parts[-depth:])
