"""One whole run: data, model, training, test, task graph, and the folder that holds it all."""

import importlib.metadata
import math
import os
import platform
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import set_seed

from graphmtl import verbosity
from graphmtl.analysis.affinity import probe_batches, task_affinity
from graphmtl.architectures import resolve_topology
from graphmtl.config import ModelOptions, Options, PlantedOptions
from graphmtl.data.batching import EncodedTask, encode_tasks
from graphmtl.data.fingerprint import fingerprint
from graphmtl.data.loading import IN_MEMORY, load_tasks
from graphmtl.data.refit import train_with_valid
from graphmtl.data.spelling import Alphabet
from graphmtl.data.subwords import SubwordVocabulary
from graphmtl.data.task import TaskData, TaskSet
from graphmtl.data.tokenizer import KINDS, Tokenizer
from graphmtl.data.vectors import Vectors, coverage, read_vectors
from graphmtl.data.vocabulary import Vocabulary
from graphmtl.errors import InputError
from graphmtl.generators import generators_kept
from graphmtl.graph.pictures.figure import draw_task_graph, save_figure
from graphmtl.graph.recorder import EdgeRecorder
from graphmtl.graph.topology import Topology
from graphmtl.models.encoders import ENCODERS, check_options
from graphmtl.models.heads import RegressionHead
from graphmtl.models.model import MultiTaskModel
from graphmtl.models.resolution import resolve_chars
from graphmtl.options import make_options
from graphmtl.training.distillation import Distillation
from graphmtl.training.evaluation import Predictions, ScorePredictions, TagPredictions, score
from graphmtl.training.first_stage import load_adapters
from graphmtl.training.processes import process_state
from graphmtl.training.run_folder import Run
from graphmtl.training.submission import Submission
from graphmtl.training.teachers import check_unseen, find_teachers, read_by_teachers
from graphmtl.training.trainer import Trainer, TrainingResult

__all__ = [
    "SPLITS",
    "build_model",
    "folder_of",
    "left_out",
    "load_fitted_tasks",
    "load_run_tasks",
    "load_tasks_again",
    "part",
    "split_scores",
    "standardise_scores",
    "train",
    "train_run",
    "versions",
    "write_run",
]

SPLITS = ("valid", "test", "test_dedup")
_MANY_UNKNOWN = 0.25  # of the tokens of a split; FDU-MTL has 0.01 to 0.03, CoNLL-2000 0.06, WNUT-17 0.13
_VERSIONS = ("graphmtl", "torch", "torch_geometric", "accelerate", "datasets", "transformers")


def part(options: Options, kind: type):
    """The options of one group, such as ``ModelOptions``."""
    return kind(**{field.name: getattr(options, field.name) for field in fields(kind)})


def load_run_tasks(options: Options, given: Mapping[str, Any] | None = None) -> TaskSet:
    """The task set of a run; ``given`` is the data at hand, where the run is trained on such."""
    return load_tasks(
        options.tasks if given is None else given,
        data_dir=options.data_dir,
        seed=options.seed,
        only=options.only,
        shuffle_labels=options.shuffle_labels,
        keep_overlap=options.keep_overlap,
        planted=part(options, PlantedOptions),
    )


def load_tasks_again(run: Run) -> TaskSet:
    """The task set of a run whose folder is there.

    Raises:
        InputError: the data cannot be loaded, or is no longer the run's.
    """
    tasks = load_run_tasks(run.options)
    run.check_data(fingerprint(tasks))
    return tasks


def load_fitted_tasks(run: Run) -> TaskSet:
    """:func:`load_tasks_again`, with the training split that the run's last model was trained on."""
    tasks = load_tasks_again(run)
    return train_with_valid(tasks) if run.options.refit_on_valid else tasks


@generators_kept()
def build_model(tasks: TaskSet, options: Options, say=print) -> MultiTaskModel:
    """A fresh model for the tasks, started from a transformer's weights or, if given, pre-trained word vectors."""
    check_options(options)
    vectors = read_vectors(options.embeddings) if options.embeddings else None
    if vectors is not None:
        options = replace(options, embedding_size=vectors.dim)
    options = resolve_chars(options, tasks.tasks.values())
    vocabulary = _vocabulary(tasks, options, vectors, say)
    set_seed(options.seed)
    model = MultiTaskModel(tasks=list(tasks.tasks.values()), vocabulary=vocabulary, options=part(options, ModelOptions))
    if model.architecture.topology is not None:
        say(_about(model.architecture.topology))
    standardise_scores(model, tasks)
    if isinstance(vocabulary, SubwordVocabulary):
        _load_encoder(model, options, say)
    elif vectors is not None:
        covered = coverage(vocabulary.counts, vectors)
        say(
            f"{options.embeddings}: {len(vectors.words)} vectors of {vectors.dim} dimensions cover {covered.types:.1%} "
            f"of the training texts' different words, {covered.tokens:.1%} of all their words"
        )
        model.load_vectors(vectors)
    if options.adapters is not None:
        load_adapters(model, Run.open(options.adapters))
    return model


def standardise_scores(model: MultiTaskModel, tasks: Mapping[str, TaskData]) -> None:
    """Gives the heads of regressions the mean and the standard deviation of their training labels."""
    for head, task in zip(model.heads, model.tasks, strict=True):
        if isinstance(head, RegressionHead) and task in tasks:
            head.standardise(torch.tensor(tasks[task].train["label"][:]))


def _vocabulary(tasks: TaskSet, options: Options, vectors: Vectors | None, say) -> Vocabulary | SubwordVocabulary:
    """The words of the training texts, and their characters if these are read; or a transformer's pieces."""
    if options.encoder not in ENCODERS:
        from graphmtl.models.transformer import load_subwords

        return load_subwords(options.encoder, others=ENCODERS)
    tokenizer = _tokenizer(tasks, options, say)
    layers = {data.corpus or name: data.train for name, data in tasks.items()}.values()
    texts = [rows[c] for rows in layers for c in ("text", "text_pair", "tokens") if c in rows.column_names]
    vocabulary = Vocabulary.build(
        chain.from_iterable(texts),
        min_count=options.min_count,
        tokenizer=tokenizer,
        extra_words=vectors.words if vectors is not None else (),
    )
    say(f"{len(vocabulary)} words in the vocabulary")
    if options.chars != "none":
        vocabulary.alphabet = Alphabet.build(
            word
            for words, *_ in vocabulary.split_texts((text,) for text in chain.from_iterable(texts))
            for word in words
        )
        say(f"{len(vocabulary.alphabet.characters)} characters, {len(vocabulary.alphabet.shapes)} shapes of words")
    return vocabulary


def _tokenizer(tasks: TaskSet, options: Options, say) -> Tokenizer:
    """What cuts the texts.

    Raises:
        InputError: it cannot be read, or makes pieces of words where words are asked for.
    """
    tokenizer = Tokenizer(options.tokenizer, lower_case=options.lower_case)
    if options.tokenizer not in KINDS and not options.lower_case:
        say(f"--no-lower-case has no effect with --tokenizer {options.tokenizer}, whose normalizer says it")
    if tokenizer.has_pieces:
        tagged = next((name for name, data in tasks.items() if data.task.tokens), None)
        what = f"--tokenizer {options.tokenizer}: its model makes pieces of words"
        if tagged is not None:
            raise InputError(f"{what}, but task {tagged!r} is given in words; accepted: {', '.join(KINDS)}")
        if options.chars != "none":
            raise InputError(f"{what}, and --chars {options.chars} reads words; accepted: --chars none")
    return tokenizer


def _load_encoder(model: MultiTaskModel, options: Options, say) -> None:
    first, *_ = layers = model.encoder_layers()
    if options.layer_decay < 1 and len(first) == 1:
        raise InputError(f"--layer-decay: the layers of {options.encoder} share their weights")
    model.load_encoder()
    size = sum(parameter.numel() for layer in first for parameter in layer)
    copies = "" if len(layers) == 1 else f", one for each of {len(layers)} tasks"
    say(f"{options.encoder}: {size:,} parameters, {len(model.vocabulary):,} pieces{copies}")


def _say_truncated(data: Mapping[str, EncodedTask], say) -> None:
    """How many texts of each task a transformer gets a part of only."""
    for name, task in data.items():
        splits = task.splits.values()
        cut, texts = sum(split.truncated for split in splits), sum(map(len, splits))
        if cut:
            say(f"{name}: {cut} of {texts} texts ({cut / texts:.1%}) cut to the pieces that are read (--max-length)")


def _say_unknown(data: Mapping[str, EncodedTask], say) -> None:
    """The share of unknown tokens in each task's validation and test split, and a warning where it is high."""
    shares = {name: (task.valid.unknown, task.test.unknown) for name, task in data.items()}
    found = {name: tuple(share or 0.0 for share in own) for name, own in shares.items() if own != (None, None)}
    if not found:
        return
    listed = ", ".join(f"{name} {100 * valid:.1f} / {100 * test:.1f}" for name, (valid, test) in found.items())
    listed = f"unknown tokens of validation / test in %: {listed}"
    say(textwrap.fill(listed, width=120, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False))
    many = [name for name, own in found.items() if max(own) > _MANY_UNKNOWN]
    if many:
        say(
            f"warning: more than {_MANY_UNKNOWN:.0%} of the tokens are unknown in {', '.join(many)}, and nothing was "
            "learned of them; what helps: more training texts, --embeddings FILE, --chars cnn, or, where texts are no "
            "lists of tokens, --tokenizer characters"
        )


def _about(topology: Topology) -> str:
    lonely = [task for task, sources in topology.sources.items() if not sources]
    about = f"topology: {len(topology.edges)} edges between {len(topology.tasks)} tasks"
    return f"{about}; without sources: {', '.join(lonely)}" if lonely else about


def split_scores(
    data: Mapping[str, EncodedTask], predictions: Mapping[str, Predictions | ScorePredictions | TagPredictions]
) -> dict[str, dict]:
    """Every task's metrics on a split, nan as None."""
    scores = {name: score(data[name].task, own) for name, own in predictions.items()}
    return {
        name: {metric: None if math.isnan(x) else x for metric, x in values.items() if metric != "loss"}
        for name, values in scores.items()
    }


def train(tasks: TaskSet | Mapping[str, Any] | Path | str | None = None, **values) -> Run:
    """Trains, tests and writes a run's folder; the same as ``graphmtl run``.

    Args:
        tasks: a task set, whose seed is then the run's, or what ``--tasks`` takes, or data at hand, by the tasks'
            names, as :func:`~graphmtl.data.loading.load_tasks` takes it.
        values: options by name, as in :class:`~graphmtl.config.Options`.

    Returns:
        The finished run: ``.metrics``, ``.model``, ``.task_graph``, ``.folder``.

    Raises:
        InputError: whatever is wrong with the options or the data.
    """
    if isinstance(tasks, Mapping) and not isinstance(tasks, TaskSet):
        tasks = load_run_tasks(make_options(**{**values, "tasks": IN_MEMORY}), tasks)
    if not isinstance(tasks, TaskSet | str | Path | None):
        raise InputError(
            f"tasks: found a {type(tasks).__name__}, expected a task set, a name, a file, or {{NAME: DATA}}"
        )
    given = tasks.loaded_with if isinstance(tasks, TaskSet) else {} if tasks is None else {"tasks": tasks}
    for name in given.keys() & values.keys():
        if given[name] != values[name]:
            raise InputError(f"{name} is {values[name]!r}, but the tasks were loaded with {given[name]!r}")
    options = make_options(**{**values, **given})
    tasks = tasks if isinstance(tasks, TaskSet) else load_run_tasks(options)
    for line in left_out(tasks) if process_state(cpu=options.device == "cpu").is_main_process else ():
        verbosity.say(line)
    return train_run(tasks, options)


def left_out(tasks: TaskSet) -> Iterator[str]:
    """A line for each task with rows that have no label, and for each corpus that has lost most of its training."""
    for name, data in tasks.items():
        if counts := data.unlabelled:
            each = ", ".join(f"{split} {count}" for split, count in counts.items())
            yield f"{name}: {sum(counts.values())} rows without a label are not learned ({each})"
    for corpus, rows in {data.corpus: len(data.train) for data in tasks.values()}.items():
        dropped = tasks.overlap[corpus].dropped
        if dropped > rows:
            yield (
                f"{corpus}: {dropped} of {rows + dropped} training texts are left out, more than half, since they "
                "stand in the validation or test split of another task (--keep-overlap keeps them)"
            )


def folder_of(tasks: TaskSet, options: Options) -> Path:
    """Where a run is written."""
    return Path(options.output or f"runs/{options.arch}-{tasks.name}-{options.seed}")


@generators_kept()
def train_run(tasks: TaskSet, options: Options) -> Run:
    """:func:`train`, for options that are at hand."""
    run = Run(folder_of(tasks, options))
    if options.overwrite:
        run.check_kept(_read_from(options))
    given_data = fingerprint(tasks)  # before --refit-on-valid moves examples
    _check_data_of_others(options, tasks, given_data)
    options = resolve_topology(options, list(tasks))
    if options.refit_on_valid and options.shuffle_labels:
        raise InputError("--refit-on-valid: the validation split has its true labels, so not with --shuffle-labels")
    state = process_state(cpu=options.device == "cpu")
    run.check(options, given_data)  # as all checks, by every process, so that none waits for one that has failed
    submission = None
    if options.write_submission is not None:
        submission = Submission(tasks, options.write_submission, overwrite=options.overwrite)
    say = verbosity.say if state.is_main_process else _silent
    model = build_model(tasks, options, say=say)
    apart: bool = model.architecture.own_encoder_per_task
    data = encode_tasks(tasks, model.vocabulary, model.options, apart=apart)
    _say_truncated(data, say)
    trainer = Trainer(model=model, data=data, options=options, folder=run.folder)
    given = _given_teachers(options, tasks, model)
    state.wait_for_everyone()
    if state.is_main_process:  # after all that may find a mistake, so that no mistake costs a run that is there
        run.create(options, given_data)
    state.wait_for_everyone()
    teachers, said = given, Path(options.teacher_outputs or run.folder / "teachers" / "outputs")
    if options.teachers == "train":
        teachers = find_teachers([_train_teachers(run, tasks, options)], model.tasks)
    distillation = _distillation(options, tasks, model, data, teachers, folder=said)
    result = trainer.train(resume=options.resume, distillation=distillation)
    predictions = {"valid": trainer.predict_split("valid")}
    if options.refit_on_valid:
        tasks = train_with_valid(tasks)
        model, data, trainer, result = _refit(run, options, tasks, teachers, said / "refit", result, say)
    recorder = EdgeRecorder()
    predictions["test"] = trainer.predict_split("test", recorder=recorder)
    predictions |= {split: trainer.predict_split(split) for split in other_tests(data)}
    _say_unknown(data, say)
    if state.is_main_process:
        write_run(run, options, model, data, result, predictions, recorder)
        if submission is not None:
            verbosity.say(f"wrote {', '.join(map(str, submission.write(model)))}")
    state.wait_for_everyone()
    return run


def _read_from(options: Options) -> list[str]:
    """The folders of other runs that a run reads while it goes on; the edges of a topology are written down at once."""
    given = [options.adapters, *(options.teachers or "").split(",")]
    return [folder for folder in given if folder and Path(folder).is_dir()]


def _check_data_of_others(options: Options, tasks: TaskSet, data: Mapping) -> None:
    """Whether the runs whose graph or adapters this run begins with were trained on the same data.

    A graph may well be that of other data; what is asked is whether data that was loaded alike has changed since.
    """
    if options.topology is not None and os.path.isfile(os.path.join(options.topology, "data.json")):
        source = Run(options.topology)
        if tasks.loaded_with and all(getattr(source.options, name) == x for name, x in tasks.loaded_with.items()):
            source.check_data(data)
    if options.adapters is not None:
        source = Run.open(options.adapters)
        if [*source.metrics["tasks"]] == [*tasks]:  # other tasks are load_adapters' to refuse
            source.check_data(data)


def _given_teachers(options: Options, tasks: TaskSet, model: MultiTaskModel) -> dict[str, Run]:
    """The runs that ``--teachers`` names, by task; none where they are still to be trained."""
    if options.teachers is None:
        return {}
    if model.architecture.node_size is None:
        raise InputError(f"--teachers: --arch {options.arch} has nothing that could imitate them; accepted with cmtr")
    if options.teachers == "train":
        return {}
    folders = options.teachers.split(",")
    if not all(folders):
        raise InputError(f"--teachers {options.teachers!r}: folders of runs with commas between are expected, or train")
    teachers = find_teachers([Run.open(folder) for folder in folders], model.tasks)
    for run in dict.fromkeys(teachers.values()):
        names = [name for name, own in teachers.items() if own is run]
        if not run.model.architecture.own_encoder_per_task:  # it learned from the texts of all its tasks
            names = list(run.model.tasks)
        check_unseen(run, names, load_fitted_tasks(run), tasks)
    return teachers


def _train_teachers(run: Run, tasks: TaskSet, options: Options) -> Run:
    """A model for each task alone, in ``teachers/single`` of the run; what is there already is gone on with."""
    teachers = Run(run.folder / "teachers" / "single")
    if not (teachers.folder / "metrics.json").is_file():
        alone = replace(options, arch="single", teachers=None, teacher_outputs=None, topology=None, top_k=0)
        alone = replace(alone, refit_on_valid=False, write_submission=None)
        train_run(tasks, replace(alone, output=str(teachers.folder), resume=True, overwrite=False))
    PartialState().wait_for_everyone()
    return Run.open(teachers.folder)


def _refit(
    run: Run, options: Options, tasks: TaskSet, teachers: Mapping[str, Run], said: Path, chosen: TrainingResult, say
) -> tuple[MultiTaskModel, dict[str, EncodedTask], Trainer, TrainingResult]:
    """A new model, trained up to the chosen epoch of the first one, on tasks whose training split holds ``valid``.

    Its ``history.jsonl`` and ``checkpoints/`` stand in ``refit`` of the run's folder. The time is that of both.
    """
    say("again from the start, on the training and validation splits")
    model = build_model(tasks, options, say=say)
    data = encode_tasks(tasks, model.vocabulary, model.options, apart=model.architecture.own_encoder_per_task)
    folder = run.folder / "refit"
    folder.mkdir(exist_ok=True)
    trainer = Trainer(model=model, data=data, options=options, folder=folder)
    distillation = _distillation(options, tasks, model, data, teachers, folder=said)
    result = trainer.train(keep_epochs=chosen.best_epoch, resume=options.resume, distillation=distillation)
    return model, data, trainer, replace(result, seconds=chosen.seconds + result.seconds)


def _distillation(
    options: Options, tasks: TaskSet, model: MultiTaskModel, data, teachers: Mapping[str, Run], *, folder: Path
) -> Distillation | None:
    """What the teachers say of all training texts, kept in a folder, and heads to imitate them; None without any."""
    if not teachers:
        return None
    state = PartialState()
    with state.main_process_first():
        outputs = read_by_teachers(
            teachers,
            tasks,
            target=options.kd_target,
            folder=folder,
            device=state.device,
            write=state.is_main_process,
        )
    set_seed(options.seed)  # the first weights of the heads are the same whether teachers were at hand or not
    return Distillation(
        tasks=model.tasks,
        node_size=model.architecture.node_size,  # type: ignore[arg-type]
        outputs=outputs,
        own={name: each.corpus for name, each in data.items()},
        options=options,
    )


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
        valid = {name: own.valid for name, own in data.items()}
        probe = probe_batches(valid, per_task=options.affinity_probe, seed=options.seed)
        affinity = task_affinity(model, (batch.to(device) for batch in probe), split="valid", seed=options.seed)
        affinity.save(run.folder / "task_affinity.json")
    save_figure(draw_task_graph(graph, affinity=affinity), run.folder / "task_graph.png")
    run.write_json("metrics.json", _metrics(options, model, data, result, predictions))


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
        "versions": versions(),
    }


def other_tests(data: Mapping[str, EncodedTask]) -> list[str]:
    """The names of the test splits that some tasks have beside ``test``."""
    return list(dict.fromkeys(split for task in data.values() for split in task.other_tests))


def versions() -> dict[str, str]:
    """The installed versions of Python, of this package and of those that its results depend on."""
    return {
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in _VERSIONS},
    }


def mean_of_first_metrics(tasks: Mapping[str, dict], split: str) -> float | None:
    """The mean over tasks of each one's first metric, in the form of ``metrics.json``'s "tasks".

    Tasks that are not ``in_mean`` are left out, unless all are such.
    """
    counted = [task for task in tasks.values() if task.get("in_mean", True)] or tasks.values()
    values = [task[split][task["metric"]] for task in counted]
    values = [value for value in values if value is not None]
    return sum(values) / len(values) if values else None
