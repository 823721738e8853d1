"""Weights by the learned uncertainty of each task."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from graphmtl.config import OptionGroup
from graphmtl.training.balancing.balancing import Balancing

__all__ = ["Uncertainty"]


class Uncertainty(Balancing):
    r"""Homoscedastic uncertainty of each task (Kendall, Gal and Cipolla, CVPR 2018, section 3.2).

    .. math:: m_k = \tfrac{1}{2} e^{-s_k}, \quad r_k = \tfrac{1}{2} s_k

    where :math:`s_k = \log \sigma_k^2` is learned and begins at 0, as the paper advises; it is at rest where
    :math:`e^{s_k} = L_k`. The paper has no factor 1/2 before a cross-entropy; as in LibMTL and TorchJD each loss has
    it here.
    """

    def __init__(self, *, tasks: Sequence[str], options: OptionGroup | None = None, seed: int = 0) -> None:
        super().__init__(tasks=tasks, options=options, seed=seed)
        self.log_variance = nn.Parameter(torch.zeros(len(self.tasks)))

    def weights(self, places: list[int], losses: Tensor, shares: Tensor) -> Tensor:
        return 0.5 * torch.exp(-self.log_variance[places])

    def additions(self, places: list[int]) -> Tensor:
        return 0.5 * self.log_variance[places]
