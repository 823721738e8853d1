"""Token states to an answer: pooling, and one head per task."""

import torch
from torch import Tensor, nn

__all__ = ["ClassificationHead", "pool", "pooled_size"]


def pooled_size(size: int, pooling: str) -> int:
    """Dimensions of the pooled vector of token states with ``size`` dimensions."""
    return 2 * size if pooling == "max-mean" else size


def pool(states: Tensor, lengths: Tensor, pooling: str) -> Tensor:
    """States (batch, tokens, dim), 0 at padding, to a vector per text: (batch, dim), or (batch, 2 dim) for max-mean."""
    parts, lengths = [], lengths.to(states.device, non_blocking=True)
    if "max" in pooling:
        padding = torch.arange(states.size(1), device=states.device) >= lengths[:, None]  # (batch, tokens)
        parts.append(states.masked_fill(padding.unsqueeze(-1), -torch.inf).amax(1))  # (batch, dim)
    if "mean" in pooling:
        parts.append(states.sum(1) / lengths[:, None])  # (batch, dim)
    return torch.cat(parts, -1)


class ClassificationHead(nn.Module):
    """Dropout and a linear layer: pooled vectors (batch, input_size) to logits (batch, classes)."""

    def __init__(self, *, input_size: int, classes: int, dropout: float):
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(input_size, classes)

    def forward(self, pooled: Tensor) -> Tensor:
        return self.linear(self.dropout(pooled))
