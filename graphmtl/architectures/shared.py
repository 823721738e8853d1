"""One LSTM for all tasks: hard parameter sharing (Caruana 1997), the usual multi-task baseline."""

from collections.abc import Sequence

from torch import Tensor

from graphmtl.architectures.architecture import Architecture, Read
from graphmtl.layers.interaction import Ablation

__all__ = ["Shared"]


class Shared(Architecture):
    """One encoder and one LSTM read every task's texts; only the heads belong to a task.

    A contextual encoder needs no LSTM: on a transformer this is the form of MT-DNN (Liu et al., ACL 2019).
    """

    reads_contextual = False

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.lstm = self.lstm_over_encoder()

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
