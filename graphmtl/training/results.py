"""What a finished run leaves: scores, ``metrics.json``, the task graph and the model."""

import importlib.metadata
import math
import platform
from collections.abc import Mapping
from dataclasses import asdict

from graphmtl.config import Options
from graphmtl.data.batching import EncodedTask
from graphmtl.data.planted_truth import PlantedTruth
from graphmtl.data.task import Task, TaskData
from graphmtl.files import written_whole
from graphmtl.graph.recorder import EdgeRecorder
from graphmtl.models.model import MultiTaskModel
from graphmtl.printed_tables import counted_tasks
from graphmtl.training.evaluation import Predictions, score
from graphmtl.training.example_sums import sums_of
from graphmtl.training.linear_graph import LinearGraph
from graphmtl.training.run import Run
from graphmtl.training.run_files import VALIDATION
from graphmtl.training.run_graphs import save_graphs
from graphmtl.training.run_picture import draw_run
from graphmtl.training.training_result import TrainingResult

__all__ = [
    "SPLITS",
    "cut_short",
    "mean_of_first_metrics",
    "other_tests",
    "split_scores",
    "versions",
    "write_run",
    "write_validation",
]

SPLITS = ("valid", "test", "test_dedup")
_VERSIONS = ("graphmtl", "torch", "torch_geometric", "accelerate", "datasets", "transformers")


def split_scores(data: Mapping[str, EncodedTask | TaskData], predictions: Mapping[str, Predictions]) -> dict[str, dict]:
    """Every task's metrics on a split, nan as None."""
    scores = {name: score(data[name].task, own) for name, own in predictions.items()}
    return {
        name: {metric: None if math.isnan(x) else x for metric, x in values.items() if metric != "loss"}
        for name, values in scores.items()
    }


def write_run(
    run: Run,
    options: Options,
    model: MultiTaskModel,
    data: Mapping[str, EncodedTask],
    result: TrainingResult,
    predictions,
    recorder: EdgeRecorder,
    *,
    truth: PlantedTruth | None = None,
    control_of: Run | None = None,
    linear: LinearGraph | None = None,
) -> None:
    """Everything that a finished run leaves, ``metrics.json`` last.

    Args:
        run: its folder.
        options: of the run.
        model: the trained model.
        data: what it was trained on.
        result: how the training went.
        predictions: by split and task.
        recorder: the edges of the test split.
        truth: the true task graph, where it is known.
        control_of: of a control the run that it is one of, whose training labels are the right ones.
        linear: whom the model's linear models read.
    """
    metrics = _metrics(options, model, data, result, predictions)
    intervals = {name: _interval(data[name].task, own) for name, own in predictions["test"].items()}
    model.scores = {
        name: {"examples": own["n_test"], "test": own["test"], "interval": intervals[name]}
        for name, own in metrics["tasks"].items()
    }
    _save(model, run)
    save_graphs(run, options, model, data, recorder, control_of=control_of, linear=linear)
    if truth is not None:
        run.write_json("truth.json", truth.to_dict())
    conflict = run.gradient_conflict
    if conflict is not None:
        metrics["gradient_cosine"] = conflict.mean()
    draw_run(run)
    run.finish(metrics)


def _save(model: MultiTaskModel, run: Run) -> None:
    with written_whole(run.folder / "model") as part:
        model.save_pretrained(part)


def _interval(task: Task, predictions: Predictions) -> list[float] | None:
    """That of the task's first metric on a split, where there is one."""
    found = sums_of(task, predictions).interval(task.name) if len(predictions) else None
    return None if found is None else [round(end, 7) for end in found]


def _metrics(options: Options, model: MultiTaskModel, data, result: TrainingResult, predictions) -> dict:
    scores = {split: split_scores(data, own) for split, own in predictions.items()}
    unseen = {name: each.unseen() for name, each in predictions["test"].items()}
    scores["test_dedup"] = split_scores(data, unseen)
    tasks = {
        name: {
            "kind": task.task.kind,
            "metric": task.task.metrics[0],
            **({} if task.task.in_mean else {"in_mean": False}),
            **{split: scores[split][name] for split in SPLITS},
            **{f"n_{split}": task.labelled(split) for split in ("train", "valid", "test")},
            "n_test_dedup": len(unseen[name]),
            **task.task.of_kind.by_class(predictions["test"][name]),
            **{split: scores[split][name] for split in task.other_tests},
            **{f"n_{split}": task.labelled(split) for split in task.other_tests},
        }
        for name, task in data.items()
    }
    return {
        "arch": options.arch,
        "seed": options.seed,
        "tasks": tasks,
        "mean": {split: mean_of_first_metrics(tasks, split) for split in SPLITS},
        "parameters": sum(p.numel() for p in model.parameters()),
        "train_seconds": result.seconds,
        "tokens_per_second": result.tokens_per_second,
        "best_epoch": result.best_epoch,
        "budget": {group: asdict(own) for group, own in result.budgets.items()},
        "cut_short": result.cut_short,
        "versions": versions(),
    }


def write_validation(run: Run, options: Options, model: MultiTaskModel, data, result: TrainingResult, predictions):
    """What a run leaves that is not tested: its model, and ``validation.json``, a part of what ``metrics.json`` has."""
    _save(model, run)
    scores = split_scores(data, predictions["valid"])
    tasks = {
        name: {
            "kind": own.task.kind,
            "metric": own.task.metrics[0],
            **({} if own.task.in_mean else {"in_mean": False}),
            "valid": scores[name],
            **{f"n_{split}": own.labelled(split) for split in ("train", "valid")},
        }
        for name, own in data.items()
    }
    content = {
        "arch": options.arch,
        "seed": options.seed,
        "tasks": tasks,
        "mean": {"valid": mean_of_first_metrics(tasks, "valid")},
        "train_seconds": result.seconds,
        "best_epoch": result.best_epoch,
        "budget": {group: asdict(own) for group, own in result.budgets.items()},
        "cut_short": result.cut_short,
        "versions": versions(),
    }
    run.write_json(VALIDATION, content)


def cut_short(metrics: Mapping) -> list[str]:
    """What is to be said of trainings whose best epoch is the last one they were given; a line, or none."""
    groups, all_groups = metrics["cut_short"], metrics["budget"]
    if not groups:
        return []
    whose = f" of {', '.join(groups)}" if len(all_groups) > 1 else ""
    return [f"the validation score{whose} still rose in the last epoch; more of them (--epochs) may give a better one"]


def other_tests(data: Mapping[str, EncodedTask]) -> list[str]:
    """The names of the test splits that some tasks have beside ``test``."""
    return list(dict.fromkeys(split for task in data.values() for split in task.other_tests))


def versions() -> dict[str, str]:
    """The installed versions of Python, of this package and of those that its results depend on."""
    return {
        "python": platform.python_version(),
        **{name: _version(name) for name in _VERSIONS},
    }


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:  # it is read from its source folder
        return "not installed"


def mean_of_first_metrics(tasks: Mapping[str, dict], split: str) -> float | None:
    """The mean over tasks of each one's first metric, in the form of ``metrics.json``'s "tasks".

    See :func:`~graphmtl.printed_tables.counted_tasks`.
    """
    values = [tasks[name][split][tasks[name]["metric"]] for name in counted_tasks(tasks)]
    values = [value for value in values if value is not None]
    return sum(values) / len(values) if values else None
