"""Weights that are learned so that all weighted losses are alike."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from graphmtl.config import OptionGroup
from graphmtl.training.balancing.balancing import Balancing

__all__ = ["IMTLL"]


class IMTLL(Balancing):
    r"""Impartial multi-task learning, the balance of losses (IMTL-L; Liu et al., ICLR 2021, section 3.2).

    .. math:: m_k = e^{s_k}, \quad r_k = -s_k

    where :math:`s_k` is learned and begins at 0; it is at rest where :math:`e^{s_k} L_k = 1`.
    """

    def __init__(self, *, tasks: Sequence[str], options: OptionGroup | None = None, seed: int = 0) -> None:
        super().__init__(tasks=tasks, options=options, seed=seed)
        self.log_scale = nn.Parameter(torch.zeros(len(self.tasks)))

    def weights(self, places: list[int], losses: Tensor, shares: Tensor) -> Tensor:
        return torch.exp(self.log_scale[places])

    def additions(self, places: list[int]) -> Tensor:
        return -self.log_scale[places]
