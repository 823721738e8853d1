"""One LSTM for all tasks: hard parameter sharing (Caruana 1997), the usual multi-task baseline."""

from torch import Tensor

from graphmtl.architectures.architecture import Architecture
from graphmtl.models.message_lstm import LSTM

__all__ = ["Shared"]


class Shared(Architecture):
    """One LSTM reads every task's texts; only the heads belong to a task."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.lstm = LSTM(**self.lstm_sizes)

    def forward(self, x: Tensor, lengths: Tensor, task: int, edges: bool = False) -> tuple[Tensor, None]:
        return self.lstm(x, lengths), None
