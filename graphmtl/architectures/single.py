"""K separate models: the baseline that every claim of joint training is measured against."""

from collections.abc import Sequence

from torch import Tensor, nn

from graphmtl.architectures.architecture import Architecture, Read
from graphmtl.models.message_lstm import LSTM

__all__ = ["Single"]


class Single(Architecture):
    """An LSTM and word embeddings per task; no trained parameter is shared."""

    own_encoder_per_task = True

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.lstms = nn.ModuleList(LSTM(**self.lstm_sizes) for _ in self.tasks)

    def read(self, x: Tensor, lengths: Tensor, tasks: Sequence[int], edges: bool = False) -> list[Read]:
        return [(self.lstms[task](x, lengths), None) for task in tasks]
