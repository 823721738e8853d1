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
    r"""Dropout and a linear layer: pooled vectors (batch, input_size) to logits (batch, classes).

    With a common head the task's own one is a deviation from it, :math:`(W + W_k) x + b + b_k`: the common part learns
    from every task's texts (Evgeniou and Pontil, Regularized multi-task learning, KDD 2004).
    """

    def __init__(self, *, input_size: int, classes: int, dropout: float):
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(input_size, classes)

    def reset_to_zero(self) -> None:
        """No deviation from the common head."""
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, pooled: Tensor, common: nn.Linear | None = None) -> Tensor:
        pooled = self.dropout(pooled)
        return self.linear(pooled) if common is None else self.linear(pooled) + common(pooled)
