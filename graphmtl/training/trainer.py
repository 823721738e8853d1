"""The training loop: every task in one model, an update after one batch of one corpus or after several."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import torch
from accelerate.utils import set_seed
from torch import nn

from graphmtl.config import TrainingOptions
from graphmtl.data.batching import EncodedTask
from graphmtl.errors import InputError
from graphmtl.files import read_json_lines
from graphmtl.generators import generators_kept
from graphmtl.graph.recorder import EdgeRecorder
from graphmtl.interruption import Interrupted, signals_wait
from graphmtl.training.accelerator import make_accelerator, prepared
from graphmtl.training.budget import Budget, budgets, of_corpora
from graphmtl.training.checkpoint import Checkpoints
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
_LOOK_SECONDS = 2.0  # between two looks of several processes at whether one is to end


class Trainer:
    """Trains a model on all its tasks and leaves it with the weights of its best epoch.

    Under ``torchrun`` or ``accelerate launch`` each batch is cut over the processes, so that the result is that of one
    process (but for rounding, and for dropout, which every process draws on its own).

    Args:
        model: ``MultiTaskModel``, or anything with its interface.
        data: the encoded splits of every task of the model.
        options: see :class:`~graphmtl.config.TrainingOptions`.
        folder: the run's folder, which is there, for ``history.jsonl``, ``checkpoints/`` and TensorBoard's
            ``tensorboard/``; None writes nothing.
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
        self._together: bool = len(self._groups) == 1
        self.budgets = budgets(self.data, self._groups, options) if given is None else dict(given)  # by group
        check_balancing(options, self.corpora, together=self._together, processes=self.accelerator.num_processes)
        self.model = model.to(self.accelerator.device)
        self._evaluated = self.model
        # the update after which several processes looked for a signal, when that was, and the updates to the next look
        self._looked: tuple[int, float, int]

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
            InputError: the loss is not finite (the message names task and step), a task has no validation example to
                select by, or what is to be gone on with is damaged.
            Interrupted: Ctrl-C or SIGTERM has come; the update was finished, and a checkpoint written.
        """
        if keep_epochs is None:
            self.validation.check_examples()
        self._prepare(keep_epochs, terms)
        if resume:
            self._load_checkpoint()
        progress = self.progress
        where = {"folder": self.folder, "accelerator": self.accelerator}
        log = TrainingLog(**where, history=progress.history, options=self.options)
        graphs = GraphLog(**where, epochs=progress.epoch)
        wanted = self.options.progress and self.accelerator.is_main_process
        bar = ProgressBar(total=self._steps, done=progress.step, wanted=wanted)
        with bar, signals_wait() as self._signals:
            while not self.selection.finished:
                progress.epoch += 1
                started = time.perf_counter()
                losses = self._train_epoch(bar, started)
                progress.train_seconds += time.perf_counter() - started
                recorder = EdgeRecorder()
                metrics = {} if keep_epochs is not None else self.evaluate("valid", recorder=recorder)
                self.validation.check_losses(metrics, step=progress.step)
                progress.seconds += time.perf_counter() - started
                scores = self.validation.scores(metrics, self.selection.groups) if metrics else {}
                self.selection.update(model=self._evaluated, epoch=progress.epoch, scores=scores)
                line = progress.record(losses=losses, metrics=metrics, lr=self._last_rate)
                log.add(line | self.objective.end_epoch(losses))
                log.put("gradient_conflict.json", self.objective.conflict.as_json())
                graphs.add(epoch=progress.epoch, step=progress.step, edges=recorder.edges())
                self._save_checkpoint()
                valid = f"{np.mean([first for first, _ in scores.values()]):.3f}" if scores else "-"
                bar.show(epoch=str(progress.epoch), valid=valid)
                for callback in self.callbacks:
                    callback(progress.history[-1])
                signum = self._asked_to_end(now=True)
                if signum:
                    raise Interrupted(signum, f"ended after epoch {self.epoch}{self._how_to_go_on}")
        log.close()
        return self._finish()

    @property
    def epoch(self) -> int:
        """The epoch that is trained, from 1; the last one where the training has ended."""
        return self.progress.epoch

    def _train_epoch(self, bar: ProgressBar, started: float) -> dict[str, float]:
        """One epoch, or what is left of one that was interrupted; returns the mean loss of every task."""
        frozen = [parameter for last, own in self.frozen_until if self.epoch <= last for parameter in own]
        self.objective.begin_epoch(frozen)
        losses, progress = EpochLosses(accelerator=self.accelerator), self.progress
        if progress.batches:
            losses.load_state_dict(self._losses)
        else:
            progress.begun = progress.step
        settled = [self.data[group].corpus for group in self.selection.settled]
        self.model.train()
        tokens, done = progress.tokens, progress.batches
        progress.batches = 0
        for number, part in enumerate(self._batches.epoch(self.epoch, without=settled, done=done), done + 1):
            self._leave_out(progress.begun + part.update.place - progress.step)
            if not self._together and part.first:  # no task's draws depend on which others are trained still
                set_seed(crc32(f"{self.options.seed} {progress.step}".encode()), device_specific=True)
            with self.objective.alone(part, self._parallel):
                own = self.objective.backward(self._parallel, part, progress.step)
            for task, loss in own.items():
                scale = part.update.labels[task] / part.labels[task]  # from a share of the update's mean to the batch's
                losses.add(step=progress.step + 1, task=task, examples=part.labels[task], loss=loss, scale=scale)
            progress.tokens += part.tokens
            if not part.last:
                continue
            self._update(frozen, part.update.labels)
            bar.step()
            if progress.step % _CHECK_EVERY == 0:
                speed = (progress.tokens - tokens) / (time.perf_counter() - started)
                bar.show(loss=f"{losses.check():.3f}", speed=f"{speed:.0f} tokens/s")
            signum = self._asked_to_end()
            if signum:
                losses.check()
                self._interrupt(signum, losses, batches=number, seconds=time.perf_counter() - started)
        self._leave_out(progress.begun + self._batches.updates_per_epoch - progress.step)
        losses.check()
        return losses.means()

    def _asked_to_end(self, *, now: bool = False) -> int:
        """The signal that has come, 0: none. Several processes, which must all end alike, look every few seconds."""
        if self.accelerator.num_processes == 1:
            return self._signals.wanted
        step, (before, clock, after) = self.progress.step, self._looked
        if step < before + after and not now:
            return 0
        own = torch.tensor([[self._signals.wanted, time.monotonic() - clock]], device=self.accelerator.device)  # (1, 2)
        wanted, seconds = self.accelerator.gather(own).amax(0).tolist()  # of all processes, which thus look again alike
        again = int(max(step - before, 1) * _LOOK_SECONDS / max(seconds, 1e-3))
        self._looked = step, time.monotonic(), min(max(again, 1), _CHECK_EVERY)
        return int(wanted)

    def _interrupt(self, signum: int, losses: EpochLosses, *, batches: int, seconds: float) -> None:
        """Keeps how far an epoch is.

        Raises:
            Interrupted: always.
        """
        progress = self.progress
        progress.seconds, progress.train_seconds = progress.seconds + seconds, progress.train_seconds + seconds
        progress.batches, progress.epoch = batches, progress.epoch - 1
        self._losses = losses.state_dict()
        self._save_checkpoint(update=progress.step)
        where = f"epoch {progress.epoch + 1}, after {progress.step:,} of {self._steps:,} updates"
        raise Interrupted(signum, f"ended in {where}{self._how_to_go_on}")

    @property
    def _how_to_go_on(self) -> str:
        return "" if self.folder is None else "; the same command with --resume (resume=True) goes on from there"

    @property
    def _last_rate(self) -> float:
        """The learning rate of the last update; the schedule tells that of the next one."""
        schedule: Any = self._schedule.scheduler  # accelerate's wraps it
        return schedule.base_lrs[0] * schedule.lr_lambdas[0](max(schedule.last_epoch - 1, 0))

    def _leave_out(self, updates: int) -> None:
        """The clock of the learning rates goes on where tasks that are trained to their end have no more updates."""
        for _ in range(updates):
            self._schedule.step()
            self.progress.step += 1

    def _update(self, frozen: Sequence[nn.Parameter], tasks: Iterable[str]) -> None:
        """The weights take a step, with the labels of these tasks; what is frozen gets none."""
        for parameter in frozen:  # not by requires_grad, which must not change under DistributedDataParallel
            parameter.grad = None
        if self.options.clip > 0:
            self._clip(tasks)
        self._optimizer.step()
        self._schedule.step()
        self._optimizer.zero_grad(set_to_none=True)  # a task that is absent from an update is not changed at all
        if self._average is not None:
            self._average.update(self.model, *(() if self._together else (tasks,)))
        self.progress.step += 1
        self.objective.updated(self._parallel)

    def _clip(self, tasks: Iterable[str]) -> None:
        """Shortens the gradient, of models that are trained beside one another that of each, and of the terms."""
        if self._together:
            self.accelerator.clip_grad_norm_(self._trained, self.options.clip)
            return
        self.accelerator.unscale_gradients()
        for own in (*(self._own[task] for task in tasks), self._of_terms):
            torch.nn.utils.clip_grad_norm_(own, self.options.clip)

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
        self._looked = (0, time.monotonic(), 1)
        groups, last = self._groups, {group: own.epochs for group, own in self.budgets.items()}
        if keep_epochs is None:
            self.selection: BestEpochs | GivenEpochs = BestEpochs(groups=groups, patience=options.patience, last=last)
        else:
            self.selection = GivenEpochs(groups=groups, epochs=keep_epochs, last=last)
        own = None if self._together else groups
        average = WeightAverage(model=self.model, decay=options.ema, groups=own) if options.ema > 0 else None
        self._average: WeightAverage | None = average
        self._evaluated = self.model if self._average is None else self._average.model
        terms = terms_of(self.model, options, given)
        parts = {"options": options, "accelerator": self.accelerator, "terms": terms}
        self._batches = UpdateBatches(
            corpora=self.corpora, budgets=of_corpora(self.data, self.budgets), apart=not self._together, **parts
        )
        steps = {group: epochs * self._batches.updates_per_epoch for group, epochs in last.items()}
        self._steps = max(steps.values())
        self.objective = Objective(model=self.model, tasks=[*self.data], steps=self._steps, **parts)
        apart = groups if len({*steps.values()}) > 1 else {}
        optimizer = adamw(self.model, options, also=self.objective.parameters, apart=apart)
        named = dict(self.model.named_parameters())
        self._own = {group: [named[name] for name in names if name in named] for group, names in groups.items()}
        self._of_terms = [parameter for term in terms for parameter in term.parameters()]
        self._trained = [*self.model.parameters(), *self._of_terms]
        of_groups = [steps.get(own["apart"], self._steps) for own in optimizer.param_groups]
        schedule = learning_rate_schedule(optimizer, options, steps=of_groups)
        self._parallel, self._optimizer, self._schedule = prepared(self.accelerator, self.model, optimizer, schedule)
        self._losses = EpochLosses(accelerator=self.accelerator).state_dict()  # of an epoch that was interrupted

    def _finish(self) -> TrainingResult:
        self.selection.restore(self.model)
        self._evaluated = self.model.eval()
        self.accelerator.unwrap_model(self._parallel, keep_fp32_wrapper=False)
        self.model.__dict__.pop("forward", None)  # of mixed precision: bound to the model, which would never be freed
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

    def _checkpoints(self, folder: Path) -> Checkpoints:
        parts = {"model": self._parallel, "optimizer": self._optimizer, "schedule": self._schedule}
        return Checkpoints(folder / "checkpoints", self.accelerator, parts | self.objective.prepared)

    def _save_checkpoint(self, *, update: int = 0) -> None:
        if self.folder is not None:
            state = {"progress": self.progress.state_dict(), "losses": self._losses}
            state |= {name: part.state_dict() for name, part in self._kept().items()}
            self._checkpoints(self.folder).save(state, epoch=self.epoch, update=update)

    def _load_checkpoint(self) -> None:
        if self.folder is not None:
            self._checkpoints(self.folder).load(self._put_back)

    def _put_back(self, state: dict) -> None:
        self.progress.load_state_dict(state["progress"], history=self._written(state["progress"]["epoch"]))
        self._losses = state["losses"]
        for name, part in self._kept().items():
            part.load_state_dict(state[name])

    def _written(self, epochs: int) -> list[dict]:
        """The lines of ``history.jsonl`` of the epochs that are done.

        Raises:
            InputError: one is missing or damaged.
        """
        assert self.folder is not None
        path = self.folder / "history.jsonl"
        lines = read_json_lines(path, most=epochs) if epochs else []
        if [line.get("epoch") for line in lines] != [*range(1, epochs + 1)]:
            raise InputError(f"{path}: a line for each of the {epochs} epochs that are done is expected")
        return lines
