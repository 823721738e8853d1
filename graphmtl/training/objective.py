"""What an update minimises: the losses of the tasks' labels, weighed against each other, and further terms."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field, fields
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from graphmtl.config import TrainingOptions, picked
from graphmtl.data.batching import EncodedSplit
from graphmtl.errors import InputError, note
from graphmtl.registry import BALANCINGS, OBJECTIVES, find_class
from graphmtl.training.accelerator import prepared
from graphmtl.training.balancing.balancing import Balancing, GradientBalancing
from graphmtl.training.balancing.task_gradients import TaskGradients
from graphmtl.training.conflict import GradientConflict
from graphmtl.training.labels import Labels
from graphmtl.training.term import Term
from graphmtl.training.update_batches import Part

__all__ = ["Objective", "check_balancing", "terms_of"]


def terms_of(model: nn.Module, options: TrainingOptions, given: Sequence[Term] = ()) -> list[Term]:
    """The terms of a run's loss beside that of the labels.

    Args:
        model: what is trained.
        options: of the run.
        given: those that were made before.

    Raises:
        InputError: ``--terms`` names what is no term.
    """
    values = vars(options)
    ours = [find_class("term", name, OBJECTIVES, Term) for name in OBJECTIVES]
    kinds = [kind for kind in ours if all(field.name in values for field in fields(kind.Options))]  # that the run has
    kinds += [find_class("term", name, {}, Term) for name in (options.terms.split(",") if options.terms else ())]
    made = {kind: kind.of_run(model, picked(kind.Options, values)) for kind in kinds}
    for term in given:
        made[type(term)] = term
    return [term for term in made.values() if term is not None]


def make_balancing(options: TrainingOptions, tasks: Sequence[str]) -> Balancing:
    """The method that ``--balancing`` names.

    Raises:
        InputError: there is none, or what it needs is not installed.
    """
    kind = find_class("balancing", options.balancing, BALANCINGS, Balancing)
    return kind(tasks=tasks, options=picked(kind.Options, vars(options)), seed=options.seed)


def check_balancing(
    options: TrainingOptions, corpora: Mapping[str, EncodedSplit], *, together: bool, processes: int
) -> None:
    """Whether tasks can be balanced as the options say.

    Args:
        options: of the run.
        corpora: the training splits.
        together: the tasks share parameters.
        processes: how many train.

    Raises:
        InputError: they cannot, or what is needed for it is not installed.
    """
    tasks = [name for split in corpora.values() for name in split.tasks]
    method, gradients = make_balancing(options, tasks), options.conflict_every > 0
    gradients, compares = gradients or isinstance(method, GradientBalancing), gradients or method.compares
    name = (
        f"--conflict-every {options.conflict_every}" if options.conflict_every else f"--balancing {options.balancing}"
    )
    if processes > 1 and compares:
        raise InputError(
            f"{name}: found {processes} processes, which exchange the gradient of all tasks together; train with one "
            "process, or with --balancing equal, uncertainty, imtl-l, dwa or random and no --conflict-every"
        )
    if compares and len(tasks) == 1:
        note(f"{name} has no effect: {tasks[0]} is the only task")
        return
    if gradients and not together:
        raise InputError(f"{name}: the tasks of this model share nothing; expected an architecture in which they do")
    several = any(len(split.tasks) > 1 for split in corpora.values()) or (len(corpora) > 1 and options.accumulate > 1)
    if compares and not several:
        raise InputError(
            f"{name}: every update has one task ({', '.join(tasks)}), so there is nothing to weigh against each other; "
            "with several tasks give --accumulate N --mix, and the N batches of an update are of different ones"
        )


@dataclass
class _OpenUpdate:
    """What is kept of an update until its last batch.

    Attributes:
        losses: of each task, (), those whose gradient has not been taken yet.
        parts: of each task the share of its labels in the update that they are of.
        rest: what the terms added to them.
        seen: its batches.
        gradients: of each task, where they are looked at one by one.
    """

    losses: dict[str, Tensor] = field(default_factory=dict)
    parts: dict[str, float] = field(default_factory=dict)
    rest: Tensor | float = 0.0
    seen: list[Part] = field(default_factory=list)
    gradients: TaskGradients | None = None

    def hold(self, losses: Mapping[str, Tensor], rest: Tensor | float, part: Part) -> None:
        """What a batch adds."""
        for name, loss in losses.items():
            self.losses[name] = self.losses[name] + loss if name in self.losses else loss
            self.parts[name] = self.parts.get(name, 0.0) + part.labels[name] / part.update.labels[name]
        self.rest = rest if isinstance(self.rest, float) else self.rest + rest
        self.seen.append(part)

    def let_go(self) -> None:
        """The gradient of what is held was taken."""
        self.losses, self.parts, self.rest = {}, {}, 0.0


class Objective:
    r"""What an update minimises:

    .. math:: w_0 B(L_1 \dots L_K) + \sum_t w_t \sum_c q_c \frac{1}{n_c} \sum_i t_i

    where :math:`L_k` is the mean loss of task k's labels (:class:`~graphmtl.training.labels.Labels`), B weighs the
    tasks (:class:`~graphmtl.training.balancing.balancing.Balancing`); :math:`t_i` is what a further term
    (:class:`~graphmtl.training.term.Term`) says of text i, of which corpus c has :math:`n_c` in the update, and
    :math:`q_c` is the share of the update's batches that are of c. :math:`w_t` is the term's weight at this update, and
    :math:`w_0` what the terms leave to the labels.

    The gradient of the N batches of an update is that of one batch of all their texts, where these are of one task.

    Args:
        model: what is trained.
        tasks: their names.
        options: of the training.
        accelerator: does the backward pass, and prepares terms that have parameters.
        terms: see :func:`terms_of`.
        steps: updates of the whole training.
    """

    def __init__(
        self,
        *,
        model: nn.Module,
        tasks: Sequence[str],
        options: TrainingOptions,
        accelerator: Accelerator,
        terms: Sequence[Term],
        steps: int,
    ) -> None:
        self.options, self.accelerator, self.steps = options, accelerator, steps
        self.terms = [term.to(accelerator.device) for term in terms]
        self.labels = Labels(processes=accelerator.num_processes)
        self.balancing = make_balancing(options, tasks).to(accelerator.device)
        self.conflict = GradientConflict(tasks)
        self._all = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self._trained = self._all  # in this epoch
        self._parallel = [prepared(accelerator, term) if [*term.parameters()] else term for term in self.terms]
        self._open = _OpenUpdate()

    @property
    def parameters(self) -> list[list[nn.Parameter]]:
        """The parameters that are trained beside the model's: of every term and of the balancing that has any."""
        own = [[p for p in part.parameters() if p.requires_grad] for part in (*self.terms, self.balancing)]
        return [parameters for parameters in own if parameters]

    @property
    def prepared(self) -> dict[str, nn.Module]:
        """The terms that have parameters, as accelerate has prepared them, by a name of their place."""
        return {f"term-{i}": each for i, each in enumerate(self._parallel) if [*each.parameters()]}

    def begin_epoch(self, frozen: Sequence[nn.Parameter]) -> None:
        """An epoch begins, in which some of the model's parameters are not trained."""
        left_out = {id(parameter) for parameter in frozen}
        self._trained = [parameter for parameter in self._all if id(parameter) not in left_out]

    def alone(self, part: Part, model: nn.Module) -> AbstractContextManager:
        """Until the last batch of an update no process waits for another one's gradient."""
        stack = ExitStack()
        if not part.last and self.accelerator.num_processes > 1:
            for module in (model, *(each for each in self._parallel if [*each.parameters()])):
                stack.enter_context(self.accelerator.no_sync(module))
        return stack

    def backward(self, model: nn.Module, part: Part, step: int) -> dict[str, Tensor]:
        """Adds a batch's gradient to that of its update.

        Args:
            model: as accelerate has prepared it.
            part: the batch.
            step: updates before this one.

        Returns:
            What the batch adds to the mean loss of its tasks' labels in the update, (), by task.
        """
        if part.first:
            self._begin(part, step)
        outputs = self._read(model, part)
        losses, plain = self.labels(outputs, part)
        weight = self._labels_weight(step)
        rest = self._rest(outputs, part, step)
        if self._open.gradients is not None:
            for name, loss in losses.items():
                self._open.gradients.add(name, weight * part.update.shares[name] * loss)
        if isinstance(self.balancing, GradientBalancing):
            self._propagate(rest)
        else:
            self._open.hold(losses, rest, part)
            if part.last or not self.balancing.compares:
                self._propagate(self._weighed(weight, part) + self._open.rest)
                self._open.let_go()
        if part.last:
            self._finish()
        return plain

    def _read(self, model: nn.Module, part: Part) -> Mapping[str, Any]:
        return model(part.batch, label_smoothing=self.options.label_smoothing)

    def _begin(self, part: Part, step: int) -> None:
        self._open = _OpenUpdate()
        self.balancing.begin(step)
        every = self.options.conflict_every
        measured = every > 0 and step % every == 0 and len(part.update.labels) > 1
        if measured or isinstance(self.balancing, GradientBalancing):
            scaler = self.accelerator.scaler
            scale = 1.0 if scaler is None else float(scaler.scale(torch.ones((), device=self.accelerator.device)))
            self._open.gradients = TaskGradients(self._trained, scale=scale)

    def _weighed(self, weight: float, part: Part) -> Tensor:
        loss = self.balancing(self._open.losses, part.update.shares, self._open.parts)
        return loss if weight == 1 else weight * loss

    def _labels_weight(self, step: int) -> float:
        weight = 1.0
        for term in self.terms:
            weight *= term.labels_weight(step, self.steps)
        return weight

    def _rest(self, outputs: Mapping[str, Any], part: Part, step: int) -> Tensor | float:
        """What the terms say of a batch, as a part of their means over the update's texts of all processes."""
        total: Tensor | float = 0.0
        share = part.update.shares_of_texts[part.corpus]
        texts, processes = part.update.texts[part.corpus], self.accelerator.num_processes
        for term, parallel, targets in zip(self.terms, self._parallel, part.targets, strict=True):
            found = parallel(outputs, part.batch, targets)
            if found is not None:
                found = term.weight(step, self.steps) * found * processes / texts
                total = total + (found if share == 1 else share * found)
        return total

    def _propagate(self, loss: Tensor | float) -> None:
        if isinstance(loss, Tensor) and loss.requires_grad:
            self.accelerator.backward(loss)

    def _finish(self) -> None:
        """All batches of the update were seen."""
        for parameter in self.balancing.parameters():  # what it learns is the same in all processes
            if parameter.grad is not None and self.accelerator.num_processes > 1:
                parameter.grad = self.accelerator.reduce(parameter.grad, reduction="mean")
        gradients = self._open.gradients
        if gradients is not None:
            rows = gradients.rows()  # (tasks, elements)
            self.conflict.add(gradients.tasks, rows)
            if isinstance(self.balancing, GradientBalancing):
                gradients.write(self._direction(gradients.tasks, rows) if rows.numel() else rows.sum(0))
            self._open.gradients = None  # as large as the model, once for each task

    def _direction(self, tasks: Sequence[str], rows: Tensor) -> Tensor:
        """Where a gradient is not finite, as it may be with float16, the sum, for the scaler to see."""
        if not bool(rows.isfinite().all()) or not bool(rows.any()):
            return rows.sum(0)
        return self.balancing.combine(rows, [self.balancing.tasks.index(name) for name in tasks])

    @torch.no_grad()
    def updated(self, model: nn.Module) -> None:
        """The weights are those after the update."""
        for term in self.terms:
            term.updated(model)
        if self.balancing.looks_back:
            found: dict[str, Tensor] = {}
            for part in self._open.seen:
                losses, _ = self.labels(self._read(model, part), part)
                for name, loss in losses.items():
                    found[name] = found[name] + loss if name in found else loss
            self.balancing.look_back(found)

    def end_epoch(self, losses: Mapping[str, float]) -> dict[str, float]:
        """What an epoch's line of history has beside its losses: the gradients' mean cosine, where it was measured."""
        self.balancing.end_epoch(losses)
        cosine = self.conflict.end_epoch()
        return {} if cosine is None else {"gradient_cosine": cosine}

    def state_dict(self) -> dict:
        """What :meth:`load_state_dict` needs, beside what accelerate and the optimiser keep."""
        terms = [term.kept() for term in self.terms]
        return {"balancing": self.balancing.state_dict(), "conflict": self.conflict.state_dict(), "terms": terms}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what :meth:`state_dict` gave."""
        self.balancing.load_state_dict(state["balancing"])
        self.conflict.load_state_dict(state["conflict"])
        for term, kept in zip(self.terms, state.get("terms", ()), strict=False):  # of an earlier version there are none
            term.restore(kept)
