"""Weights by how fast each task's loss falls."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from graphmtl.config import OptionGroup, option
from graphmtl.training.balancing.balancing import Balancing

__all__ = ["DWA", "DWAOptions"]


@dataclass(frozen=True, kw_only=True)
class DWAOptions(OptionGroup):
    """Of ``--balancing dwa``."""

    dwa_temperature: float = option(2.0, "temperature of dwa; the higher, the more alike weights are", low=0.01)


class DWA(Balancing):
    r"""Dynamic weight average (Liu, Johns and Davison, CVPR 2019, section 3.3).

    .. math:: m_k = K \, \mathrm{softmax}_k(w_k / T), \quad w_k = \bar L_k(e - 1) / \bar L_k(e - 2)

    where :math:`\bar L_k(e)` is the mean loss of task k in epoch e, K the number of tasks and T the temperature. A task
    that was not in two epochs has :math:`w_k = 1`, so that all weights are 1 in the first two.
    """

    Options = DWAOptions
    last: Tensor
    before: Tensor

    def __init__(self, *, tasks: Sequence[str], options: OptionGroup | None = None, seed: int = 0) -> None:
        super().__init__(tasks=tasks, options=options, seed=seed)
        for name in ("last", "before"):  # mean losses, (tasks,)
            self.register_buffer(name, torch.full((len(self.tasks),), math.nan))

    def weights(self, places: list[int], losses: Tensor, shares: Tensor) -> Tensor:
        rates = (self.last / self.before).nan_to_num(nan=1.0)  # (tasks,)
        weights = len(self.tasks) * torch.softmax(rates / self.options.dwa_temperature, dim=0)  # (tasks,)
        return weights[places].to(losses)

    def end_epoch(self, losses: Mapping[str, float]) -> None:
        new = self.last.new_tensor([losses.get(name, math.nan) for name in self.tasks])  # (tasks,)
        self.before.copy_(torch.where(new.isnan(), self.before, self.last))
        self.last.copy_(torch.where(new.isnan(), self.last, new))
