"""K separate models: the baseline that every claim of joint training is measured against."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from graphmtl.architectures.architecture import Architecture, Read
from graphmtl.layers.interaction import Ablation

__all__ = ["Single"]


class Single(Architecture):
    """An LSTM for each task; no parameter is shared. A contextual encoder needs no LSTM.

    Args:
        tasks: their names.
        input_size: dimensions of a token vector.
        contextual: token vectors come from an encoder in which tokens have read each other, such as a transformer, and
            no LSTM reads them again; ``contextual=False`` puts one before.
        **values: options by name, those of :class:`~graphmtl.config.ArchitectureOptions`:

            hidden (64): LSTM units per direction.
            bidirectional (True): read every text in both directions.

    Shapes:
        - x (batch, tokens, input_size), padded on the right, the task's name or position, and lengths (batch,) int64 or
          mask (batch, tokens) bool; without both no text is padded
        - output: states (batch, tokens, output_size), 0 at padding

    Raises:
        InputError: a task or an option does not exist, a value is not accepted, or a tensor has another shape.

    >>> import torch
    >>> from graphmtl.nn import Single
    >>> single = Single(tasks=["books", "dvd"], input_size=5, contextual=False, hidden=4)
    >>> single(torch.randn(2, 7, 5), "dvd", torch.tensor([7, 3])).shape
    torch.Size([2, 7, 8])
    """

    own_encoder_per_task = True
    reads_contextual = False

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.lstms = nn.ModuleList(self.lstm_over_encoder() for _ in self.tasks)

    def task_modules(self) -> list[nn.ModuleList]:
        return [self.lstms]

    def read(
        self,
        x: Tensor,
        lengths: Tensor,
        tasks: Sequence[int],
        edges: bool = False,
        nodes: Tensor | None = None,
        ablation: Ablation | None = None,
    ) -> list[Read]:
        return [(self.lstms[task](x, lengths), None) for task in tasks]
