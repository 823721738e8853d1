"""Weights that are drawn anew in every update."""

import numpy as np
import torch
from torch import Tensor

from graphmtl.training.balancing.balancing import Balancing

__all__ = ["RandomWeights"]


class RandomWeights(Balancing):
    r"""Random loss weighting (RLW; Lin et al., TMLR 2022, algorithm 2).

    .. math:: m_k = K \, \mathrm{softmax}_k(z_k), \quad z_k \sim N(0, 1)

    drawn in every update, for all K tasks, so that their mean is 1. The draw is a function of the seed and of the
    number of the update alone: the same in all processes, and after a resume.
    """

    drawn: Tensor | None = None

    def begin(self, step: int) -> None:
        z = np.random.default_rng([self.seed, step]).standard_normal(len(self.tasks))  # (tasks,)
        self.drawn = len(self.tasks) * torch.from_numpy(z).softmax(0)  # (tasks,)

    def weights(self, places: list[int], losses: Tensor, shares: Tensor) -> Tensor:
        return self.drawn[places].to(losses)
