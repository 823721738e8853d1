"""Several linear layers of the same size as one product."""

import math

import torch
from torch import Tensor, nn

from graphmtl.layers.layer import Layer

__all__ = ["Adapters", "StackedLinear"]


class StackedLinear(Layer):
    r"""K linear layers side by side: :math:`y_k = x_k W_k + b_k`.

    Each begins as ``nn.Linear`` does.

    Args:
        layers: K.
        input_size: dimensions of x_k.
        output_size: dimensions of y_k.

    Shapes:
        x (..., K, input_size), or (..., 1, input_size) where all read the same, to (..., K, output_size)
    """

    undecayed = ("bias",)

    def __init__(self, *, layers: int, input_size: int, output_size: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(layers, input_size, output_size))
        self.bias = nn.Parameter(torch.empty(layers, output_size))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        bound = 1 / math.sqrt(self.weight.size(1))
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, x: Tensor, some: slice = slice(None)) -> Tensor:
        """What all layers, or ``some`` of them, make of x."""
        weight, bias = (self.weight, self.bias) if some == slice(None) else (self.weight[some], self.bias[some])
        if x.size(-2) < len(weight):  # one product for all layers
            return (x @ weight.transpose(0, 1).flatten(1)).view(*x.shape[:-2], *bias.shape) + bias
        each = torch.bmm(x.reshape(-1, *x.shape[-2:]).transpose(0, 1), weight)  # (K, ..., output_size)
        return each.transpose(0, 1).view(*x.shape[:-1], -1) + bias

    def extra_repr(self) -> str:
        layers, input_size, output_size = self.weight.shape
        return f"layers={layers}, input_size={input_size}, output_size={output_size}"


class Adapters(nn.Module):
    r"""A bottleneck for each of K tasks: :math:`z_k = h + \mathrm{Up}_k\, \mathrm{gelu}(\mathrm{Down}_k\,
    \mathrm{LayerNorm}(h))` (Houlsby et al., ICML 2019, section 2).

    Up starts near 0, so that z_k starts near h; where h is not added, as ``StackedLinear`` does.

    Args:
        tasks: K.
        size: dimensions of h.
        bottleneck: dimensions between Down and Up.
        residual: h is added; without, z_k holds nothing of h but what the bottleneck lets through.

    Shapes:
        h (..., size) to (..., K, size)
    """

    def __init__(self, *, tasks: int, size: int, bottleneck: int, residual: bool = True):
        super().__init__()
        self.residual = residual
        self.norm = nn.LayerNorm(size)
        self.down = StackedLinear(layers=tasks, input_size=size, output_size=bottleneck)
        self.up = StackedLinear(layers=tasks, input_size=bottleneck, output_size=size)
        if residual:
            nn.init.normal_(self.up.weight, std=0.01)  # Houlsby et al., section 3.6
        nn.init.zeros_(self.up.bias)

    def task_rows(self) -> list[Tensor]:
        """The parameters that have a row for each task."""
        return [*self.down.parameters(), *self.up.parameters()]

    def forward(self, h: Tensor, some: slice = slice(None)) -> Tensor:
        """What all tasks' adapters, or ``some`` of them, make of h."""
        h = h.unsqueeze(-2)  # (..., 1, size)
        inner = nn.functional.gelu(self.down(self.norm(h), some))  # (..., K, bottleneck)
        z = self.up(inner, some)  # (..., K, size)
        return h + z if self.residual else z
