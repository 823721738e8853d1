"""The loss of the labels of every task in a batch."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from graphmtl.training.update_batches import Part

__all__ = ["Labels"]


class Labels:
    r"""What a batch adds to the loss of each task in its update, :math:`\frac{w_k}{N_k} \sum_i \ell_i`.

    The sum is over the texts of the batch, N_k is the number of labels that task k has in all batches of the update,
    and w_k the task's own weight (``weight`` in its task file). Where a batch is cut over P processes, each divides by
    N_k / P: the mean over processes, of losses and of gradients, which is what DDP takes, is that of the whole batch.

    Args:
        processes: P.
    """

    def __init__(self, *, processes: int = 1) -> None:
        self.processes = processes

    def __call__(self, outputs: Mapping[str, Any], part: Part) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Of each task that has labels in the batch its loss, (), with and without its own weight."""
        plain = {name: outputs[name].loss(part.update.labels[name] / self.processes) for name in part.labels}
        weights = {name: outputs[name].task_weight for name in plain}
        return {name: loss if weights[name] == 1 else weights[name] * loss for name, loss in plain.items()}, plain
