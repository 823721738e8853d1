"""What a finished run's model says of the run's own data."""

from collections.abc import Mapping, Sequence

from torch import nn

from graphmtl.data.batching import EncodedTask, encode_tasks
from graphmtl.data.task import TaskSet
from graphmtl.training.accelerator import plain_accelerator
from graphmtl.training.evaluation import Predictions, predict_split
from graphmtl.training.run import Run
from graphmtl.training.run_data import load_fitted_tasks

__all__ = ["encoded_for", "fitted_tasks", "predict", "predict_run", "read_run"]


def read_run(run: Run, names: Sequence[str] | None = None) -> dict[str, EncodedTask]:
    """The data of a finished run, of some of its tasks, or of all, as its model reads it."""
    return encoded_for(run, fitted_tasks(run), names)


def fitted_tasks(run: Run) -> TaskSet:
    """The data of a finished run, as it was when the run was trained.

    Raises:
        InputError: the model has other tasks, or has learned them otherwise.
    """
    tasks = load_fitted_tasks(run)
    tasks.check_learned(run.model.tasks, run.folder)
    return tasks


def encoded_for(run: Run, tasks: TaskSet, names: Sequence[str] | None = None) -> dict[str, EncodedTask]:
    """Data as a run's model reads it, of some of the tasks, or of all."""
    model = run.model
    apart: bool = model.architecture.own_encoder_per_task
    chosen = {name: tasks[name] for name in names or tasks}
    return encode_tasks(chosen, model.vocabulary, model.options, apart=apart)


def predict(
    run: Run, data: Mapping[str, EncodedTask], split: str, model: nn.Module | None = None
) -> dict[str, Predictions]:
    """What the run's model, or another one, predicts on a split of the run's data, by task."""
    accelerator = plain_accelerator(run.options.device)
    model = (run.model if model is None else model).to(accelerator.device)
    return predict_split(
        model=model, data=data, split=split, batch_size=run.options.texts_at_once, accelerator=accelerator
    )


def predict_run(run: Run, split: str) -> tuple[dict[str, EncodedTask], dict[str, Predictions]]:
    """The data of a finished run, and what its model predicts on a split, by task."""
    data = read_run(run)
    return data, predict(run, data, split)
