r"""Multi-gate mixture-of-experts, MMoE (Ma, Zhao, Yi, Chen, Hong, Chi, KDD 2018, section 4.2).

All tasks share the experts, and each mixes them by a gate of its own that looks at the input:

.. math::
    y_k = \mathrm{head}_k\left(\sum_e g_{k,e}\, \mathrm{relu}(W_e h + b_e)\right), \quad
    g_k = \mathrm{softmax}(W_{g_k} h)

h is what ``shared`` gives a head: one vector of a text, or one of each token where tokens are tagged. The gates are
over experts, which belong to no task, so there is no task graph.
"""

from dataclasses import dataclass

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
    """What ``shared`` has, then experts that are mixed for each task; see the top of the file."""

    Options = MMoEOptions
    acts_after_pooling = True

    def __init__(self, **kwargs):
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
