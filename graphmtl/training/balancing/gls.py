"""The geometric mean of the losses."""

from torch import Tensor

from graphmtl.training.balancing.balancing import Balancing

__all__ = ["GLS"]

_LEAST = 1e-8  # a loss that is 0 has no logarithm


class GLS(Balancing):
    r"""Geometric loss strategy (Chennupati et al., MultiNet++, CVPR workshops 2019, section 3.2).

    .. math:: m_k = F / L_k, \quad F = \prod_k L_k^{p_k / \sum_j p_j}

    so that the gradient is that of :math:`\sum_k p_k` times F, which is the geometric mean of the losses of the
    update's tasks where each has as many batches as the others.
    """

    compares = True

    def weights(self, places: list[int], losses: Tensor, shares: Tensor) -> Tensor:
        losses = losses.clamp_min(_LEAST)
        logarithm = (shares * losses.log()).sum() / shares.sum()  # ()
        return logarithm.exp() / losses
