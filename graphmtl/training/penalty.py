"""What an architecture adds to the loss, such as the regularisation of ``cmtr``'s gates."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from graphmtl.config import OptionGroup
from graphmtl.data.batching import Batch
from graphmtl.training.term import Term

__all__ = ["Penalty"]


class Penalty(Term):
    """The penalties of every text, one of each task that reads it, as the architecture gives them.

    Args:
        weight: the architecture's own, from the number of the update, which counts from 1, and of all updates.
    """

    def __init__(self, *, weight: Callable[[int, int], float]) -> None:
        super().__init__()
        self._weight = weight

    @classmethod
    def of_run(cls, model: nn.Module, options: OptionGroup) -> "Penalty":
        return cls(weight=model.penalty_weight)  # type: ignore[arg-type]

    def weight(self, step: int, steps: int) -> float:
        return self._weight(step + 1, steps)

    def forward(self, outputs: Mapping[str, Any], batch: Batch, targets: Mapping[str, Tensor]) -> Tensor | None:
        penalties = [(each.penalty * batch.weights).sum() for each in outputs.values() if each.penalty is not None]
        return sum(penalties) if penalties else None
