r"""What tasks have in common: a task's parameters are a part common to all tasks plus its own deviation from it.

.. math::
    \theta_k = \theta + \delta_k

(Evgeniou and Pontil, Regularized multi-task learning, KDD 2004; for features Daume, Frustratingly easy domain
adaptation, ACL 2007). :math:`\theta` learns from every text and :math:`\delta_k`, 0 at the start, from those of task k.
"""

from collections.abc import Sequence
from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

__all__ = ["share_common_part"]


class _PlusCommon(nn.Module):
    """A deviation to common + deviation."""

    def __init__(self, common: nn.Module, name: str):
        super().__init__()
        self._common, self._name = (common,), name  # in a tuple: not a submodule here, so it is saved once

    def forward(self, own: Tensor) -> Tensor:
        return getattr(self._common[0], self._name) + own

    def right_inverse(self, weight: Tensor) -> Tensor:
        return torch.zeros_like(weight)


def share_common_part(modules: Sequence[nn.Module], *, leave_out: Sequence[str] = ()) -> nn.Module:
    """Makes every parameter of like modules the sum of a common one and the module's own.

    Args:
        modules: one for every task, of the same kind and sizes; they are changed in place. The first one's values
            become the common ones, and all deviations begin at 0.
        leave_out: names of parameters that stay the module's own.

    Returns:
        The module that holds the common parameters; nobody calls it.
    """
    common = deepcopy(modules[0])
    paths = [path for path, _ in common.named_parameters() if path not in leave_out]
    for path in paths:
        parent, _, name = path.rpartition(".")
        for module in modules:
            addition = _PlusCommon(common.get_submodule(parent), name)
            parametrize.register_parametrization(module.get_submodule(parent), name, addition)
    for name in leave_out:
        if hasattr(common, name):
            setattr(common, name, None)
    return common
