"""Leave one out: every target in turn joins a graph of all other tasks, with more and more labelled examples.

The folder of such an experiment:

- ``leave_one_out.json``: what was asked for; a command that goes on must ask for the same.
- ``data.json``: a fingerprint of the data, which must be the same then too.
- ``sources/ARCH-without-TARGET/``: the trained graphs, ordinary runs.
- ``cells/TARGET-EXAMPLES-DRAW.json``: the scores of all arms on the same examples; what is there is not done again.

An experiment may thus be stopped and started again at any time, and several processes with different targets may share
its folder. The arms: the architecture, and ``shared``, each trained on the other tasks, which the target then joins;
and ``single``, which begins anew with the same vectors, vocabulary, examples, steps and seeds, at the learning rate of
the sources. Source examples whose
text stands in the target's validation or test split are dropped before the source graph is trained.
"""

import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from accelerate.utils import set_seed

from graphmtl.config import ArchitectureOptions, Options, part
from graphmtl.data.few_examples import NO_SELECTION, draw_examples
from graphmtl.data.fingerprint import check_data, fingerprint
from graphmtl.data.subwords import SubwordVocabulary
from graphmtl.data.task import Task, TaskData, TaskSet
from graphmtl.data.vectors import Vectors, read_vectors
from graphmtl.errors import InputError, note, shown, unknown_name
from graphmtl.files import read_json, write_whole
from graphmtl.generators import generators_kept
from graphmtl.models.model import MultiTaskModel
from graphmtl.models.model_options import changed_model_options
from graphmtl.models.word_encoder import WordEncoderOptions
from graphmtl.options import changed
from graphmtl.training.accelerator import plain_accelerator
from graphmtl.training.building import learn_from_labels
from graphmtl.training.evaluation import Predictions, score
from graphmtl.training.experiment import train_run
from graphmtl.training.joining import UNUSED, JoinedTraining, TransferOptions
from graphmtl.training.run import Run
from graphmtl.training.run_data import load_run_tasks
from graphmtl.training.trainer import Trainer
from graphmtl.training.wide import fit_wide_parts
from graphmtl.training.wide_shares import choose_shares
from graphmtl.training.zero_shot import answering_tasks, task_weights, zero_shot
from graphmtl.verbosity import say

__all__ = ["Cell", "LeaveOneOut", "read_cells"]

SINGLE = "single"
_FIELDS: dict[str, Any] = {"target": str, "examples": int | None, "draw": int, "n_train": int, "n_valid": int}
_FIELDS |= {"metric": str, "arms": dict}  # of a cell


@dataclass(frozen=True, kw_only=True)
class Cell:
    """The scores of all arms on the same examples of a target.

    Attributes:
        target: the task.
        examples: how many examples, validation included; None: all of them.
        draw: which examples; it is also added to the seed of the fine-tuning.
        n_train: examples that were trained on.
        n_valid: examples that the epoch was selected by.
        metric: the task's first metric.
        arms: ``{arm: {"test", "test_dedup", "seconds"}}``.
    """

    target: str
    examples: int | None
    draw: int
    n_train: int
    n_valid: int
    metric: str
    arms: dict[str, dict[str, float | None]]


def read_cells(folder: Path) -> list[Cell]:
    """The finished cells of an experiment's folder.

    Raises:
        InputError: a file holds something else.
    """
    return [_read_cell(path) for path in sorted((folder / "cells").glob("*.json"))]


def _read_cell(path: Path) -> Cell:
    try:
        cell = Cell(**read_json(path))
        for name, kinds in _FIELDS.items():
            if not isinstance(getattr(cell, name), kinds):
                raise TypeError(f"{name}: found {shown(getattr(cell, name))}")
        for arm, scores in cell.arms.items():
            if not isinstance(scores, dict) or not {"test", "test_dedup"} <= {*scores}:
                raise TypeError(f"{arm}: found {shown(scores)}")
            if not all(isinstance(score, float | int | None) for score in scores.values()):
                raise TypeError(f"{arm}: found {shown(scores)}")
        return cell
    except TypeError as error:
        raise InputError(
            f"{path}: no cell of a leave-one-out experiment ({error}); remove it, and it is done again"
        ) from None


class LeaveOneOut:
    """The experiment.

    Args:
        folder: where it is.
        options: of the source graphs; ``arch`` is the architecture that is compared with ``shared`` and ``single``.
        transfer: how a target joins, but for the examples; ``single`` takes the steps from it.
        target_options: what of the options differs when a target is trained: epochs and batch_size in every arm, lr
            where it joins a graph.

    Raises:
        InputError: the folder holds something else, or the architecture has nothing to transfer.
    """

    def __init__(self, *, folder: Path, options: Options, transfer: TransferOptions, target_options: Mapping):
        if options.arch == SINGLE:
            raise InputError("--arch single has nothing to transfer; it is an arm of every leave-one-out experiment")
        self.tasks: TaskSet = load_run_tasks(options)
        if len(self.tasks) < 2:
            raise InputError(f"--leave-one-out: found {len(self.tasks)} task in --tasks, expected 2 or more")
        self.folder, self.options, self.transfer = folder, options, transfer
        own = {name: value for name, value in UNUSED.items() if hasattr(options, name)}  # as in a transfer
        given = {"patience": 0, "select_by": "mean", "output": None, "resume": False, "overwrite": False}
        self.fine_tuning = replace(changed(options, **own), **given | target_options)
        ours = asdict(replace(options, output=None, resume=False, overwrite=False, progress=False))
        how = {key: value for key, value in asdict(transfer).items() if key not in ("examples", "draw")}
        self._begin({"options": ours, "transfer": how, "target": dict(target_options)})

    def _begin(self, asked: dict) -> None:
        path, data = self.folder / "leave_one_out.json", fingerprint(self.tasks)
        if not path.is_file():
            if self.folder.exists() and (not self.folder.is_dir() or any(self.folder.iterdir())):
                raise InputError(f"{self.folder} exists and is no leave-one-out experiment (no {path.name})")
            (self.folder / "cells").mkdir(parents=True, exist_ok=True)
            _write(self.folder / "data.json", data)
            _write(path, asked)
        found = read_json(path)
        for group, values in asked.items():
            if not isinstance(found.get(group), dict) or not values.keys() <= found[group].keys():
                raise InputError(f"{path}: no leave-one-out experiment of this version of graphmtl ({group})")
            for key, value in values.items():
                if found[group][key] != value:
                    raise InputError(
                        f"{path}: {key} is {shown(found[group][key])}, not {shown(value)}; an experiment goes on with "
                        "the options it was started with, or under another --output"
                    )
        otherwise = "an experiment goes on with the data it was started with, or under another --output"
        check_data(self.folder / "data.json", data, tasks=self.options.tasks, in_order=True, otherwise=otherwise)

    def about(self) -> str:
        """What all arms were trained with, for the table."""
        options, target, transfer = self.options, self.fine_tuning, self.transfer
        words = options.embeddings if isinstance(options, WordEncoderOptions) else None
        vectors = f", vectors {Path(words).name}" if words else ""
        return (
            f"{options.arch} and shared on the other tasks of {options.tasks}: seed {options.seed}, --epochs "
            f"{options.epochs}, --batch-size {options.batch_size}, learning rate {options.lr}, which is that of single "
            f"too, hidden {part(options, ArchitectureOptions).hidden}{vectors}. "
            f"The target, in every arm: --epochs {target.epochs}, --batch-size {target.batch_size} and at least "
            f"{transfer.steps} steps, {target.schedule} schedule; where it joins: learning rate {target.lr:.4g}, "
            f"--freeze {transfer.freeze}, --unfreeze-after {transfer.unfreeze_after}, --start {transfer.start}. Of n "
            f"examples a fifth selects the epoch; up to {NO_SELECTION} all are trained on, and the last epoch is kept."
        )

    @property
    def architectures(self) -> list[str]:
        """The architectures that are trained on the other tasks."""
        return list(dict.fromkeys([self.options.arch, "shared"]))

    @cached_property
    def vectors(self) -> Vectors | None:
        """The pre-trained vectors of all arms."""
        words = self.options.embeddings if isinstance(self.options, WordEncoderOptions) else None
        return read_vectors(words) if words else None

    def run(self, targets: Sequence[str], examples: Sequence[int | None], draws: int) -> Iterator[Cell]:
        """Does what is not done yet, and gives every cell; of 0 examples there is one draw.

        Raises:
            InputError: there is no such target, or it has not as many examples.
        """
        for target in targets:
            if target not in self.tasks:
                raise unknown_name("target", target, self.tasks)
        for target in targets:
            wanted = [(number, draw) for draw in range(draws) for number in examples if number != 0 or draw == 0]
            if all(self._cell_path(target, *each).is_file() for each in wanted):
                sources = {}
            else:
                sources = {arch: self.source(arch, target) for arch in self.architectures}
            for number, draw in wanted:
                path = self._cell_path(target, number, draw)
                if not path.is_file():
                    cell = (
                        self._zero_shot(target, sources) if number == 0 else self._cell(target, number, draw, sources)
                    )
                    _write(path, asdict(cell))
                yield _read_cell(path)

    def _cell_path(self, target: str, examples: int | None, draw: int) -> Path:
        return self.folder / "cells" / f"{target}-{'all' if examples is None else examples}-{draw}.json"

    def source(self, arch: str, target: str) -> MultiTaskModel:
        """The graph of all tasks but the target, which is trained if it is not there."""
        run = Run(self.folder / "sources" / f"{arch.rpartition(':')[2]}-without-{target}")
        if not (run.folder / "metrics.json").is_file():
            others = [name for name in self.tasks if name != target]
            tasks = TaskSet(name=run.folder.name, data=[self.tasks[name] for name in others])
            say(f"{run.folder}: {arch} on {len(others)} tasks", flush=True)
            options = changed(self.options, arch=arch, **_sources(self.options))
            train_run(tasks, replace(options, output=str(run.folder), resume=run.folder.exists()))
        return run.model

    def _cell(self, target: str, examples: int | None, draw: int, sources: Mapping[str, MultiTaskModel]) -> Cell:
        if examples == 0:
            return self._zero_shot(target, sources)
        data = draw_examples({target: self.tasks[target]}, examples, draw=draw)
        options = replace(self.fine_tuning, seed=self.options.seed + draw)
        transfer = replace(self.transfer, examples=examples, draw=draw)
        arms, started = {}, time.perf_counter()

        def tested(trainer: Trainer) -> dict:
            nonlocal started
            scores = _test(self.tasks[target].task, trainer.predict_split("test")[target])
            seconds, started = time.perf_counter() - started, time.perf_counter()
            return {**scores, "seconds": round(seconds, 2)}

        for arch, old in sources.items():
            joined = JoinedTraining(old=old, data=data, transfer=transfer, options=options)
            joined.train()
            arms[arch] = tested(joined.trainer)
        arms[SINGLE] = tested(self._alone(joined, data))
        own = joined.data[target]
        sizes = {"n_train": own.labelled("train"), "n_valid": own.labelled("valid")}
        return Cell(target=target, examples=examples, draw=draw, **sizes, metric=own.task.metrics[0], arms=arms)

    @generators_kept()
    def _alone(self, joined: JoinedTraining, data: Mapping[str, TaskData]) -> Trainer:
        """``single`` on the examples that the target joined with, trained."""
        set_seed(joined.options.seed)
        model = MultiTaskModel(
            tasks=[own.task for own in joined.data.values()],
            vocabulary=joined.model.vocabulary,  # all sources have read the same texts, so that it is that of all
            options=changed_model_options(joined.model.options, arch=SINGLE),
        )
        learn_from_labels(model, data)
        if isinstance(model.vocabulary, SubwordVocabulary):
            model.load_encoder()
        elif self.vectors is not None:
            model.load_vectors(self.vectors)
        fit_wide_parts(model, joined.data, seed=joined.options.seed)
        options = replace(joined.options, lr=self.options.lr)  # from scratch, as the sources were trained
        trainer = Trainer(model=model, data=joined.data, options=options)
        trainer.train(keep_epochs=joined.keep_epochs)
        choose_shares(model, partial(trainer.predict_split, "valid"), joined.data)
        return trainer

    def _zero_shot(self, target: str, sources: Mapping[str, MultiTaskModel]) -> Cell:
        """The old tasks answer: their mean, and their mixture by which task a text looks like."""
        data, arms = self.tasks[target], {}
        accelerator = plain_accelerator(self.options.device)
        names = answering_tasks(next(iter(sources.values())), data.task)
        if names:
            count = len(data.test)
            weights = {"mean": np.full((count, len(names)), 1 / len(names))}
            weights["mixture"] = task_weights({name: self.tasks[name] for name in names}, data.test)
            for arch, model in sources.items():
                for how, own in weights.items():
                    about = {"model": model, "names": names, "target": data, "accelerator": accelerator}
                    arms[f"{arch} {how}"] = _test(data.task, zero_shot(**about, weights=own))
        return Cell(target=target, examples=0, draw=0, n_train=0, n_valid=0, metric=data.task.metrics[0], arms=arms)


def _sources(options: Options) -> dict[str, Any]:
    """What a source graph leaves out, which is said: texts of the target could be learned by it."""
    if options.self_training is not None:
        note("--self-training is left out where a task is left out, which that run may have learned")
    if options.refit_on_valid:
        note("--refit-on-valid is left out where a task is left out: its test texts may stand in a validation split")
    return {"self_training": None, "refit_on_valid": False}


def _test(task: Task, predictions: Predictions) -> dict[str, float | None]:
    """The first metric on the test split, whole and without seen texts."""
    scores = {"test": score(task, predictions), "test_dedup": score(task, predictions.unseen())}
    values = {split: own[task.metrics[0]] for split, own in scores.items()}
    return {split: None if math.isnan(value) else value for split, value in values.items()}


def _write(path: Path, content: Mapping) -> None:
    write_whole(path, json.dumps(content, indent=2, allow_nan=False) + "\n")
