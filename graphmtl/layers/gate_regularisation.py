r"""GateReg: what is wanted of the gates g, the share of every source in what a task's head sees.

g_i is row k of instance i of task k, over k's S sources, of which k itself is one. Every penalty is one of each
instance; they are our reading of CMTR, of which only the abstract was at hand.

- ``prior``: :math:`\mathrm{KL}(p \Vert g_i)`; p has a given share on k itself and the rest in equal parts on the others
- ``entropy``: :math:`-\sum_j g_{ij} \log g_{ij}`: sharp gates
- ``balance``: no node is ignored. :math:`\bar g` is the mean over all targets of a running mean of each one's rows, and
  the penalty is :math:`\sum_j g_{ij} \log(K \bar g_j)`, where :math:`\bar g` counts as a constant. Its mean is
  :math:`\mathrm{KL}(\bar g \Vert \mathrm{uniform})` once g is :math:`\bar g`, and its gradient is that KL's.
"""

from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from graphmtl.errors import unknown_name

__all__ = ["BalancePenalty", "EntropyPenalty", "GateReg", "PriorPenalty", "gate_penalty"]

GateReg = Literal["prior", "entropy", "balance", "none"]


def _log(gates: Tensor) -> Tensor:
    return gates.clamp_min(torch.finfo(gates.dtype).tiny).log()  # a gate of 0 has a finite logarithm


class PriorPenalty(nn.Module):
    """KL(prior || gates); see the top of the file.

    Args:
        own: the prior's share of the target itself; all of it where there is no other source.
    """

    def __init__(self, *, own: float):
        super().__init__()
        self.own = own

    def forward(self, gates: Tensor, sources: Sequence[int], target: int) -> Tensor:
        """Gates (batch, S) over ``sources``, positions of tasks, to (batch,)."""
        others = len(sources) - 1
        own = self.own if others else 1.0
        prior = gates.new_tensor([own if j == target else (1 - own) / others for j in sources])  # (S,)
        return (torch.xlogy(prior, prior) - prior * _log(gates)).sum(-1)


class EntropyPenalty(nn.Module):
    """The entropy of the gates."""

    def forward(self, gates: Tensor, sources: Sequence[int], target: int) -> Tensor:
        """Gates (batch, S) to (batch,)."""
        return -(gates * _log(gates)).sum(-1)


class BalancePenalty(nn.Module):
    """Pulls the mean gates of all targets towards equal shares; see the top of the file.

    In training the running mean of the target's row takes a step of ``rate`` towards the batch's mean first. Of several
    processes that train together, all use the running mean of the first one.

    Args:
        edges: (K, K) bool, whether target (row) reads from source (column); rows start with equal shares.
        rate: how fast the running mean forgets.
    """

    rows: Tensor

    def __init__(self, *, edges: Tensor, rate: float = 0.05):
        super().__init__()
        self.rate = rate
        rows = edges.float()
        self.register_buffer("rows", rows / rows.sum(1, keepdim=True))  # (K targets, K sources)

    def forward(self, gates: Tensor, sources: Sequence[int], target: int) -> Tensor:
        """Gates (batch, S) to (batch,)."""
        rows = self.rows.clone()
        rows[target, list(sources)] += self.rate * (gates.detach().mean(0).to(rows) - rows[target, list(sources)])
        if self.training:
            self.rows.copy_(rows)
        mean = rows.mean(0)[list(sources)].to(gates)  # (S,)
        return (gates * _log(len(rows) * mean)).sum(-1)


def gate_penalty(kind: str, *, own: float, edges: Tensor) -> nn.Module | None:
    """The penalty that ``--gate-reg`` names; None for ``none``.

    Raises:
        InputError: it names none.
    """
    if kind not in get_args(GateReg):
        raise unknown_name("kind", kind, get_args(GateReg))
    if kind == "prior":
        return PriorPenalty(own=own)
    if kind == "entropy":
        return EntropyPenalty()
    return BalancePenalty(edges=edges) if kind == "balance" else None
