"""Token states to one vector a text, and what tells tokens from padding."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

__all__ = ["POOLINGS", "AttentionPooling", "mean_over_tokens", "pool", "pooled_size", "token_mask"]


POOLINGS = ("max", "mean", "max-mean", "last", "attention", "cls")
"""How token states become one vector; cls: an encoder has one of its own."""


def pooled_size(size: int, pooling: str) -> int:
    """Dimensions of the pooled vector of token states with ``size`` dimensions."""
    return 2 * size if pooling == "max-mean" else size


def token_mask(lengths: Tensor, states: Tensor) -> Tensor:
    """Lengths (batch,) to True for the tokens of states (batch, tokens, ...), False at padding: (batch, tokens)."""
    lengths = lengths.to(states.device, non_blocking=True)
    return torch.arange(states.size(1), device=states.device) < lengths[:, None]


def mean_over_tokens(values: Tensor, lengths: Tensor) -> Tensor:
    """Values of tokens (batch, tokens, dim) to their mean over each text (batch, dim); values of texts stay."""
    if values.ndim == 2:
        return values
    inside = values * token_mask(lengths, values).unsqueeze(-1)  # (batch, tokens, dim)
    return inside.sum(1) / lengths.to(values.device)[:, None]


def pool(states: Tensor, lengths: Tensor, pooling: str, ways: Sequence[int] = (0,)) -> Tensor:
    """States (batch, tokens, dim), 0 at padding, to a vector per text: (batch, dim), or (batch, 2 dim) for max-mean.

    ``last`` is what every direction says when it has read everything; ``ways`` are the directions of the blocks of
    equal size that a state consists of: 0 forward, 1 backward.
    """
    parts, lengths = [], lengths.to(states.device, non_blocking=True)
    if "max" in pooling:
        parts.append(states.masked_fill(~token_mask(lengths, states).unsqueeze(-1), -torch.inf).amax(1))  # (batch, dim)
    if "mean" in pooling:
        parts.append(states.sum(1) / lengths[:, None])  # (batch, dim)
    if pooling == "last":
        rows = torch.arange(len(states), device=states.device)
        ends = states[rows, lengths - 1], states[:, 0]  # forward and backward, (batch, dim)
        parts += [ends[way].chunk(len(ways), -1)[block] for block, way in enumerate(ways)]  # (batch, dim / ways) each
    return torch.cat(parts, -1)


class AttentionPooling(nn.Module):
    r"""A weighted mean of token states: :math:`\sum_t \mathrm{softmax}_t(q \cdot h_t) h_t`, q learned.

    q is 0 at the start, which makes it the mean.
    """

    def __init__(self, *, size: int):
        super().__init__()
        self.query = nn.Parameter(torch.zeros(size))

    def forward(self, states: Tensor, lengths: Tensor) -> Tensor:
        """States (batch, tokens, dim) and lengths (batch,) to (batch, dim)."""
        scores = (states @ self.query).masked_fill(~token_mask(lengths, states), -torch.inf)  # (batch, tokens)
        return torch.bmm(scores.softmax(-1).unsqueeze(1), states).squeeze(1)  # (batch, dim)
