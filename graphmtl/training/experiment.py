"""One whole run: data, model, training, test, task graph, and the folder that holds it all."""

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from graphmtl import verbosity
from graphmtl.architectures import resolve_topology
from graphmtl.architectures.adapterfusion import AdapterFusionOptions
from graphmtl.architectures.architecture import TopologyOptions
from graphmtl.config import Options
from graphmtl.data.batching import EncodedTask, encode_tasks
from graphmtl.data.fingerprint import fingerprint
from graphmtl.data.loading import IN_MEMORY
from graphmtl.data.refit import train_with_valid, with_answers
from graphmtl.data.task import TaskSet
from graphmtl.errors import InputError, check_kind
from graphmtl.generators import generators_kept
from graphmtl.graph.recorder import EdgeRecorder
from graphmtl.models.model import MultiTaskModel
from graphmtl.models.word_encoder import WordEncoderOptions
from graphmtl.options import make_options
from graphmtl.training.budget import Budget, about
from graphmtl.training.building import build_model
from graphmtl.training.distillation import DistillationOptions
from graphmtl.training.linear_graph import LinearGraph
from graphmtl.training.pretraining import load_pretrained
from graphmtl.training.processes import process_state
from graphmtl.training.profiling import profiled
from graphmtl.training.results import other_tests, write_run, write_validation
from graphmtl.training.run import Run
from graphmtl.training.run_data import (
    all_splits,
    left_out,
    load_run_tasks,
    read_frozen_once,
    remarks,
    say_truncated,
    say_unknown,
)
from graphmtl.training.run_files import ANSWERS, REMARKS
from graphmtl.training.self_training import answers_for
from graphmtl.training.submission import Submission
from graphmtl.training.teachers import distillation_of, folder_of_outputs, given_teachers, trained_teachers
from graphmtl.training.trackers import trackers_finished
from graphmtl.training.trainer import Trainer
from graphmtl.training.training_result import TrainingResult
from graphmtl.training.wide import fit_wide_parts
from graphmtl.training.wide_shares import choose_shares

__all__ = ["folder_of", "train", "train_run"]


def train(
    tasks: TaskSet | Mapping[str, Any] | Path | str | None = None,
    *,
    callbacks: Sequence[Callable[[dict], None]] = (),
    **values: Any,
) -> Run:
    """Trains, tests and writes a run's folder; the same as ``graphmtl run``.

    The baselines and the control beside it are the command's alone; see :func:`graphmtl.baselines.read_baselines` and
    :func:`graphmtl.training.controls.control_of`.

    A callback that tells a search over options (here Optuna's) how it goes, and lets it end what will not win::

        def report(line):
            trial.report(line["metrics"]["books"]["accuracy"], step=line["epoch"])  # on the validation split
            if trial.should_prune():
                raise optuna.TrialPruned

        graphmtl.train("fdu-mtl:books,dvd", lr=trial.suggest_float("lr", 1e-4, 1e-2), callbacks=[report])

    Args:
        tasks: a task set, whose seed is then the run's, or what ``--tasks`` takes, or data at hand, by the tasks'
            names, as :func:`~graphmtl.data.loading.load_tasks` takes it.
        callbacks: each is called with each line of ``history.jsonl`` (``step``, ``epoch``, ``losses``, ``metrics``,
            ``lr``, ...) once the epoch's checkpoint is written; of several processes in the first alone. What it raises
            ends the training, and ``resume=True`` goes on after that epoch; what it returns is not looked at. It hears
            nothing of the teachers that ``teachers="train"`` trains first, nor of the second training of
            ``refit_on_valid``, which has no validation scores.
        values: options by name, as :func:`~graphmtl.options.make_options` takes them.

    Returns:
        The finished run: ``.metrics``, ``.model``, ``.task_graph``, ``.folder``.

    Raises:
        InputError: whatever is wrong with the options or the data.
    """
    check_kind("callbacks", callbacks, Sequence, "a list of functions")
    for each in callbacks:
        check_kind("callbacks", each, Callable, "functions alone")
    if isinstance(tasks, Mapping) and not isinstance(tasks, TaskSet):
        tasks = load_run_tasks(make_options(**{**values, "tasks": IN_MEMORY}), tasks)
    if not isinstance(tasks, TaskSet | str | Path | None):
        raise InputError(
            f"tasks: found a {type(tasks).__name__}, expected a task set, a name, a file, or {{NAME: DATA}}"
        )
    given = tasks.loaded_with if isinstance(tasks, TaskSet) else {} if tasks is None else {"tasks": tasks}
    for name in given.keys() & values.keys():
        if given[name] != values[name]:
            loaded = f"the tasks were loaded with {given[name]!r}; load_tasks(..., {name}={values[name]!r})"
            raise InputError(f"{name} is {values[name]!r}, but {loaded}")
    options = make_options(**{**values, **given})
    tasks = tasks if isinstance(tasks, TaskSet) else load_run_tasks(options)
    for line in left_out(tasks) if process_state(options.device).is_main_process else ():
        verbosity.say(line)
    return train_run(tasks, options, callbacks=callbacks)


def folder_of(tasks: TaskSet, options: Options) -> Path:
    """Where a run is written; an architecture from outside the package is named by its class alone."""
    return Path(options.output or f"runs/{options.arch.rpartition(':')[2]}-{tasks.name}-{options.seed}")


@generators_kept()
def train_run(
    tasks: TaskSet,
    options: Options,
    *,
    callbacks: Sequence[Callable[[dict], None]] = (),
    test: bool = True,
    profile: bool = False,
    control_of: Run | None = None,
    up_to: Run | None = None,
) -> Run:
    """:func:`train`, for options that are at hand.

    With ``profile`` the main process says where the time of some updates goes. Without ``test`` it ends once it is
    trained and validated: the model answers no test example, and the run, which has a ``validation.json`` in place of
    ``metrics.json``, is not finished.

    Of a control ``control_of`` is the finished run that it controls, and ``up_to`` too where it ends with that one's
    epoch. It says nothing then, has as many batches and epochs, and is
    trained up to the epoch that was kept there, without a look at the validation split before that.
    """
    run = Run(folder_of(tasks, options))
    options, given_data = _checked(run, tasks, options)
    main = process_state(options.device).is_main_process
    submission = None
    if options.write_submission is not None:
        submission = Submission(tasks, options.write_submission, overwrite=options.overwrite)
    say = verbosity.say if main and up_to is None else _silent
    loaded, answers = tasks, answers_for(run, tasks, options, say)
    tasks = tasks if answers is None else with_answers(tasks, answers)
    measured = main and test and up_to is None
    kept, budgets = (None, None) if up_to is None else _kept_epoch(up_to)
    about_it: dict[str, Any] = {"folder": run.folder, "say": say, "measured": measured and not options.refit_on_valid}
    own = _prepared(tasks, options, callbacks=callbacks if main else (), budgets=budgets, **about_it)
    given = given_teachers(options, tasks, own.model)
    with run.begun(options, given_data):
        if answers is not None and main:
            run.write_json(ANSWERS, answers)
        read_frozen_once(own.model, all_splits(own.data), progress=options.progress)
        teachers = given or trained_teachers(run, options, loaded, own.model, train=train_run, test=test)
        said = folder_of_outputs(run, options)
        with profiled(run.folder) if profile and main else nullcontext():
            result = own.train(tasks, teachers, said, keep_epochs=kept)
        choose_shares(own.model, partial(own.trainer.predict_split, "valid"), own.data, say=say)
        predictions = {"valid": own.trainer.predict_split("valid")}
        if not test:
            if main:
                write_validation(run, options, own.model, own.data, result, predictions)
            return run
        if options.refit_on_valid:
            tasks = train_with_valid(tasks)
            own, result = _refit(run, tasks, own, result, teachers, said / "refit", say, measured=measured)
        recorder = EdgeRecorder()
        predictions["test"] = own.trainer.predict_split("test", recorder=recorder)
        predictions |= {split: own.trainer.predict_split(split) for split in other_tests(own.data)}
        say_unknown(own.data, say)
        if main:
            run.write_json(REMARKS, remarks(tasks, own.data))
            known: dict[str, Any] = {"truth": tasks.truth, "control_of": control_of, "linear": own.linear}
            write_run(run, options, own.model, own.data, result, predictions, recorder, **known)
            if submission is not None:
                verbosity.say(f"wrote {', '.join(map(str, submission.write(own.model)))}")
    return run


def _checked(run: Run, tasks: TaskSet, options: Options) -> tuple[Options, dict]:
    """The options, with the edges of a topology that another run gave, and the data's fingerprint.

    It is asked by every process, so that none waits for one that has failed, and before ``--refit-on-valid`` moves
    examples.
    """
    if options.overwrite:
        run.check_kept(_read_from(options))
    data = fingerprint(tasks)
    _check_data_of_others(options, tasks, data)
    options = resolve_topology(options, list(tasks))
    if options.refit_on_valid and options.shuffle_labels:
        raise InputError("--refit-on-valid: the validation split has its true labels, so not with --shuffle-labels")
    run.check(options, data)
    return options, data


@dataclass(frozen=True, kw_only=True)
class _Training:
    """A model with its data, and what trains it.

    Attributes:
        options: of the run.
        model: it is trained in place.
        data: as the model reads it.
        trainer: of the model, on the data.
        linear: whom the model's linear models read, where it has any and this was measured.
    """

    options: Options
    model: MultiTaskModel
    data: dict[str, EncodedTask]
    trainer: Trainer
    linear: LinearGraph | None

    def train(
        self,
        tasks: TaskSet,
        teachers: Mapping[str, Run],
        said: Path,
        *,
        keep_epochs: int | dict[str, int] | None = None,
    ) -> TrainingResult:
        """Trains the model, with what teachers say of the tasks' training texts, which is kept in the folder ``said``.

        With ``keep_epochs`` up to that epoch, else up to the one that validation chooses.
        """
        terms = distillation_of(self.options, tasks, self.model, self.data, teachers, folder=said)
        with trackers_finished(self.trainer.accelerator):
            return self.trainer.train(resume=self.options.resume, keep_epochs=keep_epochs, terms=terms)


def _prepared(
    tasks: TaskSet,
    options: Options,
    *,
    folder: Path,
    say: Callable[..., Any],
    measured: bool,
    callbacks: Sequence[Callable[[dict], None]] = (),
    budgets: Mapping[str, Budget] | None = None,
    first: MultiTaskModel | None = None,
) -> _Training:
    """A new model of the tasks, its linear models learned, and its trainer.

    Where a ``first`` model has been trained, nothing is said of data and budgets again, and what its heads have chosen
    on ``valid`` the new one has from the start.
    """
    model = _fresh(tasks, options, say)
    data = encode_tasks(tasks, model.vocabulary, model.options, apart=model.architecture.own_encoder_per_task)
    if first is None:
        say_truncated(data, say)
    else:
        state, before = model.state_dict(), first.state_dict()
        for name in chain.from_iterable(map(model.chosen, model.tasks)):
            state[name].copy_(before[name])
    linear = fit_wide_parts(model, data, seed=options.seed, say=say, measured=measured)
    parts: dict[str, Any] = {"model": model, "data": data, "options": options}
    trainer = Trainer(**parts, folder=folder, callbacks=callbacks, given=budgets)
    for line in about(trainer.budgets) if first is None else ():
        say(line)
    return _Training(**parts, trainer=trainer, linear=linear)


def _kept_epoch(run: Run) -> tuple[int | dict[str, int], dict[str, Budget] | None]:
    """The epoch that a finished run kept, or one for each of its selection groups, and the budgets of these.

    A run of an earlier version does not tell its budgets, which follow from its options.
    """
    told = run.metrics.get("budget")
    budgets = None if told is None else {group: Budget(**own) for group, own in told.items()}
    return run.metrics["best_epoch"], budgets


def _fresh(tasks: TaskSet, options: Options, say: Callable[..., Any]) -> MultiTaskModel:
    """The model of a run before its training, which may start from a pre-trained part."""
    model = build_model(tasks, options, say=say)
    if isinstance(options, WordEncoderOptions) and options.pretrained is not None:
        load_pretrained(model, options.pretrained, say)
    return model


def _read_from(options: Options) -> list[str]:
    """The folders of other runs that a run reads while it goes on; the edges of a topology are written down at once."""
    given: list[str] = [options.self_training or ""]
    given += [options.adapters or ""] if isinstance(options, AdapterFusionOptions) else []
    given += [options.pretrained or ""] if isinstance(options, WordEncoderOptions) else []
    if isinstance(options, DistillationOptions):
        given += (options.teachers or "").split(",")
    return [folder for folder in given if folder and Path(folder).is_dir()]


def _check_data_of_others(options: Options, tasks: TaskSet, data: Mapping) -> None:
    """Whether the runs whose graph or adapters this run begins with were trained on the same data.

    A graph may well be that of other data; what is asked is whether data that was loaded alike has changed since.
    """
    if (
        isinstance(options, TopologyOptions)
        and options.topology is not None
        and os.path.isfile(os.path.join(options.topology, "data.json"))
    ):
        source = Run(options.topology)
        if tasks.loaded_with and all(getattr(source.options, name) == x for name, x in tasks.loaded_with.items()):
            source.check_data(data)
    if isinstance(options, AdapterFusionOptions) and options.adapters is not None:
        source = Run.open(options.adapters)
        if [*source.metrics["tasks"]] == [*tasks]:  # other tasks are load_adapters' to refuse
            source.check_data(data)


def _refit(
    run: Run,
    tasks: TaskSet,
    first: _Training,
    chosen: TrainingResult,
    teachers: Mapping[str, Run],
    said: Path,
    say: Callable[..., Any],
    *,
    measured: bool,
) -> tuple[_Training, TrainingResult]:
    """A new model, trained up to the chosen epoch of the first one, on tasks whose training split holds ``valid``.

    Its ``history.jsonl`` and ``checkpoints/`` stand in ``refit`` of the run's folder. The time is that of both.
    """
    say("again from the start, on the training and validation splits")
    folder = run.folder / "refit"
    folder.mkdir(exist_ok=True)
    about_it: dict[str, Any] = {"folder": folder, "say": say, "measured": measured}
    own = _prepared(tasks, first.options, budgets=chosen.budgets, first=first.model, **about_it)
    read_frozen_once(own.model, all_splits(own.data), progress=own.options.progress)
    result = own.train(tasks, teachers, said, keep_epochs=chosen.best_epoch)
    return own, replace(result, seconds=chosen.seconds + result.seconds, cut_short=chosen.cut_short)


def _silent(*_args: Any) -> None:
    pass
