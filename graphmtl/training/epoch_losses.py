"""The record of the training losses, which never makes the accelerator wait."""

import math
from collections.abc import Mapping

import torch
from accelerate import Accelerator
from torch import Tensor

from graphmtl.errors import InputError

__all__ = ["EpochLosses", "check_finite"]


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
        self._pending: list[tuple[int, str, int, Tensor, float]] = []
        self._sums: dict[str, float] = {}
        self._examples: dict[str, int] = {}

    def add(self, *, step: int, task: str, examples: int, loss: Tensor, scale: float = 1.0) -> None:
        """Note a batch's mean loss on ``examples`` examples of a task, which is ``scale`` times ``loss``, ()."""
        self._pending.append((step, task, examples, loss.detach(), scale))

    def check(self) -> float:
        """Fetch the losses noted since the last check, and return their mean over the batches.

        Raises:
            InputError: a loss is not finite; names the first such step and its task.
        """
        if not self._pending:
            return math.nan
        losses = torch.stack([loss for *_, loss, _ in self._pending])  # (batches,)
        values = self._accelerator.reduce(losses, reduction="mean").tolist()
        values = [value * scale for value, (*_, scale) in zip(values, self._pending, strict=True)]
        for (step, task, examples, *_), value in zip(self._pending, values, strict=True):
            check_finite(value, task=task, step=step, which="training")
            self._sums[task] = self._sums.get(task, 0.0) + value * examples
            self._examples[task] = self._examples.get(task, 0) + examples
        self._pending.clear()
        return sum(values) / len(values)

    def state_dict(self) -> dict:
        """What :meth:`load_state_dict` needs, of the losses that were fetched."""
        return {"sums": self._sums, "examples": self._examples}

    def load_state_dict(self, state: Mapping[str, dict]) -> None:
        """Go on from what :meth:`state_dict` gave."""
        self._sums, self._examples = dict(state["sums"]), dict(state["examples"])

    def means(self) -> dict[str, float]:
        """Mean loss per example of every task that was trained, over the steps checked so far."""
        return {task: total / self._examples[task] for task, total in sorted(self._sums.items())}
