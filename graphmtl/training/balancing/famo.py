"""Weights that let all losses fall at the same rate."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from graphmtl.config import OptionGroup, option
from graphmtl.training.balancing.balancing import Balancing

__all__ = ["FAMO", "FAMOOptions"]

_LEAST = 1e-8  # a loss that is 0 has no logarithm


@dataclass(frozen=True, kw_only=True)
class FAMOOptions(OptionGroup):
    """Of ``--balancing famo``."""

    famo_lr: float = option(0.025, "learning rate of famo's weights (Adam)", low=0)
    famo_decay: float = option(0.001, "weight decay of famo's weights", low=0)


class FAMO(Balancing):
    r"""Fast adaptive multitask optimisation (Liu et al., NeurIPS 2023, algorithm 1).

    .. math:: m_k = c\, z_k / L_k, \quad z = \mathrm{softmax}(w)

    with c so that :math:`\sum_k p_k m_k = \sum_k p_k`: the gradient of :math:`c \sum_k z_k \log L_k` where all tasks
    have a batch. After the update the losses of its batches are computed once more, :math:`L_k'`, and Adam takes a step
    with the gradient :math:`J^\top (\log L - \log L')` of w, where J is the derivative of z by w: the weight of a task
    whose loss fell faster than the others' becomes less. z is that of the tasks of the update. The texts are read in
    training mode both times, as by the authors, so that dropout is drawn anew.
    """

    Options = FAMOOptions
    compares = True
    looks_back = True

    def __init__(self, *, tasks: Sequence[str], options: OptionGroup | None = None, seed: int = 0) -> None:
        super().__init__(tasks=tasks, options=options, seed=seed)
        self.logits = nn.Parameter(torch.zeros(len(self.tasks)), requires_grad=False)  # w
        rates = {"lr": self.options.famo_lr, "weight_decay": self.options.famo_decay}
        self._optimizer = torch.optim.Adam([self.logits], **rates)
        self._before: Mapping[str, Tensor] = {}

    def forward(self, losses: Mapping[str, Tensor], shares: Mapping[str, float], parts: Mapping[str, float]) -> Tensor:
        self._before = {name: loss.detach() for name, loss in losses.items()}
        return super().forward(losses, shares, parts)

    def weights(self, places: list[int], losses: Tensor, shares: Tensor) -> Tensor:
        pull = self.logits[places].softmax(0).to(losses) / losses.clamp_min(_LEAST)  # (tasks,)
        return pull * shares.sum() / (shares * pull).sum()

    def look_back(self, losses: Mapping[str, Tensor]) -> None:
        places = [self.tasks.index(name) for name in losses]
        before, after = (torch.stack([each[name] for name in losses]) for each in (self._before, losses))  # (tasks,)
        fallen = (before.clamp_min(_LEAST).log() - after.clamp_min(_LEAST).log()).to(self.logits)  # (tasks,)
        z = self.logits[places].softmax(0)  # (tasks,)
        self.logits.grad = torch.zeros_like(self.logits)
        self.logits.grad[places] = z * (fallen - (z * fallen).sum())
        self._optimizer.step()

    def get_extra_state(self) -> dict[str, Any]:
        return self._optimizer.state_dict()

    def set_extra_state(self, state: dict[str, Any]) -> None:
        self._optimizer.load_state_dict(state)
