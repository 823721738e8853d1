"""What a step minimises, and the record of it that never makes the accelerator wait."""

import math
from typing import Protocol

import torch
from accelerate import Accelerator
from torch import Tensor
from torch.nn import functional as F

from graphmtl.data.task import NO_LABEL
from graphmtl.errors import InputError

__all__ = ["EpochLosses", "Output", "check_finite", "task_loss", "text_losses"]


class Output(Protocol):
    """What a model says of a batch: ``logits``, and ``losses`` (batch,) if its head has its own, else None."""

    logits: Tensor
    losses: Tensor | None


def text_losses(output: Output, labels: Tensor, *, label_smoothing: float = 0.0) -> Tensor:
    r"""The loss of every text, (batch,): of tags the sum over its tokens; what has no label has no loss.

    It is the head's own (minus the log-likelihood of a CRF, the squared error of a standardised score), or else the
    cross-entropy; with label smoothing
    :math:`\epsilon` its target is :math:`1 - \epsilon` on the label plus :math:`\epsilon / C` on each of the C labels
    (Szegedy et al., 2016, section 7).

    Args:
        output: ``logits`` (batch, classes), of tags (batch, tokens, classes).
        labels: (batch,), of tags (batch, tokens) int64, -100 where there is none; of scores float, nan likewise.
        label_smoothing: :math:`\epsilon`; plays no part in a head's own losses.
    """
    if output.losses is not None:
        return output.losses
    logits = output.logits
    if logits.dtype in (torch.float16, torch.bfloat16):
        logits = logits.float()
    if labels.ndim == 1:
        return F.cross_entropy(logits, labels, reduction="none", label_smoothing=label_smoothing)  # (batch,)
    losses = F.cross_entropy(logits.mT, labels, reduction="none", label_smoothing=label_smoothing)  # (batch, tokens)
    return losses.sum(1)


def task_loss(
    output: Output, labels: Tensor, weights: Tensor, *, label_smoothing: float = 0.0, total: float | None = None
) -> Tensor:
    r"""The loss of a task in a batch: :math:`\frac{1}{N} \sum_i w_i \ell_i`, a mean over what has a label.

    Args:
        output: see :func:`text_losses`, as for ``labels`` and ``label_smoothing``.
        weights: (batch,), 0 for a filler example.
        total: N; by default the number of labels, each with its text's weight. Where a batch is cut over P processes,
            every process gives N = labels of the whole batch / P: the mean over processes (of losses and of gradients,
            which is what DDP takes) is then that of the whole batch.

    Returns:
        The loss, ().
    """
    losses = text_losses(output, labels, label_smoothing=label_smoothing)  # (batch,)
    if total is None:
        known = ~labels.isnan() if labels.is_floating_point() else labels != NO_LABEL  # as labels
        counts = known.flatten(1).sum(1) if labels.ndim > 1 else known  # (batch,)
        return (losses * weights).sum() / (counts * weights).sum()  # ()
    return (losses * weights).sum() / total  # ()


def check_finite(loss: float, *, task: str, step: int, which: str) -> None:
    """Whether a training or validation loss is a number that can be gone on with.

    Raises:
        InputError: it is not finite.
    """
    if not math.isfinite(loss):
        raise InputError(
            f"task {task!r}, step {step}: the {which} loss is {loss}, not a finite number;"
            " try a lower --lr, a lower --clip, or --precision no"
        )


class EpochLosses:
    """The training losses of an epoch, per task.

    Losses stay on the device until :meth:`check`, which looks at all steps since the last check at once; a step thus
    never waits for the device, and the first step whose loss is not finite is still named exactly.
    """

    def __init__(self, *, accelerator: Accelerator) -> None:
        self._accelerator = accelerator
        self._pending: list[tuple[int, str, int, Tensor]] = []
        self._sums: dict[str, float] = {}
        self._examples: dict[str, int] = {}

    def add(self, *, step: int, task: str, examples: int, loss: Tensor) -> None:
        """Note the loss, (), that a step had on ``examples`` examples of a task."""
        self._pending.append((step, task, examples, loss.detach()))

    def check(self) -> float:
        """Fetch the losses noted since the last check, and return their mean over the steps.

        Raises:
            InputError: a loss is not finite; names the first such step and its task.
        """
        if not self._pending:
            return math.nan
        losses = torch.stack([loss for _, _, _, loss in self._pending])  # (steps,)
        values = self._accelerator.reduce(losses, reduction="mean").tolist()
        for (step, task, examples, _), value in zip(self._pending, values, strict=True):
            check_finite(value, task=task, step=step, which="training")
            self._sums[task] = self._sums.get(task, 0.0) + value * examples
            self._examples[task] = self._examples.get(task, 0) + examples
        self._pending.clear()
        return sum(values) / len(values)

    def means(self) -> dict[str, float]:
        """Mean loss per example of every task that was trained, over the steps checked so far."""
        return {task: total / self._examples[task] for task, total in sorted(self._sums.items())}
