"""One LSTM for all tasks: hard parameter sharing (Caruana 1997), the usual multi-task baseline."""

from collections.abc import Sequence

from torch import Tensor

from graphmtl.architectures.architecture import Architecture, Read
from graphmtl.models.message_lstm import LSTM

__all__ = ["Shared"]


class Shared(Architecture):
    """One LSTM reads every task's texts; only the heads belong to a task."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.lstm = LSTM(**self.lstm_sizes)

    def read(self, x: Tensor, lengths: Tensor, tasks: Sequence[int], edges: bool = False) -> list[Read]:
        states = self.lstm(x, lengths)  # (B, T, D * H)
        return [(states, None) for _ in tasks]
