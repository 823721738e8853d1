"""What a step minimises, and the record of it that never makes the accelerator wait."""

import math

import torch
from accelerate import Accelerator
from torch import Tensor
from torch.nn import functional as F

from graphmtl.data.batching import Batch
from graphmtl.data.task import Task
from graphmtl.errors import InputError

__all__ = ["EpochLosses", "task_loss"]


def _cross_entropy(logits: Tensor, labels: Tensor, label_smoothing: float) -> Tensor:
    return F.cross_entropy(logits, labels, reduction="none", label_smoothing=label_smoothing)  # (batch,)


_LOSSES = {"text-classification": _cross_entropy}


def task_loss(
    task: Task, logits: Tensor, batch: Batch, *, label_smoothing: float = 0.0, total: float | None = None
) -> Tensor:
    r"""The loss of a batch: :math:`\frac{1}{N} \sum_i w_i \ell(\text{logits}_i, \text{label}_i)`.

    :math:`\ell` is the cross-entropy; with label smoothing :math:`\epsilon` the target is :math:`1 - \epsilon` on the
    label plus :math:`\epsilon / C` on each of the C labels (Szegedy et al., 2016, section 7).

    Args:
        task: the task of the batch.
        logits: (batch, classes), float.
        batch: ``labels`` (batch,) and ``weights`` (batch,), 0 for a filler example.
        label_smoothing: :math:`\epsilon`.
        total: N; by default the sum of the weights. Where a batch is cut over P processes, every process gives
            N = examples of the whole batch / P: the mean over processes (of losses and of gradients, which is what DDP
            takes) is then that of the whole batch.

    Returns:
        The loss, ().
    """
    if logits.dtype in (torch.float16, torch.bfloat16):
        logits = logits.float()  # (batch, classes)
    losses = _LOSSES[task.kind](logits, batch.labels, label_smoothing)  # type: ignore[arg-type]  # (batch,)
    divisor = batch.weights.sum() if total is None else total
    return (losses * batch.weights).sum() / divisor  # ()


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
            if not math.isfinite(value):
                raise InputError(
                    f"task {task!r}, step {step}: the training loss is {value}, not a finite number;"
                    " try a lower --lr, a lower --clip, or --precision no"
                )
            self._sums[task] = self._sums.get(task, 0.0) + value * examples
            self._examples[task] = self._examples.get(task, 0) + examples
        self._pending.clear()
        return sum(values) / len(values)

    def means(self) -> dict[str, float]:
        """Mean loss per example of every task that was trained, over the steps checked so far."""
        return {task: total / self._examples[task] for task, total in sorted(self._sums.items())}
