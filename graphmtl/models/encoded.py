"""What an encoder makes of a batch, whatever the encoder."""

from dataclasses import dataclass

from torch import Tensor, nn

__all__ = ["Encoded", "LockedDropout"]


@dataclass
class Encoded:
    """What an encoder makes of a batch.

    Attributes:
        states: (batch, tokens, dim).
        lengths: (batch,), always on the CPU.
        pooled: (batch, dim), of encoders that have a vector of their own for the whole text, else None.
    """

    states: Tensor
    lengths: Tensor
    pooled: Tensor | None = None


class LockedDropout(nn.Module):
    """Dropout with one mask per text, the same for all its tokens (Gal and Ghahramani 2016; Merity et al. 2018)."""

    def __init__(self, p: float):
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """x (batch, tokens, dim)."""
        if not self.training or self.p == 0:
            return x
        mask = x.new_empty(x.size(0), 1, x.size(2)).bernoulli_(1 - self.p).div_(1 - self.p)  # (batch, 1, dim)
        return x * mask

    def extra_repr(self) -> str:
        return f"p={self.p}"
