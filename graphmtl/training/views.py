r"""Further views of a text from which a task's head must answer: of ``cmtr`` and ``complete`` the own and the others'.

.. math::
    V = \sum_v w_v \frac{w_k}{n} \sum_i \ell_i(\mathrm{head}_k(v))

A view v is what the architecture gives beside what the head answers from; the head is the same, :math:`\ell_i` is the
loss of the labels of which a text has n, :math:`w_k` the task's own weight. Prediction never looks at them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from graphmtl.config import OptionGroup, option
from graphmtl.data.batching import Batch
from graphmtl.training.term import Term

__all__ = ["Views", "ViewsOptions"]


@dataclass(frozen=True, kw_only=True)
class ViewsOptions(OptionGroup):
    """Of architectures whose heads answer from further views in training."""

    own_weight: float = option(
        1.0, "weight in the loss of the answer from a task's own representation alone", low=0, trains=True
    )
    others_weight: float = option(
        1.0, "weight in the loss of the answer from what a task reads of the others alone", low=0, trains=True
    )


class Views(Term):
    """The losses of the views of every text; see the top of the file.

    Args:
        weights: that of each view, by its name.
    """

    Options = ViewsOptions

    def __init__(self, *, weights: Mapping[str, float]) -> None:
        super().__init__()
        self.weights = dict(weights)

    @classmethod
    def suits(cls, architecture: type) -> bool:
        return architecture.has_views  # type: ignore[attr-defined]

    @classmethod
    def of_run(cls, model: nn.Module, options: OptionGroup) -> "Views | None":
        weights = {"own": options.own_weight, "others": options.others_weight}  # type: ignore[attr-defined]
        model.views = tuple(view for view, weight in weights.items() if weight)  # type: ignore[assignment]
        return cls(weights=weights) if model.views else None

    def forward(self, outputs: Mapping[str, Any], batch: Batch, targets: Mapping[str, Tensor]) -> Tensor | None:
        losses = [
            self.weights[view] * output.task_weight * (loss / output.counts.clamp_min(1) * batch.weights).sum()
            for output in outputs.values()
            for view, loss in output.views.items()
            if self.weights[view]
        ]
        return sum(losses) if losses else None
