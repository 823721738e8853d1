"""One whole run: data, model, training, test, task graph, and the folder that holds it all."""

import importlib.metadata
import math
import platform
from collections.abc import Mapping
from dataclasses import fields, replace
from itertools import chain

from accelerate import PartialState
from accelerate.utils import set_seed

from graphmtl.architectures import resolve_topology
from graphmtl.config import ModelOptions, Options, PlantedOptions
from graphmtl.data.batching import EncodedTask, encode_tasks
from graphmtl.data.catalog import load_tasks
from graphmtl.data.spelling import Alphabet
from graphmtl.data.task import TaskSet
from graphmtl.data.vocabulary import Vocabulary, coverage, read_vectors
from graphmtl.errors import InputError
from graphmtl.graph.affinity import probe_batches, task_affinity
from graphmtl.graph.draw import draw_task_graph, save_figure
from graphmtl.graph.task_graph import EdgeRecorder
from graphmtl.graph.topology import Topology
from graphmtl.models.model import MultiTaskModel, resolve_chars
from graphmtl.options import make_options
from graphmtl.training.evaluation import Predictions, TagPredictions, score
from graphmtl.training.run_folder import Run
from graphmtl.training.trainer import Trainer, TrainingResult

__all__ = ["SPLITS", "build_model", "load_run_tasks", "split_scores", "train", "train_run", "versions", "write_run"]

SPLITS = ("valid", "test", "test_dedup")
_VERSIONS = ("graphmtl", "torch", "torch_geometric", "accelerate", "datasets")


def part(options: Options, kind: type):
    """The options of one group, such as ``ModelOptions``."""
    return kind(**{field.name: getattr(options, field.name) for field in fields(kind)})


def load_run_tasks(options: Options) -> TaskSet:
    """The task set of a run."""
    return load_tasks(
        options.tasks,
        data_dir=options.data_dir,
        seed=options.seed,
        keep_overlap=options.keep_overlap,
        planted=part(options, PlantedOptions),
    )


def build_model(tasks: TaskSet, options: Options, say=print) -> MultiTaskModel:
    """A fresh model for the tasks, with the vocabulary of their training texts and, if given, pre-trained vectors."""
    vectors = read_vectors(options.embeddings) if options.embeddings else None
    if vectors is not None:
        options = replace(options, embedding_size=vectors.dim)
    layers = {data.corpus or name: data.train for name, data in tasks.items()}.values()
    texts = [rows[c] for rows in layers for c in ("text", "text_pair", "tokens") if c in rows.column_names]
    vocabulary = Vocabulary.build(
        chain.from_iterable(texts),
        min_count=options.min_count,
        lower_case=options.lower_case,
        extra_words=vectors.words if vectors is not None else (),
    )
    say(f"{len(vocabulary)} words in the vocabulary")
    options = resolve_chars(options, tasks.tasks.values())
    if options.chars != "none":
        vocabulary.alphabet = Alphabet.build(
            word for text in chain.from_iterable(texts) for word in vocabulary.split(text)
        )
        say(f"{len(vocabulary.alphabet.characters)} characters, {len(vocabulary.alphabet.shapes)} shapes of words")
    set_seed(options.seed)
    model = MultiTaskModel(tasks=list(tasks.tasks.values()), vocabulary=vocabulary, options=part(options, ModelOptions))
    if model.architecture.topology is not None:
        say(_about(model.architecture.topology))
    if vectors is not None:
        covered = coverage(vocabulary.counts, vectors)
        say(
            f"{options.embeddings}: {len(vectors.words)} vectors of {vectors.dim} dimensions cover {covered.types:.1%} "
            f"of the training texts' different words, {covered.tokens:.1%} of all their words"
        )
        model.load_vectors(vectors)
    return model


def _about(topology: Topology) -> str:
    lonely = [task for task, sources in topology.sources.items() if not sources]
    about = f"topology: {len(topology.edges)} edges between {len(topology.tasks)} tasks"
    return f"{about}; without sources: {', '.join(lonely)}" if lonely else about


def split_scores(
    data: Mapping[str, EncodedTask], predictions: Mapping[str, Predictions | TagPredictions]
) -> dict[str, dict]:
    """Every task's metrics on a split, nan as None."""
    scores = {name: score(data[name].task, predictions[name]) for name in data}
    return {
        name: {metric: None if math.isnan(x) else x for metric, x in values.items() if metric != "loss"}
        for name, values in scores.items()
    }


def train(tasks: TaskSet | str | None = None, **values) -> Run:
    """Trains, tests and writes a run's folder; the same as ``graphmtl run``.

    Args:
        tasks: a task set, whose seed is then the run's, or what ``--tasks`` takes.
        values: options by name, as in :class:`~graphmtl.config.Options`.

    Returns:
        The finished run: ``.metrics``, ``.model``, ``.task_graph``, ``.folder``.

    Raises:
        InputError: whatever is wrong with the options or the data.
    """
    given = tasks.loaded_with if isinstance(tasks, TaskSet) else {} if tasks is None else {"tasks": tasks}
    for name in given.keys() & values.keys():
        if given[name] != values[name]:
            raise InputError(f"{name} is {values[name]!r}, but the tasks were loaded with {given[name]!r}")
    options = make_options(**{**values, **given})
    return train_run(tasks if isinstance(tasks, TaskSet) else load_run_tasks(options), options)


def train_run(tasks: TaskSet, options: Options) -> Run:
    """:func:`train`, for options that are at hand."""
    options = resolve_topology(options, list(tasks))
    state = PartialState(cpu=options.device == "cpu")
    run = Run(options.output or f"runs/{options.arch}-{tasks.name}-{options.seed}")
    if state.is_main_process:
        run.check(options)
    model = build_model(tasks, options, say=print if state.is_main_process else _silent)
    apart: bool = model.architecture.own_encoder_per_task
    data = encode_tasks(tasks, model.vocabulary, model.options, apart=apart)
    trainer = Trainer(model=model, data=data, options=options, folder=run.folder)
    if state.is_main_process:  # after all that may find a mistake, so that no mistake costs a run that is there
        run.create(options)
    state.wait_for_everyone()
    result = trainer.train(resume=options.resume)
    recorder = EdgeRecorder()
    predictions = {
        "valid": trainer.predict_split("valid"),
        "test": trainer.predict_split("test", record=recorder.update),
    }
    if state.is_main_process:
        write_run(run, options, model, data, result, predictions, recorder)
    state.wait_for_everyone()
    return run


def _silent(*_args) -> None:
    pass


def write_run(
    run: Run, options: Options, model: MultiTaskModel, data, result: TrainingResult, predictions, recorder
) -> None:
    """Everything that a finished run leaves, ``metrics.json`` last."""
    model.save_pretrained(run.folder / "model")
    about = {"arch": options.arch, "tasks": tuple(model.tasks), "split": "test", "seed": options.seed}
    graph = recorder.graph(**about, virtual=model.architecture.virtual_node is not None)
    graph.save(run.folder / "task_graph.json")
    affinity = None
    if model.architecture.virtual_node is not None and len(model.tasks) > 1:
        device = next(model.parameters()).device
        valid = {name: own.valid for name, own in data.items() if len(own.valid)}
        probe = probe_batches(valid, per_task=options.affinity_probe, seed=options.seed)
        affinity = task_affinity(model, (batch.to(device) for batch in probe), split="valid", seed=options.seed)
        affinity.save(run.folder / "task_affinity.json")
    save_figure(draw_task_graph(graph, affinity=affinity), run.folder / "task_graph.png")
    run.write_json("metrics.json", _metrics(options, model, data, result, predictions))


def _metrics(options: Options, model: MultiTaskModel, data, result: TrainingResult, predictions) -> dict:
    scores = {split: split_scores(data, predictions[split]) for split in ("valid", "test")}
    unseen = {name: each.unseen() for name, each in predictions["test"].items()}
    scores["test_dedup"] = split_scores(data, unseen)
    tasks = {
        name: {
            "kind": task.task.kind,
            "metric": task.task.metrics[0],
            **{split: scores[split][name] for split in SPLITS},
            **{f"n_{split}": task.labelled(split) for split in ("train", "valid", "test")},
            "n_test_dedup": len(unseen[name]),
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
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """The installed versions of Python, of this package and of those that its results depend on."""
    return {
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in _VERSIONS},
    }


def mean_of_first_metrics(tasks: Mapping[str, dict], split: str) -> float | None:
    """The mean over tasks of each one's first metric, in the form of ``metrics.json``'s "tasks"."""
    values = [task[split][task["metric"]] for task in tasks.values()]
    values = [value for value in values if value is not None]
    return sum(values) / len(values) if values else None
