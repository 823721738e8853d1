r"""The orthogonality of what is shared and what is a task's own.

For text i of task k, S_i are the shared LSTM's states and H_i those of k's own, a row for each of its T tokens (Liu,
Qiu, Huang, ACL 2017, section 4.3, after Bousmalis et al., NIPS 2016):

.. math::
    L_{\mathrm{diff}} = \frac{1}{n} \sum_i \left\lVert \frac{1}{T_i} S_i^\top H_i \right\rVert_F^2

It is 0 where over the text no dimension of the one goes with any dimension of the other. The paper does not divide by
T, which lets a text of 200 tokens count as much as 10,000 of two.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from graphmtl.config import OptionGroup, option
from graphmtl.data.batching import Batch
from graphmtl.training.term import Term

__all__ = ["Orthogonality", "OrthogonalityOptions"]


@dataclass(frozen=True, kw_only=True)
class OrthogonalityOptions(OptionGroup):
    """Of architectures that hold what is shared and what is a task's own apart."""

    orthogonality_weight: float = option(
        0.01, "weight in the loss of how far what is shared goes with what is a task's own", low=0, trains=True
    )


class Orthogonality(Term):
    """The squared correlations of every text, one sum of each task that reads it; see the top of the file.

    Args:
        weight: of the term in the loss.
    """

    Options = OrthogonalityOptions

    def __init__(self, *, weight: float) -> None:
        super().__init__()
        self._weight = weight

    @classmethod
    def suits(cls, architecture: type) -> bool:
        return architecture.holds_apart  # type: ignore[attr-defined]

    @classmethod
    def of_run(cls, model: nn.Module, options: OptionGroup) -> "Orthogonality | None":
        weight: float = options.orthogonality_weight  # type: ignore[attr-defined]
        return cls(weight=weight) if weight else None

    def weight(self, step: int, steps: int) -> float:
        return self._weight

    def forward(self, outputs: Mapping[str, Any], batch: Batch, targets: Mapping[str, Tensor]) -> Tensor:
        each = (batch.mean_of_texts(_together(*output.halves)) for output in outputs.values())
        return torch.stack([(own * batch.weights).sum() for own in each]).sum()


def _together(shared: Tensor, own: Tensor, lengths: Tensor) -> Tensor:
    """Token states (texts, tokens, dim), 0 at padding, to what is to be small, (texts,)."""
    products = torch.bmm(shared.mT, own) / lengths.to(shared.device)[:, None, None]  # (texts, dim, dim)
    return products.square().sum((1, 2))
