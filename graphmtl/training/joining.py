"""Training of the tasks that join a trained graph, and the run's folder that comes of it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object, set_seed

from graphmtl import verbosity
from graphmtl.config import Options, RunOptions, TrainingOptions, flag
from graphmtl.data.batching import EncodedTask, encode_tasks
from graphmtl.data.few_examples import draw_examples
from graphmtl.data.fingerprint import fingerprint
from graphmtl.data.loading import join_tasks, load_tasks
from graphmtl.data.raw_texts import texts_of_split
from graphmtl.data.refit import train_with_valid, with_answers
from graphmtl.data.subwords import SubwordVocabulary
from graphmtl.data.task import TaskData, TaskSet
from graphmtl.data.vocabulary import Vocabulary
from graphmtl.errors import InputError, shown, unknown_name
from graphmtl.files import read_json
from graphmtl.generators import generators_kept
from graphmtl.graph.recorder import EdgeRecorder
from graphmtl.models.encoder import VocabularyOptions
from graphmtl.models.model import MultiTaskModel
from graphmtl.models.new_tasks import FREEZE, STARTS, add_tasks, frozen_parameters, held, keep_frozen_states, old_blocks
from graphmtl.options import changed
from graphmtl.training.budget import budget
from graphmtl.training.building import learn_from_labels
from graphmtl.training.evaluation import Predictions, Record, predict_split
from graphmtl.training.processes import process_state
from graphmtl.training.results import split_scores, write_run
from graphmtl.training.run import Run
from graphmtl.training.run_data import (
    all_splits,
    left_out,
    load_run_tasks,
    planted_options,
    read_frozen_once,
    refitted,
    remarks,
    say_truncated,
    say_unknown,
)
from graphmtl.training.run_files import ANSWERS, REMARKS
from graphmtl.training.run_graphs import graph_of_test
from graphmtl.training.trackers import trackers_finished
from graphmtl.training.trainer import Trainer
from graphmtl.training.training_result import TrainingResult
from graphmtl.training.wide import choose_shares, fit_wide_parts

__all__ = ["JOINING_LR", "JoinedTraining", "TransferOptions", "options_for", "transfer_run"]

JOINING_LR = 1 / 3  # of the learning rate that the graph was trained with
_UNUSED: dict[str, Any] = {
    "refit_on_valid": False,
    "self_training": None,
    "teachers": None,
    "teacher_outputs": None,
    "write_submission": None,
    "adversarial_weight": 0.0,  # no text of another task is read, from which one could be told
}


@dataclass(frozen=True, kw_only=True)
class TransferOptions:
    """How new tasks join a trained graph.

    Args:
        examples: labelled examples of each new task, validation included; None: its own splits as they are.
        draw: which ones, see :func:`~graphmtl.data.few_examples.draw_examples`.
        freeze: what of the trained graph stays as it was, a key of :data:`~graphmtl.models.new_tasks.FREEZE`.
        unfreeze_after: epochs after which the frozen LSTMs and common heads are trained too, and after as many more
            the encoder; 0: never.
        start: what a new task's own weights begin as, see :func:`~graphmtl.models.new_tasks.add_tasks`.
        steps: at least so many steps are trained, in more epochs where the options' epochs are fewer.

    Raises:
        InputError: a value that is not accepted.
    """

    examples: int | None
    draw: int
    freeze: str
    unfreeze_after: int
    start: str
    steps: int

    def __post_init__(self):
        if self.freeze not in FREEZE:
            raise unknown_name("--freeze", self.freeze, FREEZE)
        if self.start not in STARTS:
            raise unknown_name("--start", self.start, STARTS)
        for name in ("draw", "unfreeze_after", "steps"):
            if getattr(self, name) < 0:
                flag = name.replace("_", "-")
                raise InputError(f"--{flag}: found {getattr(self, name)}, expected 0 or more")
        if self.unfreeze_after and not FREEZE[self.freeze]:
            raise InputError(f"--unfreeze-after {self.unfreeze_after}: with --freeze {self.freeze} nothing is frozen")


def options_for(run: Run) -> Options:
    """The options of a run as those of a transfer from it.

    What the number of its texts chose (``--epochs 0``, ``--batch-size 0``) says nothing of the new tasks: they have
    eight epochs in batches of 32, and the steps of a transfer at least. No early stop, the epoch is chosen on the new
    tasks, and a third of the learning rate: at the whole one a trained graph forgets (with 100 reviews of music joining
    a star of the other 15 domains, three draws: 82.8 against 81.3, and 82.8 without any; a tenth and a thirtieth were
    as good as a third).
    """
    given = run.options
    training: dict[str, Any] = {"epochs": given.epochs or 8, "batch_size": given.texts_at_once, "select_by": "mean"}
    training |= {"patience": 0, "lr": given.lr * JOINING_LR, **_UNUSED}
    return changed(run.options, **training, control="auto", output=None, resume=False, overwrite=False)


class JoinedTraining:
    """The training of new tasks in a model that has them and the old ones.

    Args:
        old: the trained model.
        data: the new tasks.
        transfer: how they join.
        options: of the training.
        folder: for what resuming needs; None writes nothing.
    """

    @generators_kept()
    def __init__(
        self,
        *,
        old: MultiTaskModel,
        data: Mapping[str, TaskData],
        transfer: TransferOptions,
        options: Options,
        folder: Path | None = None,
    ):
        set_seed(options.seed)
        tasks, words = [each.task for each in data.values()], _words(data, old.vocabulary, options)
        how = {field.name: getattr(options, field.name) for field in fields(options) if field.metadata["trains"]}
        self.model = add_tasks(old, tasks, words=words, start=transfer.start, trained_with=how)
        learn_from_labels(self.model, data)
        self.data = encode_tasks(data, self.model.vocabulary, self.model.options)
        self.linear = fit_wide_parts(self.model, self.data, seed=options.seed, measured=folder is not None)
        self.options = with_steps(options, self.data, transfer.steps)
        self._blocks = old_blocks(self.model, old, transfer.freeze)
        self._waits = transfer.unfreeze_after
        frozen = frozen_parameters(self.model, old, transfer.freeze)
        until = [(self._waits * i, own) for i, own in enumerate(_in_order_of_unfreezing(frozen), 1)]
        if not self._waits:
            for parameter in chain.from_iterable(frozen.values()):
                parameter.requires_grad_(False)
            if transfer.freeze == "all-but-new":
                keep_frozen_states(self.model, [*self.data])
        self.trainer = Trainer(
            model=self.model, data=self.data, options=self.options, folder=folder, frozen_until=until
        )

    @property
    def keep_epochs(self) -> int | None:
        """The last epoch where a task has no validation examples to select one by, else None."""
        chosen = all(task.labelled("valid") for task in self.data.values())
        return None if chosen else self.options.epochs

    def train(self, *, resume: bool = False) -> TrainingResult:
        """Trains the new tasks."""
        read_frozen_once(self.model, all_splits(self.data), tell=False, progress=self.options.progress)
        with held(self._blocks, lambda: not self._waits or self.trainer.epoch <= self._waits):
            result = self.trainer.train(resume=resume, keep_epochs=self.keep_epochs)
        choose_shares(self.model, partial(self.trainer.predict_split, "valid"), self.data)
        self.model.frozen_states = None
        return result


def _words(data: Mapping[str, TaskData], known: Vocabulary | SubwordVocabulary, options: Options) -> list[str]:
    """The words of the training texts that the vocabulary does not have; a transformer has pieces for all words."""
    if isinstance(known, SubwordVocabulary) or not isinstance(options, VocabularyOptions):
        return []
    columns = (texts_of_split(each.train) for each in data.values())
    texts = chain.from_iterable(chain.from_iterable(columns))
    vocabulary = Vocabulary.build(texts, min_count=options.min_count, tokenizer=known.tokenizer)
    return [word for word in vocabulary.words if word not in known]


def _in_order_of_unfreezing(frozen: Mapping[str, Sequence[torch.nn.Parameter]]) -> list[list[torch.nn.Parameter]]:
    """What stands nearest to the heads first, the encoder last; a part that is not frozen does not count."""
    graph = [parameter for part, own in frozen.items() if part != "encoder" for parameter in own]
    return [own for own in (graph, [*frozen.get("encoder", ())]) if own]


def with_steps(options: Options, data: Mapping[str, EncodedTask], steps: int) -> Options:
    """The options with as many epochs as so many steps take, or as there were if those are more."""
    own = budget({task.corpus: len(task.train) for task in data.values()}.values(), options)
    updates = -(-own.batches // options.accumulate)  # of an epoch
    return replace(options, epochs=max(own.epochs, -(-steps // max(updates, 1))))


@generators_kept()
def transfer_run(source: Run, task: str, transfer: TransferOptions, options: Options) -> Run:
    """New tasks join the graph of a finished run, and another run's folder is written.

    It is an ordinary one, in whose ``config.yaml`` the tasks are the old and the new ones. ``transfer.json`` has what
    was asked for, the old tasks' scores before and after, and the new tasks' incoming edges. No training text is left
    out because it stands in another task's held-out split, since the trained graph has seen it: ``test_dedup`` counts
    every training text as seen.

    Args:
        source: the finished run.
        task: the new tasks: names of the run's task set, or what ``--tasks`` takes.
        transfer: how they join.
        options: of :func:`options_for`, with other training options.

    Raises:
        InputError: whatever is wrong with the tasks, the options or the folder.
    """
    check_options(source, options)
    old = source.model
    where: dict[str, Any] = {"data_dir": options.data_dir, "seed": options.seed, "planted": planted_options(options)}
    joined, names = join_tasks(options.tasks, task, only=options.only, **where)
    tasks = load_tasks(joined, keep_overlap=True, max_train=options.max_train, **where)
    given_data = fingerprint(tasks)
    learned = load_run_tasks(replace(source.options, data_dir=options.data_dir))
    _check_held_out(fingerprint(learned), given_data, options.seed, source)
    answers, again = source.answers, refitted(source, learned)  # what the graph has learned besides, which is seen
    tasks = tasks if answers is None else with_answers(tasks, answers)
    tasks = train_with_valid(tasks, again) if again else tasks
    new = draw_examples({name: tasks[name] for name in names}, transfer.examples, draw=transfer.draw)
    known = _only(tasks, [name for name in tasks if name not in names])
    if not known.are_learned_like(old.tasks):
        raise InputError(
            f"{source.folder}: the data has the tasks {', '.join(known)}, the model {', '.join(old.tasks)}"
        )
    state = process_state(options.device)
    run = Run(options.output or f"{source.folder}-{'-'.join(names)}")
    if options.overwrite:
        run.check_kept([source.folder])
    training = JoinedTraining(old=old, data=new, transfer=transfer, options=options, folder=run.folder)
    if state.is_main_process:
        for line in left_out(_only(tasks, names)):
            verbosity.say(line)
        say_truncated(training.data, verbosity.say)
        say_unknown(training.data, verbosity.say)
    model = training.model
    known_options = asdict(model.options)
    resolved = {name: known_options[name] for name in ("topology", "chars", "pooling") if name in known_options}
    options = changed(training.options, tasks=joined, only=None, keep_overlap=True, **resolved)
    asked = {"source": str(source.folder), "task": task, **asdict(transfer)}
    asked |= {"refitted": again} if again else {}
    _check(run, options, asked, given_data)  # by every process, so that none waits for one that has failed
    with run.begun(options, given_data):
        if state.is_main_process and not (run.folder / "transfer.json").is_file():  # of a finished run it has more
            run.write_json("transfer.json", asked)
        if state.is_main_process and answers is not None:
            run.write_json(ANSWERS, answers)
        accelerator = training.trainer.accelerator
        with trackers_finished(accelerator):
            result = training.train(resume=options.resume)

        predict = partial(_predictions, batch_size=options.texts_at_once, accelerator=accelerator)
        before = predict(old, encode_tasks(known, old.vocabulary, old.options))
        data = encode_tasks(known, model.vocabulary, model.options)
        recorder, own = EdgeRecorder(), EdgeRecorder()  # of all processes, and what this one reads
        after = predict(model, data, own.update)
        of_new = predict(model, training.data, own.update)
        for each in gather_object([own.to("cpu")]):
            recorder.merge(each)
        if state.is_main_process:
            every = {split: {**after[split], **of_new[split]} for split in after}
            both = {**data, **training.data}
            graph = graph_of_test(options, model, recorder)
            incoming = {name: [asdict(edge) for edge in graph.incoming(name)] for name in names}
            forgetting = _before_and_after(data, before, after)
            run.write_json("transfer.json", {**asked, "new": names, "incoming": incoming, "old": forgetting})
            run.write_json(REMARKS, remarks(tasks, both))
            linear = training.linear
            write_run(run, options, model, both, result, every, recorder, linear=linear)  # metrics.json last of all
    return run


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


def check_options(source: Run, options: Options) -> None:
    """Whether the options leave the trained graph and its data what they are.

    Raises:
        InputError: one does not.
    """
    for name, unused in _UNUSED.items():
        if getattr(options, name, unused) != unused:
            raise InputError(f"--{name.replace('_', '-')}: has no meaning for a task that joins a trained graph")
    if options.control == "always":
        raise InputError("--control always: a transfer trains no control; `graphmtl explain RUN` does")
    may_differ = {field.name for group in (RunOptions, TrainingOptions) for field in fields(group)} | {"data_dir"}
    for field in fields(options):
        if field.name in may_differ or field.metadata["trains"]:
            continue
        ours, theirs = getattr(options, field.name), getattr(source.options, field.name, field.default)
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


def _only(tasks: TaskSet, names: Sequence[str]) -> TaskSet:
    return TaskSet(name=tasks.name, data=[tasks[name] for name in names])


def _check(run: Run, options: Options, asked: dict, data: Mapping[str, Any]) -> None:
    """Whether the folder may be written, and what is resumed was asked for alike; changes nothing."""
    path = run.folder / "transfer.json"
    if options.resume and path.is_file():
        started = read_json(path)
        for key, value in asked.items():
            if started.get(key) != value:
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
