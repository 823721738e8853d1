"""One LSTM for all tasks: hard parameter sharing (Caruana 1997), the usual multi-task baseline."""

from collections.abc import Sequence

from torch import Tensor

from graphmtl.architectures.architecture import Architecture, Read

__all__ = ["Shared"]


class Shared(Architecture):
    """One encoder and one LSTM read every task's texts; only the heads belong to a task.

    A contextual encoder needs no LSTM: on a transformer this is the form of MT-DNN (Liu et al., ACL 2019).
    """

    reads_contextual = False

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.lstm = self.lstm_over_encoder()

    def read(self, x: Tensor, lengths: Tensor, tasks: Sequence[int], edges: bool = False) -> list[Read]:
        states = self.lstm(x, lengths)  # (B, T, D * H)
        return [(states, None) for _ in tasks]
