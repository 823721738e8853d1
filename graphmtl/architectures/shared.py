"""One LSTM for all tasks: hard parameter sharing (Caruana 1997), the usual multi-task baseline."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from graphmtl.architectures.architecture import Architecture, Read
from graphmtl.layers.interaction import Ablation
from graphmtl.layers.message_lstm import LSTM

__all__ = ["Shared"]


class Shared(Architecture):
    """One LSTM reads every task's texts; only the heads belong to a task.

    A contextual encoder needs no LSTM: on a transformer this is the form of MT-DNN (Liu et al., ACL 2019), which is
    therefore no architecture of its own here.

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
    >>> from graphmtl.nn import Shared
    >>> shared = Shared(tasks=["books", "dvd"], input_size=5, contextual=False, hidden=4)
    >>> shared(torch.randn(2, 7, 5), "dvd", torch.tensor([7, 3])).shape
    torch.Size([2, 7, 8])
    """

    reads_contextual = False

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.lstm = self.lstm_over_encoder()

    def shared_lstm(self) -> LSTM | None:
        return self.lstm if isinstance(self.lstm, LSTM) else None

    def node_states(self, x: Tensor, lengths: Tensor, tasks: Sequence[int]) -> Tensor:
        """The LSTM's states (B, T, D * H), from which the nodes are made in architectures that act after pooling."""
        return self.lstm(x, lengths)

    def read(
        self,
        x: Tensor,
        lengths: Tensor,
        tasks: Sequence[int],
        edges: bool = False,
        nodes: Tensor | None = None,
        ablation: Ablation | None = None,
    ) -> list[Read]:
        states = self.node_states(x, lengths, tasks) if nodes is None else nodes
        return [(states, None) for _ in tasks]
