"""The run in which new tasks join the graph of a finished one: its data, its scores before and after, its folder."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from typing import Any

import numpy as np
from accelerate import Accelerator
from accelerate.utils import gather_object

from graphmtl import verbosity
from graphmtl.config import Options, RunOptions, TrainingOptions, flag
from graphmtl.data.batching import EncodedTask, encode_tasks
from graphmtl.data.fingerprint import fingerprint
from graphmtl.data.loading import join_tasks, load_tasks
from graphmtl.data.overlap import row_keys
from graphmtl.data.refit import train_with_valid, with_answers
from graphmtl.data.task import Task, TaskSet
from graphmtl.data.transferred import Draw, learned_rows, never_learned
from graphmtl.errors import DataWarning, InputError, shown
from graphmtl.files import read_json
from graphmtl.generators import generators_kept
from graphmtl.graph.recorder import EdgeRecorder
from graphmtl.models.model import MultiTaskModel
from graphmtl.options import changed
from graphmtl.training.evaluation import Predictions, Record, predict_split
from graphmtl.training.joining import UNUSED, JoinedTraining, TransferOptions, training_of_graph
from graphmtl.training.processes import process_state
from graphmtl.training.results import split_scores, write_run
from graphmtl.training.run import Run
from graphmtl.training.run_data import (
    draws_of,
    learned_by,
    left_out,
    load_run_tasks,
    planted_options,
    refitted,
    remarks,
    say_truncated,
    say_unknown,
)
from graphmtl.training.run_files import ANSWERS, REMARKS
from graphmtl.training.run_graphs import graph_of_test
from graphmtl.training.trackers import trackers_finished
from graphmtl.training.training_result import TrainingResult

__all__ = ["transfer_run"]


@generators_kept()
def transfer_run(source: Run, task: str, transfer: TransferOptions, options: Options) -> Run:
    """New tasks join the graph of a finished run, and another run's folder is written.

    It is an ordinary one, in whose ``config.yaml`` the tasks are the old and the new ones. ``transfer.json`` has what
    was asked for, the old tasks' scores before and after, and the new tasks' incoming edges. No training text is left
    out because it stands in another task's held-out split, but of old tasks what the trained graph never learned for
    that reason: ``test_dedup`` counts every text as seen that is learned.

    Args:
        source: the finished run.
        task: the new tasks: names of the run's task set, or what ``--tasks`` takes.
        transfer: how they join.
        options: of :func:`~graphmtl.training.joining.options_for`, with other training options.

    Raises:
        InputError: whatever is wrong with the tasks, the options or the folder.
    """
    _check_options(source, options)
    old = source.model
    data = _load(source, task, transfer, options)
    _check_reading(data, old.tasks)
    data.known.check_learned(old.tasks, source.folder)
    state = process_state(options.device)
    run = Run(options.output or f"{source.folder}-{'-'.join(data.names)}")
    if options.overwrite:
        run.check_kept([source.folder])
    training = JoinedTraining(old=old, data=data.new, transfer=transfer, options=options, folder=run.folder)
    if state.is_main_process:
        for line in left_out(data.new):
            verbosity.say(line)
        say_truncated(training.data, verbosity.say)
        say_unknown(training.data, verbosity.say)
    options = _options_of(training, data)
    asked = {"source": str(source.folder), "task": task, **asdict(transfer)}
    asked |= {"graph": training_of_graph(source)}
    asked |= {"refitted": data.refitted} if data.refitted else {}
    asked |= {"before": data.before} if data.before else {}
    asked |= {"left_out": data.left_out} if data.left_out else {}
    _check(run, options, asked, data.fingerprint)  # by every process, so that none waits for one that has failed
    with run.begun(options, data.fingerprint):
        if state.is_main_process and not (run.folder / "transfer.json").is_file():  # of a finished run it has more
            run.write_json("transfer.json", asked)
        if state.is_main_process and data.answers is not None:
            run.write_json(ANSWERS, data.answers)
        with trackers_finished(training.trainer.accelerator):
            result = training.train(resume=options.resume)
        _score(run, options, asked, old, training, result, data)
    return run


@dataclass(frozen=True, kw_only=True)
class _TransferData:
    """The tasks of a finished run, with all that its graph has learned, and those that join them.

    Attributes:
        joined: what ``--tasks`` takes for all of them.
        names: of the new ones.
        tasks: all of them.
        answers: those that the graph was trained on where texts have no label, if it was.
        refitted: the old tasks whose validation split the graph has learned too.
        before: which tasks have joined it before.
        left_out: texts of old tasks' training splits that it has not learned.
        fingerprint: of the data as it is read.
    """

    joined: str
    names: list[str]
    tasks: TaskSet
    answers: dict[str, dict[str, list[str]]] | None
    refitted: list[str]
    before: list[Draw]
    left_out: dict[str, list[str]]
    fingerprint: dict[str, Any]

    @property
    def new(self) -> TaskSet:
        """The tasks that join."""
        return self._only(self.names)

    @property
    def known(self) -> TaskSet:
        """The tasks of the finished run."""
        return self._only([name for name in self.tasks if name not in self.names])

    def _only(self, names: Sequence[str]) -> TaskSet:
        return TaskSet(name=self.tasks.name, data=[self.tasks[name] for name in names])


def _load(source: Run, task: str, transfer: TransferOptions, options: Options) -> _TransferData:
    """The data, whose old tasks have the rows that the source has learned, and the new ones those that are drawn.

    Raises:
        InputError: there is no such task, or the source's data has changed or would be split in another way.
    """
    where: dict[str, Any] = {"data_dir": options.data_dir, "seed": options.seed, "planted": planted_options(options)}
    with warnings.catch_warnings(action="ignore", category=DataWarning):  # said where the data is read for good
        joined, names = join_tasks(options.tasks, task, only=options.only, **where)
        read = load_run_tasks(replace(source.options, data_dir=options.data_dir))
    tasks = load_tasks(joined, keep_overlap=True, max_train=options.max_train, **where)
    now = fingerprint(tasks)
    _check_held_out(fingerprint(read), now, options.seed, source)
    learned = learned_by(source, read)
    before = draws_of(source)
    joined_before = {name for each in before for name in each["new"]}
    first = {name: own for name, own in learned.items() if name not in joined_before}
    missing = source.transfer.get("left_out", {}) if before else never_learned(tasks, first)
    draws = [*before, Draw(new=names, examples=transfer.examples, draw=transfer.draw)]
    tasks = learned_rows(tasks, draws=draws, left_out=missing)
    _check_learned(tasks, learned, options.seed, source)
    answers, again = source.answers, refitted(source, learned)
    tasks = tasks if answers is None else with_answers(tasks, answers)
    tasks = train_with_valid(tasks, again) if again else tasks
    about: dict[str, Any] = {"joined": joined, "names": names, "before": before, "left_out": missing}
    return _TransferData(tasks=tasks, answers=answers, refitted=again, fingerprint=now, **about)


def _check_learned(tasks: TaskSet, learned: TaskSet, seed: int, source: Run) -> None:
    """Whether the old tasks have the training rows that the graph has learned.

    Raises:
        InputError: another seed draws others, as ``--max-train`` does.
    """
    for name, own in learned.items():
        if sorted(row_keys(tasks[name].train)) != sorted(row_keys(own.train)):
            raise InputError(
                f"--seed {seed}: draws other training texts of task {name!r} than --seed {source.options.seed}, which "
                f"{source.folder} has learned; take that one"
            )


def _check_reading(data: _TransferData, learned: Mapping[str, Task]) -> None:
    """Whether the old tasks' texts are read as they were learned where new tasks read them too.

    Raises:
        InputError: they are not.
    """
    read_by_new = {each.corpus for each in data.new.values()}
    for name, each in data.known.items():
        now, then = each.task, learned.get(name, each.task)
        if each.corpus in read_by_new and (now.max_length, now.whole) != (then.max_length, then.whole):
            raise InputError(
                f"task {name!r}: a new task over the same texts has them read in another length than the graph has "
                "learned them in; give the new one a file of its own"
            )


def _options_of(training: JoinedTraining, data: _TransferData) -> Options:
    """Those of the new run, in whose file stands what the model was made with."""
    made_with = asdict(training.model.options)
    resolved = {name: made_with[name] for name in ("topology", "chars", "pooling") if name in made_with}
    return changed(training.options, tasks=data.joined, only=None, keep_overlap=True, **resolved)


def _score(
    run: Run,
    options: Options,
    asked: Mapping[str, Any],
    old: MultiTaskModel,
    training: JoinedTraining,
    result: TrainingResult,
    data: _TransferData,
) -> None:
    """Scores all tasks, the old ones as they were too, and writes what the folder of a run holds."""
    model, accelerator = training.model, training.trainer.accelerator
    predict = partial(_predictions, batch_size=options.texts_at_once, accelerator=accelerator)
    before = predict(old, encode_tasks(data.known, old.vocabulary, old.options))
    known = encode_tasks(data.known, model.vocabulary, model.options)
    recorder, own = EdgeRecorder(), EdgeRecorder()  # of all processes, and what this one reads
    after = predict(model, known, own.update)
    of_new = predict(model, training.data, own.update)
    for each in gather_object([own.to("cpu")]):
        recorder.merge(each)
    if not accelerator.is_main_process:
        return
    every = {split: {**after[split], **of_new[split]} for split in after}
    both = {**known, **training.data}
    graph = graph_of_test(options, model, recorder)
    incoming = {name: [asdict(edge) for edge in graph.incoming(name)] for name in data.names}
    forgetting = _before_and_after(known, before, after)
    run.write_json("transfer.json", {**asked, "new": data.names, "incoming": incoming, "old": forgetting})
    run.write_json(REMARKS, remarks(data.tasks, both))
    write_run(run, options, model, both, result, every, recorder, linear=training.linear)  # metrics.json last of all


def _predictions(
    model: MultiTaskModel,
    data: Mapping[str, EncodedTask],
    record: Record | None = None,
    *,
    batch_size: int,
    accelerator: Accelerator,
) -> dict[str, dict[str, Predictions]]:
    """Of the validation and the test split; the edges of the latter go to ``record``."""
    model.to(accelerator.device)
    reading: dict[str, Any] = {"model": model, "data": data, "batch_size": batch_size, "accelerator": accelerator}
    valid = predict_split(**reading, split="valid")
    return {"valid": valid, "test": predict_split(**reading, split="test", record=record)}


def _check_options(source: Run, options: Options) -> None:
    """Whether the options leave the trained graph and its data what they are.

    Raises:
        InputError: one does not.
    """
    for name, unused in UNUSED.items():
        if getattr(options, name, unused) != unused:
            raise InputError(f"--{name.replace('_', '-')}: has no meaning for a task that joins a trained graph")
    if options.control == "always":
        raise InputError("--control always: a transfer trains no control; `graphmtl explain RUN` does")
    trained = changed(source.options)  # without what it did not look at
    may_differ = {field.name for group in (RunOptions, TrainingOptions) for field in fields(group)} | {"data_dir"}
    for field in fields(options):
        if field.name in may_differ or field.metadata["trains"]:
            continue
        ours, theirs = getattr(options, field.name), getattr(trained, field.name, field.default)
        if ours != theirs:
            raise InputError(f"{flag(field.name)} {shown(ours)}: the trained graph has {shown(theirs)}, which stays")


def _check_held_out(then: Mapping[str, Any], now: Mapping[str, Any], seed: int, source: Run) -> None:
    """Whether the data is the source's, and its tasks have the validation and test splits that they had.

    Raises:
        InputError: it is not, or another seed draws other splits, with texts that the graph has learned.
    """
    source.check_data(then)
    for name in filter(now["tasks"].__contains__, then["tasks"]):
        ours, theirs = now["tasks"][name], then["tasks"][name]
        for split in theirs.keys() - {"train"}:
            if ours[split]["text_sum"] != theirs[split]["text_sum"]:
                raise InputError(
                    f"--seed {seed}: draws other splits of task {name!r} than --seed {source.options.seed}, with which "
                    f"{source.folder} has learned some of their texts; take that one"
                )


def _check(run: Run, options: Options, asked: dict, data: Mapping[str, Any]) -> None:
    """Whether the folder may be written, and what is resumed was asked for alike; changes nothing."""
    path = run.folder / "transfer.json"
    if options.resume and path.is_file():
        started = read_json(path)
        for key, value in asked.items():
            of_later_versions = value if key in ("graph", "before", "left_out") else None
            if started.get(key, of_later_versions) != value:
                found = shown(started.get(key))
                raise InputError(f"{path}: {key} is {found}, not {shown(value)}; resume with the same")
    run.check(options, data)


def _before_and_after(data: Mapping[str, EncodedTask], before: dict, after: dict) -> dict[str, dict]:
    """Every old task's scores, and whether its predictions are the same."""
    scores = {
        when: {split: split_scores(data, each[split]) for split in each}
        for when, each in {"before": before, "after": after}.items()
    }
    return {
        name: {
            "metric": task.task.metrics[0],
            **{when: {split: own[split][name] for split in own} for when, own in scores.items()},
            "identical": all(_same(before[split][name], after[split][name]) for split in before),
        }
        for name, task in data.items()
    }


def _same(a: Predictions, b: Predictions) -> bool:
    """But for rounding: with a task more, several threads divide a product of all tasks' matrices in another way."""
    if not np.allclose(a.losses, b.losses, rtol=1e-5, atol=1e-5):
        return False
    if a.probabilities is not None and b.probabilities is not None:
        return np.allclose(a.probabilities, b.probabilities, rtol=1e-5, atol=1e-6)
    pairs = zip(a.answers, b.answers, strict=True)
    return all(np.allclose(ours, theirs, rtol=1e-5, atol=1e-6) for ours, theirs in pairs)
