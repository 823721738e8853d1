"""K separate models: the baseline that every claim of joint training is measured against."""

from collections.abc import Sequence

from torch import Tensor, nn

from graphmtl.architectures.architecture import Architecture, Read
from graphmtl.layers.interaction import Ablation

__all__ = ["Single"]


class Single(Architecture):
    """An encoder and an LSTM per task; no trained parameter is shared. A contextual encoder needs no LSTM."""

    own_encoder_per_task = True
    reads_contextual = False

    def __init__(self, **kwargs):
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
