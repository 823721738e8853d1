"""The training loop: every task in one model, an update after one batch of one corpus or after several."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from accelerate.utils import set_seed
from torch import nn

from graphmtl.config import TrainingOptions
from graphmtl.data.batching import EncodedTask
from graphmtl.generators import generators_kept
from graphmtl.graph.recorder import EdgeRecorder
from graphmtl.training.accelerator import make_accelerator
from graphmtl.training.budget import Budget, budgets, of_corpora
from graphmtl.training.checkpoint import load_checkpoint, save_checkpoint
from graphmtl.training.epoch_losses import EpochLosses
from graphmtl.training.evaluation import Predictions
from graphmtl.training.log import GraphLog, TrainingLog
from graphmtl.training.objective import Objective, check_balancing, terms_of
from graphmtl.training.optimization import WeightAverage, adamw, learning_rate_schedule
from graphmtl.training.progress import Progress
from graphmtl.training.progress_bar import ProgressBar
from graphmtl.training.selection import BestEpochs, GivenEpochs
from graphmtl.training.term import Term
from graphmtl.training.training_result import TrainingResult
from graphmtl.training.update_batches import UpdateBatches
from graphmtl.training.validation import Validation

__all__ = ["Trainer"]

_CHECK_EVERY = 50  # steps between two looks at the losses


class Trainer:
    """Trains a model on all its tasks and leaves it with the weights of its best epoch.

    Under ``torchrun`` or ``accelerate launch`` each batch is cut over the processes, so that the result is that of one
    process (but for rounding, and for dropout, which every process draws on its own).

    Args:
        model: ``MultiTaskModel``, or anything with its interface.
        data: the encoded splits of every task of the model.
        options: see :class:`~graphmtl.config.TrainingOptions`.
        folder: the run's folder for ``history.jsonl``, ``checkpoints/`` and TensorBoard's ``tensorboard/``; None
            writes nothing.
        frozen_until: pairs of an epoch and parameters that are not trained up to its end.
        callbacks: each is called with each line of ``history.jsonl``, after the epoch's checkpoint is written.
        given: the budgets of an earlier training of the same tasks (``TrainingResult.budgets``), which hold though the
            number of texts is another one.

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
        given: Mapping[str, Budget] | None = None,
    ) -> None:
        self.data = dict(data)
        self.corpora = {task.corpus: task.train for task in self.data.values()}
        self.options = options
        self.folder = None if folder is None else Path(folder)
        self.frozen_until = [*model.frozen_until(), *frozen_until]
        self.callbacks = callbacks
        self.accelerator = make_accelerator(options)
        self.validation = Validation(
            data=data, accelerator=self.accelerator, batch_size=options.texts_at_once, select_by=options.select_by
        )
        self._groups = model.selection_groups()
        together = len(self._groups) == 1
        self.budgets = budgets(self.data, self._groups, options) if given is None else dict(given)  # by group
        check_balancing(options, self.corpora, together=together, processes=self.accelerator.num_processes)
        self.model = model.to(self.accelerator.device)
        self._evaluated = self.model

    @generators_kept()
    def train(
        self,
        *,
        resume: bool = False,
        keep_epochs: int | Mapping[str, int] | None = None,
        terms: Sequence[Term] = (),
    ) -> TrainingResult:
        """Train to the last epoch, or until no selection group makes progress, and restore the best weights.

        Args:
            resume: go on after the last epoch that ``checkpoints/`` holds, if any; the result is exactly that of an
                uninterrupted run.
            keep_epochs: do not look at the validation split, and keep the weights of this epoch (or these, one per
                selection group: a ``TrainingResult.best_epoch``); nothing is trained after it.
            terms: what is minimised beside what the options say; their parameters are trained too.

        Raises:
            InputError: the loss is not finite (the message names task and step), or a task has no validation example
                to select by.
        """
        if keep_epochs is None:
            self.validation.check_examples()
        self._prepare(keep_epochs, terms)
        if resume and self.folder is not None:
            self._load_checkpoint(self.folder / "checkpoints")
        progress = self.progress
        where = {"folder": self.folder, "accelerator": self.accelerator}
        log = TrainingLog(**where, history=progress.history, options=self.options)
        graphs = GraphLog(**where, epochs=progress.epoch)
        wanted = self.options.progress and self.accelerator.is_main_process
        with ProgressBar(total=self._steps, done=progress.step, wanted=wanted) as bar:
            while not self.selection.finished:
                progress.epoch += 1
                started = time.perf_counter()
                losses = self._train_epoch(bar)
                progress.train_seconds += time.perf_counter() - started
                recorder = EdgeRecorder()
                metrics = {} if keep_epochs is not None else self.evaluate("valid", recorder=recorder)
                self.validation.check_losses(metrics, step=progress.step)
                progress.seconds += time.perf_counter() - started
                scores = self.validation.scores(metrics, self.selection.groups) if metrics else {}
                self.selection.update(model=self._evaluated, epoch=progress.epoch, scores=scores)
                line = progress.record(losses=losses, metrics=metrics, lr=self._schedule.get_last_lr()[0])
                log.add(line | self.objective.end_epoch(losses))
                log.put("gradient_conflict.json", self.objective.conflict.as_json())
                graphs.add(epoch=progress.epoch, step=progress.step, edges=recorder.edges())
                self._save_checkpoint()
                valid = f"{np.mean([first for first, _ in scores.values()]):.3f}" if scores else "-"
                bar.show(epoch=str(progress.epoch), valid=valid)
                for callback in self.callbacks:
                    callback(progress.history[-1])
        log.close()
        return self._finish()

    @property
    def epoch(self) -> int:
        """The epoch that is trained, from 1; the last one where the training has ended."""
        return self.progress.epoch

    def _train_epoch(self, bar: ProgressBar) -> dict[str, float]:
        """One epoch; returns the mean loss of every task."""
        frozen = [parameter for last, own in self.frozen_until if self.epoch <= last for parameter in own]
        self.objective.begin_epoch(frozen)
        losses, progress = EpochLosses(accelerator=self.accelerator), self.progress
        before, settled = progress.step, [self.data[group].corpus for group in self.selection.settled]
        self.model.train()
        started, tokens = time.perf_counter(), progress.tokens
        for part in self._batches.epoch(self.epoch, without=settled):
            self._leave_out(before + part.update.place - progress.step)
            if len(self._groups) > 1 and part.first:  # no task's draws depend on which others are trained still
                set_seed(crc32(f"{self.options.seed} {progress.step}".encode()), device_specific=True)
            with self.objective.alone(part, self._parallel):
                own = self.objective.backward(self._parallel, part, progress.step)
            for task, loss in own.items():
                scale = part.update.labels[task] / part.labels[task]  # from a share of the update's mean to the batch's
                losses.add(step=progress.step + 1, task=task, examples=part.labels[task], loss=loss, scale=scale)
            progress.tokens += part.tokens
            if not part.last:
                continue
            self._update(frozen)
            bar.step()
            if progress.step % _CHECK_EVERY == 0:
                speed = (progress.tokens - tokens) / (time.perf_counter() - started)
                bar.show(loss=f"{losses.check():.3f}", speed=f"{speed:.0f} tokens/s")
        self._leave_out(before + self._batches.updates_per_epoch - progress.step)
        losses.check()
        return losses.means()

    def _leave_out(self, updates: int) -> None:
        """The clock of the learning rates goes on where tasks that are trained to their end have no more updates."""
        for _ in range(updates):
            self._schedule.step()
            self.progress.step += 1

    def _update(self, frozen: Sequence[nn.Parameter]) -> None:
        """The weights take a step; what is frozen gets none."""
        for parameter in frozen:  # not by requires_grad, which must not change under DistributedDataParallel
            parameter.grad = None
        if self.options.clip > 0:
            self.accelerator.clip_grad_norm_(self._trained, self.options.clip)
        self._optimizer.step()
        self._schedule.step()
        self._optimizer.zero_grad(set_to_none=True)  # a task that is absent from an update is not changed at all
        if self._average is not None:
            self._average.update(self.model)
        self.progress.step += 1
        self.objective.updated(self._parallel)

    def predict_split(self, split: str, *, recorder: EdgeRecorder | None = None) -> dict[str, Predictions]:
        """See :meth:`~graphmtl.training.validation.Validation.predict_split`."""
        return self.validation.predict_split(self._evaluated, split, recorder=recorder)

    def evaluate(self, split: str, *, recorder: EdgeRecorder | None = None) -> dict[str, dict[str, float]]:
        """``{task: {METRIC: value, "loss": value}}`` of a split."""
        return self.validation.evaluate(self._evaluated, split, recorder=recorder)

    def _prepare(self, keep_epochs: int | Mapping[str, int] | None, given: Sequence[Term]) -> None:
        options = self.options
        set_seed(options.seed, device_specific=True)
        self.progress = Progress()
        groups, last = self._groups, {group: own.epochs for group, own in self.budgets.items()}
        if keep_epochs is None:
            self.selection: BestEpochs | GivenEpochs = BestEpochs(groups=groups, patience=options.patience, last=last)
        else:
            self.selection = GivenEpochs(groups=groups, epochs=keep_epochs, last=last)
        self._average = WeightAverage(model=self.model, decay=options.ema) if options.ema > 0 else None
        self._evaluated = self.model if self._average is None else self._average.model
        terms = terms_of(self.model, options, given)
        parts = {"options": options, "accelerator": self.accelerator, "terms": terms}
        self._batches = UpdateBatches(corpora=self.corpora, budgets=of_corpora(self.data, self.budgets), **parts)
        steps = {group: epochs * self._batches.updates_per_epoch for group, epochs in last.items()}
        self._steps = max(steps.values())
        self.objective = Objective(model=self.model, tasks=[*self.data], steps=self._steps, **parts)
        apart = groups if len({*steps.values()}) > 1 else {}
        optimizer = adamw(self.model, options, also=self.objective.parameters, apart=apart)
        self._trained = [*self.model.parameters(), *(p for term in terms for p in term.parameters())]
        of_groups = [steps.get(own["apart"], self._steps) for own in optimizer.param_groups]
        schedule = learning_rate_schedule(optimizer, options, steps=of_groups)
        self._parallel, self._optimizer, self._schedule = self.accelerator.prepare(self.model, optimizer, schedule)

    def _finish(self) -> TrainingResult:
        self.selection.restore(self.model)
        self._evaluated = self.model.eval()
        self.accelerator.unwrap_model(self._parallel, keep_fp32_wrapper=False)
        self.accelerator.free_memory()
        return TrainingResult(
            budgets=self.budgets,
            cut_short=self.selection.cut_short,
            best_epoch=self.selection.best_epoch,
            epochs=self.epoch,
            steps=self.progress.step,
            seconds=self.progress.seconds,
            tokens_per_second=self.progress.tokens_per_second,
            history=self.progress.history,
        )

    def _kept(self) -> dict[str, Any]:
        """What a checkpoint holds beside what accelerate saves."""
        kept = {"selection": self.selection, "objective": self.objective, "average": self._average}
        return {name: part for name, part in kept.items() if part is not None}

    def _save_checkpoint(self) -> None:
        if self.folder is not None:
            state = self.progress.state_dict() | {name: part.state_dict() for name, part in self._kept().items()}
            folder = self.folder / "checkpoints"
            save_checkpoint(folder=folder, epoch=self.epoch, accelerator=self.accelerator, state=state)

    def _load_checkpoint(self, folder: Path) -> None:
        state = load_checkpoint(folder=folder, accelerator=self.accelerator)
        if state is not None:
            self.progress.load_state_dict(state)
            for name in self._kept().keys() & state.keys():  # of an earlier version there is less
                self._kept()[name].load_state_dict(state[name])
