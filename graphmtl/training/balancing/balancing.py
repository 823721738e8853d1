"""What a method of balancing is: weights of the tasks' losses, or a direction out of the tasks' gradients."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from graphmtl.config import OptionGroup

__all__ = ["Balancing", "GradientBalancing"]


class Balancing(nn.Module):
    r"""Weighs the losses of the tasks of an update.

    What an update minimises is

    .. math:: \sum_k p_k (m_k L_k + r_k)

    where :math:`L_k` is the mean loss of task k's labels in the update, times the task's own weight; :math:`p_k` is the
    share of the update's batches that are of k's texts; :math:`m_k` is the method's weight of k, 1 if all are equal;
    and :math:`r_k` is what the method adds, so that weights that are learned do not go to 0.

    A method is a class derived from this one that says :meth:`weights`, or from :class:`GradientBalancing`, and a line
    in :data:`graphmtl.registry.BALANCINGS` (or ``--balancing module:Class``). Its parameters are trained with the
    model's at the same learning rate, and its whole ``state_dict`` is part of every checkpoint.

    Args:
        tasks: the names of all tasks; a task is known by its place among them.
        options: those of :attr:`Options`.
        seed: of what is drawn.
    """

    Options: ClassVar[type[OptionGroup]] = OptionGroup
    compares: ClassVar[bool] = False  # the tasks of an update, whose losses are waited for before there are weights
    looks_back: ClassVar[bool] = False  # at the losses of an update once more when the weights are updated

    def __init__(self, *, tasks: Sequence[str], options: OptionGroup | None = None, seed: int = 0) -> None:
        super().__init__()
        self.tasks = list(tasks)
        self.options: Any = self.Options() if options is None else options
        self.seed = seed

    def begin(self, step: int) -> None:
        """An update begins, after ``step`` others."""

    def weights(self, places: list[int], losses: Tensor, shares: Tensor) -> Tensor:
        """m of some tasks, (tasks,), at their ``places``; from L and p, (tasks,), neither of which has a gradient."""
        raise NotImplementedError

    def additions(self, places: list[int]) -> Tensor | float:
        """r of some tasks, (tasks,), at their ``places``."""
        return 0.0

    def forward(self, losses: Mapping[str, Tensor], shares: Mapping[str, float], parts: Mapping[str, float]) -> Tensor:
        """What is minimised, (), by the tasks' names.

        Args:
            losses: L of each task, (), or what some batches of the update add to it.
            shares: p of each task.
            parts: the share of an update's labels of each task that ``losses`` are of: 1 for all batches together.
        """
        places = [self.tasks.index(name) for name in losses]
        stacked = torch.stack([*losses.values()])  # (tasks,)
        share = stacked.new_tensor([shares[name] for name in losses])  # (tasks,)
        part = stacked.new_tensor([parts[name] for name in losses])  # (tasks,)
        weights = self.weights(places, stacked.detach(), share)  # (tasks,)
        return (share * (weights * stacked + part * self.additions(places))).sum()

    def look_back(self, losses: Mapping[str, Tensor]) -> None:
        """The losses of the last update's batches with the weights that it has led to."""

    def end_epoch(self, losses: Mapping[str, float]) -> None:
        """The mean loss of each task that was trained in an epoch."""


class GradientBalancing(Balancing):
    r"""Makes one direction out of the gradients of the tasks of an update.

    Its rows are :math:`g_k = \nabla p_k L_k`, with p and L as in :class:`Balancing`, on the parameters that more than
    one task of the update reaches, by the weights or by the gradient of a graph; the sum of the rows is the gradient of
    equal weights. Every other parameter gets the gradient of the one task that reaches it.
    """

    compares = True

    def combine(self, rows: Tensor, places: list[int]) -> Tensor:
        """The direction, (parameters,), out of the rows (tasks, parameters) of the tasks at ``places``."""
        raise NotImplementedError
