r"""Multi-gate mixture-of-experts, MMoE (Ma, Zhao, Yi, Chen, Hong, Chi, KDD 2018, section 4.2).

All tasks share the experts, and each mixes them by a gate of its own that looks at the input:

.. math::
    y_k = \mathrm{head}_k\left(\sum_e g_{k,e}\, \mathrm{relu}(W_e h + b_e)\right), \quad
    g_k = \mathrm{softmax}(W_{g_k} h + b_{g_k})

h is what ``shared`` gives a head: one vector of a text, or one of each token where tokens are tagged. The gates are
over experts, which belong to no task, so there is no task graph.
"""

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from graphmtl.architectures.architecture import HeadInput
from graphmtl.architectures.shared import Shared
from graphmtl.config import MOST_PARTS, WIDEST, ArchitectureOptions, option
from graphmtl.layers.interaction import Ablation
from graphmtl.layers.pooling import pooled_size
from graphmtl.layers.stacked import StackedLinear

__all__ = ["MMoE", "MMoEOptions"]


@dataclass(frozen=True, kw_only=True)
class MMoEOptions(ArchitectureOptions):
    """Of ``mmoe``."""

    experts: int = option(4, "experts", low=1, high=MOST_PARTS)
    expert_size: int = option(128, "dimensions of an expert", low=1, high=WIDEST)


class MMoE(Shared):
    r"""Experts that all tasks share, mixed by a gate of each task that looks at the input.

    The equations stand at the top of :mod:`graphmtl.architectures.mmoe` (Ma et al., KDD 2018). It comes after what
    :class:`~graphmtl.architectures.shared.Shared` has.

    Args:
        tasks: their names.
        input_size: dimensions of a token vector.
        contextual: token vectors come from an encoder in which tokens have read each other, such as a transformer, and
            no LSTM reads them again; ``contextual=False`` puts an LSTM before.
        pooling: how vectors of texts are made of token states; it says their size alone, twice as much for
            ``max-mean``.
        **values: options by name, those of :class:`MMoEOptions`:

            hidden (64): LSTM units per direction.
            bidirectional (True): read every text in both directions.
            experts (4): their number.
            expert_size (128): dimensions of an expert.

    Shapes:
        - x (batch, tokens, input_size), padded on the right, the task's name or position, and lengths (batch,) int64 or
          mask (batch, tokens) bool; without both no text is padded
        - or x (batch, output_size), vectors of texts, and the task
        - output: states (batch, tokens, expert_size), 0 at padding, or (batch, expert_size)

    Raises:
        InputError: a task or an option does not exist, a value is not accepted, or a tensor has another shape.

    >>> import torch
    >>> from graphmtl.nn import MMoE
    >>> mmoe = MMoE(tasks=["books", "dvd"], input_size=6, experts=3, expert_size=4)
    >>> mmoe(torch.randn(5, 6), "dvd").shape, mmoe(torch.randn(5, 7, 6), "dvd").shape
    (torch.Size([5, 4]), torch.Size([5, 7, 4]))
    """

    Options = MMoEOptions
    acts_after_pooling = True

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        options = self.options
        size = pooled_size(self.output_size, self.pooling)
        self.expert_size = options.expert_size
        self.experts = StackedLinear(layers=options.experts, input_size=size, output_size=self.expert_size)
        self.gates = StackedLinear(layers=len(self.tasks), input_size=size, output_size=options.experts)

    def task_rows(self) -> list[Tensor]:
        return [*self.gates.parameters()]

    def head_size(self, size: int) -> int:
        return self.expert_size

    def interact(
        self, h: Tensor, lengths: Tensor, task: int, edges: bool = False, ablation: Ablation | None = None
    ) -> HeadInput:
        x = h.unsqueeze(-2)  # (..., 1, dim)
        experts = self.experts(x).relu()  # (..., E, expert_size)
        gate = self.gates(x, slice(task, task + 1)).softmax(-1)  # (..., 1, E)
        return HeadInput((gate @ experts).squeeze(-2))
