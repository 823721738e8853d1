r"""An adapter for each task on one shared body (Houlsby et al., ICML 2019).

.. math::
    y_k = \mathrm{head}_k(h + \mathrm{Up}_k\, \mathrm{gelu}(\mathrm{Down}_k\, \mathrm{LayerNorm}(h)))

h is what ``shared`` gives a head. It departs from the paper in that there is one adapter after the encoder, not two in
each of its layers, and that the body is trained too. It is the first stage of adapter fusion.
"""

from dataclasses import dataclass

from torch import Tensor

from graphmtl.architectures.architecture import HeadInput
from graphmtl.architectures.shared import Shared
from graphmtl.config import WIDEST, ArchitectureOptions, option
from graphmtl.layers.interaction import Ablation
from graphmtl.layers.pooling import pooled_size
from graphmtl.layers.stacked import Adapters

__all__ = ["AdapterOptions", "TaskAdapters"]


@dataclass(frozen=True, kw_only=True)
class AdapterOptions(ArchitectureOptions):
    """Of ``adapters``."""

    adapter_size: int = option(64, "dimensions inside a task's adaptation layer", low=1, high=WIDEST)


class TaskAdapters(Shared):
    """What ``shared`` has, then the task's adapter; see the top of the file."""

    Options = AdapterOptions
    acts_after_pooling = True

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        options = self.options
        size = pooled_size(self.output_size, self.pooling)
        self.adapters = Adapters(tasks=len(self.tasks), size=size, bottleneck=options.adapter_size)

    def task_rows(self) -> list[Tensor]:
        return self.adapters.task_rows()

    def interact(
        self, h: Tensor, lengths: Tensor, task: int, edges: bool = False, ablation: Ablation | None = None
    ) -> HeadInput:
        return HeadInput(self.adapters(h, slice(task, task + 1)).squeeze(-2))
