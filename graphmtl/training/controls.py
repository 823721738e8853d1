"""What a trained model's picture is held against: models that cannot know.

- :func:`untrained`: fresh weights. What its picture shows is the architecture's doing.
- :func:`shuffled`: the same run on training labels that say nothing. What its picture shows is that of training itself.

Their runs are ordinary ones, with the options of the run that they control; finished ones are taken as they are and an
unfinished one is resumed.
"""

from dataclasses import replace
from pathlib import Path

from graphmtl.config import Options
from graphmtl.data.fingerprint import fingerprint
from graphmtl.data.task import TaskSet
from graphmtl.models.model import MultiTaskModel
from graphmtl.training.building import build_model
from graphmtl.training.device import reading_device
from graphmtl.training.experiment import train_run
from graphmtl.training.run_data import load_run_tasks
from graphmtl.training.run_folder import Run

__all__ = ["shuffled", "untrained"]


def untrained(run: Run, tasks: TaskSet) -> MultiTaskModel:
    """A model with the run's options and fresh weights."""
    return build_model(tasks, run.options, say=lambda *_: None)


def shuffled(run: Run, folder: Path) -> Run:
    """The run again, in another folder, with the labels of each task's training split permuted."""
    options = replace(run.options, shuffle_labels=True, refit_on_valid=False)
    return _trained(replace(options, device=reading_device(options.device)), folder)


def _trained(options: Options, folder: Path) -> Run:
    """The finished run with these options in a folder."""
    tasks = load_run_tasks(options)
    if (folder / "metrics.json").is_file():
        run = Run.open(folder)
        run.check_data(fingerprint(tasks), otherwise="remove the folder, and the control is trained again")
        return run
    return train_run(tasks, replace(options, output=str(folder), resume=True, write_submission=None))
