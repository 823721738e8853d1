"""The products before and after a loop over tokens, for the loops that leave them to PyTorch.

Shapes as in :mod:`graphmtl.layers.packing`, and K recurrences side by side. x and W may have 16 bits, which are enough
for a product before a recurrence and not for a sum over a text; all else is in full precision.
"""

import torch
from torch import Tensor

from graphmtl.layers.packing import Packing, Trace, Weights

__all__ = ["message_gradients", "plain_gradients", "product_with_tokens"]


def product_with_tokens(x: Tensor, W: Tensor, b: Tensor) -> Tensor:
    """W x + b: x (D, N, I), W (D, K, I, G) and b (D, K, G) to (D, N, K, G)."""
    side_by_side = W.transpose(1, 2).flatten(2)  # (D, I, K * G)
    return torch.baddbmm(b.to(x.dtype).flatten(1)[:, None], x, side_by_side).to(b.dtype).unflatten(-1, b.shape[1:])


def plain_gradients(grad: Tensor, x: Tensor, W: Tensor, before: Tensor, *, of_x: bool) -> tuple[Tensor | None, ...]:
    """The gradients of x, or None, of W, of b, and of U, which the states before every token were multiplied with.

    Args:
        grad: of W x + b, (D, N, K, G).
        x: (D, N, I).
        W: (D, K, I, G).
        before: h_{t-1} of every token, (D, N, K, H).
        of_x: whether that of x is asked for.
    """
    narrow = grad.flatten(2).to(x.dtype)  # (D, N, K * G)
    of_W = torch.bmm(x.mT, narrow).to(grad.dtype).unflatten(-1, grad.shape[2:]).transpose(1, 2)  # (D, K, I, G)
    of_U = torch.stack([torch.bmm(h.permute(1, 2, 0), z.transpose(0, 1)) for h, z in zip(before, grad, strict=True)])
    into_x = torch.bmm(narrow, W.transpose(1, 2).flatten(2).mT).to(grad.dtype) if of_x else None  # (D, N, I)
    return into_x, of_W, grad.sum(1), of_U


def message_gradients(
    grad_z: Tensor, grad_reads: Tensor, x: Tensor, weights: Weights, trace: Trace, packing: Packing, *, of_x: bool
) -> tuple[Tensor | None, Weights]:
    """The gradients of x, or None, and of a message LSTM's weights, given those of z (D, N, G) and reads (D, N, 2H)."""
    before, H = packing.before(trace.states), grad_reads.size(-1) // 2
    one = plain_gradients(grad_z.unsqueeze(2), x, weights.W.unsqueeze(1), before.unsqueeze(2), of_x=of_x)
    into_x, (of_W, of_b, of_U) = one[0], (grad.squeeze(1) for grad in one[1:])
    of_V_m, of_W_mr = torch.bmm(trace.cells.mT, grad_reads[..., :H]), torch.bmm(trace.messages.mT, grad_reads)
    return into_x, Weights(of_W, of_b, of_U, of_V_m, of_W_mr)
