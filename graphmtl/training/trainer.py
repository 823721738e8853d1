"""The training loop: one corpus a step, every task in one model."""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from accelerate.utils import gather_object, set_seed
from torch import Tensor, nn
from tqdm import tqdm

from graphmtl.config import TrainingOptions
from graphmtl.data.batching import Batch, EncodedTask, made_ahead
from graphmtl.errors import InputError, unknown_name
from graphmtl.generators import generators_kept
from graphmtl.graph.recorder import EdgeRecorder
from graphmtl.models.predictions import ModelOutput
from graphmtl.training.accelerator import make_accelerator
from graphmtl.training.checkpoint import load_checkpoint, save_checkpoint
from graphmtl.training.distillation import Distillation
from graphmtl.training.epoch_losses import EpochLosses, check_finite
from graphmtl.training.evaluation import Predictions, predict_split, score
from graphmtl.training.log import GraphLog, TrainingLog
from graphmtl.training.optimization import WeightAverage, adamw, learning_rate_schedule
from graphmtl.training.sampling import TaskSampler
from graphmtl.training.selection import BestEpochs, GivenEpochs
from graphmtl.verbosity import is_quiet

__all__ = ["Trainer", "TrainingResult"]

_CHECK_EVERY = 50  # steps between two looks at the losses
_PROGRESS = ("epoch", "step", "tokens", "seconds", "train_seconds", "history")


@dataclass(frozen=True, kw_only=True)
class TrainingResult:
    """What a training run came to.

    Attributes:
        best_epoch: epoch of the weights that the model now has; one per task where each task is selected on its own.
        epochs: epochs trained.
        steps: optimiser steps.
        seconds: training and evaluation, those before a resume included.
        tokens_per_second: tokens of training texts, padding not counted, per second of training without evaluation.
        history: what ``history.jsonl`` holds.
    """

    best_epoch: int | dict[str, int]
    epochs: int
    steps: int
    seconds: float
    tokens_per_second: float
    history: list[dict]


class Trainer:
    """Trains a model on all its tasks and leaves it with the weights of its best epoch.

    Under ``torchrun`` or ``accelerate launch`` each step's batch is cut over the processes, so that the result is that
    of one process (but for rounding, and for dropout, which every process draws on its own).

    Args:
        model: ``MultiTaskModel``, or anything with its interface.
        data: the encoded splits of every task of the model.
        options: see :class:`~graphmtl.config.TrainingOptions`.
        folder: the run's folder for ``history.jsonl``, ``checkpoints/`` and TensorBoard's ``tensorboard/``; None
            writes nothing.
        frozen_until: pairs of an epoch and parameters that are not trained up to its end.
        callbacks: each is called with each line of ``history.jsonl``, after the epoch's checkpoint is written.

    Raises:
        InputError: an option has no meaning for these tasks or this machine.
    """

    def __init__(
        self,
        *,
        model: nn.Module,
        data: Mapping[str, EncodedTask],
        options: TrainingOptions,
        folder: Path | str | None = None,
        frozen_until: Sequence[tuple[int, Sequence[nn.Parameter]]] = (),
        callbacks: Sequence[Callable[[dict], None]] = (),
    ) -> None:
        if options.select_by not in ("mean", *data):
            raise unknown_name("select_by", options.select_by, ["mean", *data])
        self.data = dict(data)
        self.corpora = {task.corpus: task.train for task in self.data.values()}
        self.options = options
        self.folder = None if folder is None else Path(folder)
        self.frozen_until = [*model.frozen_until(), *frozen_until]
        self.callbacks = callbacks
        self.accelerator = make_accelerator(options)
        self.model = model.to(self.accelerator.device)
        self._evaluated = self.model

    @generators_kept()
    def train(
        self,
        *,
        resume: bool = False,
        keep_epochs: int | Mapping[str, int] | None = None,
        distillation: Distillation | None = None,
    ) -> TrainingResult:
        """Train to the last epoch, or until no selection group makes progress, and restore the best weights.

        Args:
            resume: go on after the last epoch that ``checkpoints/`` holds, if any; the result is exactly that of an
                uninterrupted run.
            keep_epochs: do not look at the validation split, and keep the weights of this epoch (or these, one per
                selection group: a ``TrainingResult.best_epoch``); nothing is trained after it.
            distillation: teachers to imitate, for an architecture with nodes; its heads are trained too.

        Raises:
            InputError: the loss is not finite (the message names task and step), or a task has no validation example
                to select by.
        """
        if keep_epochs is None:
            self._check_valid()
        self._prepare(keep_epochs, distillation)
        if resume:
            self._load_checkpoint()
        log = TrainingLog(folder=self.folder, accelerator=self.accelerator, history=self.history, options=self.options)
        graphs = GraphLog(folder=self.folder, accelerator=self.accelerator, epochs=self.epoch)
        with self._progress_bar() as bar:
            while self.epoch < self.options.epochs and not self.selection.finished:
                self.epoch += 1
                started = time.perf_counter()
                losses = self._train_epoch(bar)
                self.train_seconds += time.perf_counter() - started
                recorder = EdgeRecorder()
                metrics = {} if keep_epochs is not None else self.evaluate("valid", recorder=recorder)
                self._check_losses(metrics)
                self.seconds += time.perf_counter() - started
                scores = self._scores(metrics) if metrics else {}
                self.selection.update(model=self._evaluated, epoch=self.epoch, scores=scores)
                log.add(self._record(losses, metrics))
                graphs.add(epoch=self.epoch, step=self.step, edges=recorder.edges())
                self._save_checkpoint()
                valid = f"{np.mean([first for first, _ in scores.values()]):.3f}" if scores else "-"
                self._show(bar, epoch=str(self.epoch), valid=valid)
                for callback in self.callbacks:
                    callback(self.history[-1])
        log.close()
        return self._finish()

    def _train_epoch(self, bar: tqdm) -> dict[str, float]:
        """One epoch; returns the mean loss of every task."""
        options, accelerator = self.options, self.accelerator
        frozen = [parameter for last, own in self.frozen_until if self.epoch <= last for parameter in own]
        losses = EpochLosses(accelerator=accelerator)
        self.model.train()
        started, tokens = time.perf_counter(), self.tokens
        for corpus, rows, counts, batch, targets in made_ahead(self._share, self.sampler.epoch(self.epoch)):
            outputs = self._parallel(batch, label_smoothing=options.label_smoothing)
            own = {
                task: outputs[task].loss(count / accelerator.num_processes)  # ()
                for task, count in counts.items()
            }
            accelerator.backward(
                self._labels_weight * sum(outputs[task].task_weight * loss for task, loss in own.items())
                + self._penalty(outputs, batch, len(rows))
                + self._imitation(outputs, batch, targets, len(rows))
            )
            for parameter in frozen:  # not by requires_grad, which must not change under DistributedDataParallel
                parameter.grad = None
            if options.clip > 0:
                accelerator.clip_grad_norm_(self._trained, options.clip)
            self._optimizer.step()
            self._schedule.step()
            self._optimizer.zero_grad(set_to_none=True)  # a task that is absent from a step gets no update at all
            if self._average is not None:
                self._average.update(self.model)
            self.step += 1
            self.tokens += int(self.corpora[corpus].lengths[rows].sum())
            for task, loss in own.items():
                losses.add(step=self.step, task=task, examples=counts[task], loss=loss)
            bar.update()
            if self.step % _CHECK_EVERY == 0:
                speed = (self.tokens - tokens) / (time.perf_counter() - started)
                self._show(bar, loss=f"{losses.check():.3f}", speed=f"{speed:.0f} tokens/s")
        losses.check()
        return losses.means()

    def _penalty(self, outputs: Mapping[str, ModelOutput], batch: Batch, total: int) -> Tensor | float:
        """What the architecture adds to the loss: the mean over the step's ``total`` examples, of all processes."""
        penalties = [(each.penalty * batch.weights).sum() for each in outputs.values() if each.penalty is not None]
        weight = self.model.penalty_weight(self.step + 1, self._steps)
        return weight * sum(penalties) * self.accelerator.num_processes / total

    @property
    def _labels_weight(self) -> float:
        """1, or with teacher annealing the share of the steps that are done."""
        annealing = self._teachers is not None and self._teachers.options.teacher_annealing
        return self.step / max(self._steps - 1, 1) if annealing else 1.0

    def _imitation(
        self, outputs: Mapping[str, ModelOutput], batch: Batch, targets: Mapping[str, Tensor], total: int
    ) -> Tensor | float:
        """What distillation adds to the loss: the mean over the step's ``total`` examples, of all processes."""
        if self._distillation is None or self._teachers is None:
            return 0.0
        options = self._teachers.options
        weight = options.kd_weight * (1 - self._labels_weight if options.teacher_annealing else 1)
        losses = self._distillation({name: output.nodes for name, output in outputs.items()}, targets, batch.lengths)
        return weight * (losses * batch.weights).sum() * self.accelerator.num_processes / total

    def predict_split(self, split: str, *, recorder: EdgeRecorder | None = None) -> dict[str, Predictions]:
        """What is predicted, labels and ``seen`` of every example of a split that has a label, per task.

        Args:
            split: ``train``, ``valid`` or ``test``.
            recorder: counts the edge weights of every example, in the same pass.
        """
        own = EdgeRecorder()
        predictions = predict_split(
            model=self._evaluated,
            data=self.data,
            split=split,
            batch_size=self.options.batch_size,
            accelerator=self.accelerator,
            record=None if recorder is None else own.update,
        )
        if recorder is not None:
            for part in gather_object([own.to("cpu")]):
                recorder.merge(part)
        return predictions

    def evaluate(self, split: str, *, recorder: EdgeRecorder | None = None) -> dict[str, dict[str, float]]:
        """``{task: {METRIC: value, "loss": value}}`` of a split; see :meth:`predict_split`."""
        predictions = self.predict_split(split, recorder=recorder)
        if split == "valid":
            predictions = {name: self._evaluated.choose(name, own) for name, own in predictions.items()}
        return {name: score(self.data[name].task, predictions[name]) for name in self.data}

    def _share(self, step: tuple[str, np.ndarray]) -> tuple[str, np.ndarray, dict[str, int], Batch, dict[str, Tensor]]:
        """This process's part of a step's batch, how many labels the whole batch has of each task, and what its
        teachers say.

        Tasks of which it has none are left out. A process that gets no example gets one that counts for nothing.
        """
        corpus, rows = step
        split = self.corpora[corpus]
        labels = {task: int(own[rows].sum()) for task, own in split.counts.items()}
        counts = {task: count for task, count in labels.items() if count}
        mine = rows[self.accelerator.process_index :: self.accelerator.num_processes]  # (batch,)
        fillers = 0 if len(mine) else 1
        mine = mine if len(mine) else rows[:1]
        device = self.accelerator.device
        batch = split.batch(mine, fillers=fillers, tasks=[*counts]).to(device)
        said = {} if self._teachers is None else self._teachers.targets(corpus, mine)
        return corpus, rows, counts, batch, {name: target.to(device) for name, target in said.items()}

    def _scores(self, metrics: dict[str, dict[str, float]]) -> dict[str, tuple[float, float]]:
        """By what each group is selected: its tasks' mean first metric and, for equal ones, mean negative loss."""
        pairs = {name: (values[self.data[name].task.metrics[0]], -values["loss"]) for name, values in metrics.items()}
        joint = [pairs[name] for name in pairs if self.data[name].task.in_mean] or [*pairs.values()]
        if self.options.select_by != "mean":
            joint = [pairs[self.options.select_by]]
        chosen = {group: [pairs[group]] if group in pairs else joint for group in self.selection.groups}
        return {group: tuple(np.mean(values, axis=0).tolist()) for group, values in chosen.items()}

    def _check_valid(self) -> None:
        for name, task in self.data.items():
            if task.labelled("valid") == 0:
                raise InputError(f"task {name!r} has no validation example to select the best epoch by")

    def _check_losses(self, metrics: Mapping[str, Mapping[str, float]]) -> None:
        """The epoch's last step may have spoilt the weights, which no training loss has seen."""
        for name, values in metrics.items():
            if self.data[name].labelled("valid"):  # without examples it is nan
                check_finite(values["loss"], task=name, step=self.step, which="validation")

    def _prepare(self, keep_epochs: int | Mapping[str, int] | None, distillation: Distillation | None) -> None:
        options = self.options
        set_seed(options.seed, device_specific=True)
        self.epoch = self.step = self.tokens = 0
        self.seconds = self.train_seconds = 0.0
        self.history: list[dict] = []
        self.sampler = TaskSampler(
            lengths={corpus: split.lengths for corpus, split in self.corpora.items()},
            batch_size=options.batch_size,
            sampling=options.sampling,
            temperature=options.temperature,
            epochs=options.epochs,
            seed=options.seed,
        )
        groups = self.model.selection_groups()
        if keep_epochs is None:
            self.selection: BestEpochs | GivenEpochs = BestEpochs(groups=groups, patience=options.patience)
        else:
            self.selection = GivenEpochs(groups=groups, epochs=keep_epochs, last=options.epochs)
        self._average = WeightAverage(model=self.model, decay=options.ema) if options.ema > 0 else None
        self._evaluated = self.model if self._average is None else self._average.model
        optimizer = adamw(self.model, options)
        self._teachers = self._distillation = distillation
        self._trained = [*self.model.parameters()]
        if distillation is not None:
            heads = [*distillation.parameters()]
            optimizer.add_param_group({"params": heads, "lr": options.lr, "weight_decay": 0.0})
            self._trained += heads
            self._distillation = self.accelerator.prepare(distillation)
        self._steps = options.epochs * len(self.sampler)
        schedule = learning_rate_schedule(optimizer, options, steps=self._steps)
        self._parallel, self._optimizer, self._schedule = self.accelerator.prepare(self.model, optimizer, schedule)

    def _record(self, losses: dict[str, float], metrics: dict[str, dict[str, float]]) -> dict:
        return {
            "step": self.step,
            "epoch": self.epoch,
            "losses": losses,
            "metrics": metrics,
            "seconds": self.seconds,
            "tokens_per_second": self.tokens / self.train_seconds,
            "lr": self._schedule.get_last_lr()[0],
        }

    def _finish(self) -> TrainingResult:
        self.selection.restore(self.model)
        self._evaluated = self.model.eval()
        self.accelerator.unwrap_model(self._parallel, keep_fp32_wrapper=False)
        self.accelerator.free_memory()
        return TrainingResult(
            best_epoch=self.selection.best_epoch,
            epochs=self.epoch,
            steps=self.step,
            seconds=self.seconds,
            tokens_per_second=self.tokens / self.train_seconds,
            history=self.history,
        )

    def _save_checkpoint(self) -> None:
        if self.folder is None:
            return
        state = {name: getattr(self, name) for name in _PROGRESS} | {"selection": self.selection.state_dict()}
        if self._average is not None:
            state["average"] = self._average.state_dict()
        folder = self.folder / "checkpoints"
        save_checkpoint(folder=folder, epoch=self.epoch, accelerator=self.accelerator, state=state)

    def _load_checkpoint(self) -> None:
        if self.folder is None:
            return
        state = load_checkpoint(folder=self.folder / "checkpoints", accelerator=self.accelerator)
        if state is None:
            return
        for name in _PROGRESS:
            setattr(self, name, state[name])
        self.selection.load_state_dict(state["selection"])
        if self._average is not None:
            self._average.load_state_dict(state["average"])

    def _progress_bar(self) -> tqdm:
        self._shown: dict[str, str] = {}
        return tqdm(
            total=self._steps,
            initial=self.step,
            unit="step",
            mininterval=0.5 if sys.stderr.isatty() else 10.0,  # seconds; a log file needs few lines
            disable=is_quiet() or not (self.options.progress and self.accelerator.is_main_process),
        )

    def _show(self, bar: tqdm, **values: str) -> None:
        """Put values beside the progress bar, where the last ones of another name stay."""
        self._shown |= values
        bar.set_postfix(self._shown, refresh=False)
