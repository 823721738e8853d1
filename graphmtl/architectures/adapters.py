r"""An adapter for each task on one shared body (Houlsby et al., ICML 2019).

.. math::
    y_k = \mathrm{head}_k(h + \mathrm{Up}_k\, \mathrm{gelu}(\mathrm{Down}_k\, \mathrm{LayerNorm}(h)))

h is what ``shared`` gives a head. It departs from the paper in that there is one adapter after the encoder, not two in
each of its layers, and that the body is trained too. It is the first stage of adapter fusion.
"""

from dataclasses import dataclass
from typing import Any

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
    r"""An adapter for each task on one shared body.

    The equation stands at the top of :mod:`graphmtl.architectures.adapters` (Houlsby et al., ICML 2019). It comes after
    what :class:`~graphmtl.architectures.shared.Shared` has.

    Args:
        tasks: their names.
        input_size: dimensions of a token vector.
        contextual: token vectors come from an encoder in which tokens have read each other, such as a transformer, and
            no LSTM reads them again; ``contextual=False`` puts an LSTM before.
        pooling: how vectors of texts are made of token states; it says their size alone, twice as much for
            ``max-mean``.
        **values: options by name, those of :class:`AdapterOptions`:

            hidden (64): LSTM units per direction.
            bidirectional (True): read every text in both directions.
            adapter_size (64): dimensions inside a task's adaptation layer.

    Shapes:
        - x (batch, tokens, input_size), padded on the right, the task's name or position, and lengths (batch,) int64 or
          mask (batch, tokens) bool; without both no text is padded
        - or x (batch, output_size), vectors of texts, and the task
        - output: states (batch, tokens, output_size), 0 at padding, or (batch, output_size)

    Raises:
        InputError: a task or an option does not exist, a value is not accepted, or a tensor has another shape.

    >>> import torch
    >>> from graphmtl.nn import TaskAdapters
    >>> adapters = TaskAdapters(tasks=["books", "dvd"], input_size=6, adapter_size=4)
    >>> adapters(torch.randn(5, 6), "dvd").shape, adapters(torch.randn(5, 7, 6), "dvd").shape
    (torch.Size([5, 6]), torch.Size([5, 7, 6]))
    """

    Options = AdapterOptions
    acts_after_pooling = True

    def __init__(self, **kwargs: Any) -> None:
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
