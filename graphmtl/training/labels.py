"""The loss of the labels of every task in a batch."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from graphmtl.data.task import Task
from graphmtl.models.losses import text_losses
from graphmtl.training.update_batches import Part

__all__ = ["Labels"]


class Labels:
    r"""What a batch adds to the loss of each task in its update, :math:`\frac{w_k}{N_k} \sum_i \ell_i`.

    The sum is over the texts of the batch, N_k is the number of labels that task k has in all batches of the update,
    and w_k the task's own weight (``weight`` in its task file). Where a batch is cut over P processes, each divides by
    N_k / P: the mean over processes, of losses and of gradients, which is what DDP takes, is that of the whole batch.

    Args:
        tasks: by name.
        label_smoothing: see :func:`~graphmtl.models.losses.text_losses`.
        processes: P.
    """

    def __init__(self, *, tasks: Mapping[str, Task], label_smoothing: float = 0.0, processes: int = 1) -> None:
        self.tasks = dict(tasks)
        self.label_smoothing = label_smoothing
        self.processes = processes

    def __call__(self, outputs: Mapping[str, Any], part: Part) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Of each task that has labels in the batch its loss, (), with and without its own weight."""
        plain = {name: self._loss(outputs[name], name, part) for name in part.labels}
        weights = {name: self.tasks[name].weight for name in plain}
        return {name: loss if weights[name] == 1 else weights[name] * loss for name, loss in plain.items()}, plain

    def _loss(self, output: Any, name: str, part: Part) -> Tensor:
        batch = part.batch
        losses = text_losses(output, batch.labels[name], label_smoothing=self.label_smoothing)  # (batch,)
        return (losses * batch.weights).sum() / (part.update.labels[name] / self.processes)  # ()
