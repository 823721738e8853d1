"""What a trained model's picture is held against: models that cannot know.

- :func:`untrained`: fresh weights. What its picture shows is the architecture's doing.
- :func:`shuffled`: the same run on training labels that say nothing, trained up to the epoch that the run kept. What
  its picture shows is that of training itself.

Their runs are ordinary ones, with the options of the run that they control; finished ones are taken as they are and an
unfinished one is resumed.
"""

import math
import time
import warnings
from dataclasses import replace
from pathlib import Path

from accelerate import PartialState

from graphmtl.config import Options
from graphmtl.data.fingerprint import fingerprint
from graphmtl.data.shuffled import shuffle_labels
from graphmtl.data.task import TaskSet
from graphmtl.errors import DataWarning, InputError, shown
from graphmtl.files import read_json_lines
from graphmtl.models.model import MultiTaskModel
from graphmtl.training.building import build_model
from graphmtl.training.device import reading_device
from graphmtl.training.distillation import DistillationOptions
from graphmtl.training.experiment import train_run
from graphmtl.training.joining import training_of_graph
from graphmtl.training.run import Run
from graphmtl.training.run_data import learned_by, load_run_tasks
from graphmtl.training.run_picture import draw_run, has_edges

__all__ = ["control_of", "shuffled", "untrained"]

_DEAR = 0.5  # of the run's time
_SHORT = 60.0  # seconds that anybody waits


def untrained(run: Run, tasks: TaskSet) -> MultiTaskModel:
    """A model with the run's options and fresh weights."""
    return build_model(tasks, run.options, say=lambda *_: None)


def shuffled(run: Run, folder: Path) -> Run:
    """The run again, in another folder, with the labels of each task's training split permuted.

    It is trained up to the epoch that the run kept: with fewer updates a model shows less by chance. That of a run in
    which tasks joined another's graph is trained from the start, on the examples that it has learned, with the graph's
    own learning rate and epochs, to its own best epoch.
    """
    options = replace(run.options, shuffle_labels=True, refit_on_valid=False, track=None)
    joined = (run.folder / "transfer.json").is_file()
    options = replace(options, **training_of_graph(run)) if joined else options
    return _trained(replace(options, device=reading_device(options.device)), folder, run, up_to=None if joined else run)


def control_of(run: Run, asked: str) -> str:
    """Trains the control of a run that has edges, where it is wanted, and draws the run's picture again.

    Args:
        run: a finished run.
        asked: ``--control``: always, never, or auto, which is where it costs less than half of the run, or a minute.

    Returns:
        What is to be said of it; empty for a run that has no control, where none was asked for.
    """
    if asked == "never" or run.options.shuffle_labels:
        return ""
    if not has_edges(run):
        return f"control: none, since --arch {run.options.arch} learned no edges" if asked == "always" else ""
    share = _share(run)
    dear = share > _DEAR and share * _seconds(run) > _SHORT
    if asked == "auto" and dear and run.control is None:
        cost = "with its teachers" if math.isinf(share) else f"about {share:.0%} of the run's time"
        return f"control: none, since it would be trained {cost}; with --resume --control always it is added"
    started = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)  # what is to be said of the data has been said of the run
        shuffled(run, run.folder / "controls" / "shuffled")
    seconds = time.perf_counter() - started
    if PartialState().is_main_process:
        draw_run(run)
    PartialState().wait_for_everyone()
    return f"control: the same on shuffled labels, in {seconds:.0f} s"


def _share(run: Run) -> float:
    """About how much of the run's training its control takes, which ends with the epoch that was kept.

    Teachers are trained for a control of their own, and nothing is known of their time.
    """
    if isinstance(run.options, DistillationOptions) and run.options.teachers is not None:
        return math.inf
    kept = run.metrics["best_epoch"]
    return max(kept.values() if isinstance(kept, dict) else [kept]) / max(1, *_told(run, "epoch"))


def _seconds(run: Run) -> float:
    """How long the run was trained and evaluated."""
    return max(_told(run, "seconds"))


def _told(run: Run, what: str) -> list[float]:
    """What each line of ``history.jsonl`` says.

    Raises:
        InputError: a line says something else, or there is none.
    """
    path, found = run.folder / "history.jsonl", list[float]()
    for number, line in enumerate(read_json_lines(path) or [{}], 1):
        own = line.get(what)
        if not isinstance(own, int | float):
            raise InputError(f"{path}, line {number}: {what}: found {shown(own)}, expected a number")
        found.append(own)
    return found


def _shuffled_tasks(options: Options, run: Run) -> TaskSet:
    """The data of a run with permuted labels; of one in which tasks joined another's graph the rows of both.

    What is trained on the latter is read by ``explain`` alone, since its folder does not say which rows they are.
    """
    if not (run.folder / "transfer.json").is_file():
        return load_run_tasks(options)
    tasks = learned_by(run, load_run_tasks(run.options), chooses=True)
    data = [shuffle_labels(own, seed=options.seed) for own in tasks.values()]
    return TaskSet(name=tasks.name, data=data, truth=tasks.truth, loaded_with=tasks.loaded_with)


def _trained(options: Options, folder: Path, control_of: Run, *, up_to: Run | None) -> Run:
    """The finished run with these options in a folder."""
    tasks = _shuffled_tasks(options, control_of)
    if (folder / "metrics.json").is_file():
        run, otherwise = Run.open(folder), "remove the folder, and the control is trained again"
        run.check_options(options, otherwise=otherwise)
        run.check_data(fingerprint(tasks), otherwise=otherwise)
        return run
    options = replace(options, output=str(folder), resume=True, overwrite=False, write_submission=None)
    return train_run(tasks, options, control_of=control_of, up_to=up_to)
