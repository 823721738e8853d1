r"""The recurrences as functions with derivatives: K plain LSTMs side by side, and the LSTM that reads messages.

Their loops over tokens stand in three files, with the same functions and the same formulas: in PyTorch (loops.py, for
any device), in C++ (native.py, for the CPU) and in Triton (kernels.py, for GPUs). None of them computes padding. The
gradients of the weights, products over all tokens at once, are computed here. Shapes as in
:mod:`graphmtl.models.packing`.
"""

import logging
import os
from functools import cache
from types import ModuleType

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from graphmtl.models import loops, native
from graphmtl.models.packing import Graph, Packing, Trace

__all__ = ["message_lstm", "plain_lstms"]


@cache
def _kernels() -> ModuleType | None:
    """kernels.py, or None where there is no Triton or GRAPHMTL_NATIVE=0 is set."""
    if os.environ.get("GRAPHMTL_NATIVE") == "0":
        return None
    try:
        from graphmtl.models import kernels
    except ImportError as error:
        logging.getLogger(__name__).warning("no kernels, so training on the GPU is many times slower: %s", error)
        return None
    return kernels


def _backend(x: Tensor, *sizes: int) -> ModuleType:
    """The module whose loops are the fastest for x, of those that can read these dimensions of states and queries."""
    if x.device.type == "cpu":
        return loops if native.load() is None else native
    kernels = _kernels()
    return loops if kernels is None or not kernels.can_read(x, *sizes) else kernels


class _PlainLSTMs(torch.autograd.Function):
    """W x + b as gates (D, N, K, 4H), which are overwritten, and U (D, K, H, 4H) to h (D, N, K, H)."""

    @staticmethod
    def forward(ctx, gates: Tensor, U: Tensor, packing: Packing) -> Tensor:
        keep = any(ctx.needs_input_grad)
        states, cells = _backend(gates, U.size(2)).plain_forward(gates, U, packing, keep=keep)
        ctx.save_for_backward(gates, U, states, cells)
        ctx.packing = packing
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_states: Tensor):
        gates, U, states, cells = ctx.saved_tensors
        backend = _backend(gates, states.size(-1))
        grad_gates = backend.plain_backward(gates, U, cells, grad_states.contiguous(), ctx.packing)
        before = ctx.packing.before(states)
        products = [torch.bmm(h.permute(1, 2, 0), z.transpose(0, 1)) for h, z in zip(before, grad_gates, strict=True)]
        return grad_gates, torch.stack(products), None


class _MessageLSTM(torch.autograd.Function):
    """One message LSTM in D directions.

    Shapes:
        z (D, N, 4H + A): W x + b for the gates and W_q x for the query, overwritten; U (D, H, 4H + A), likewise;
        V_m (D, H, H); W_mr (D, H, 2H), W_m beside W_r; the rest as in :class:`Graph`.
        Returns h (D, N, H), edge weights (D, N, S), the share of the message in what leaves the cell,
        |m_t * W_r r_t| / (|c_t| + |m_t * W_r r_t|), as (D, N), and m_t beside W_r r_t (D, N, 2H); no gradient flows
        through the last three.
    """

    @staticmethod
    def forward(ctx, z, U, V_m, W_mr, nodes, keys, u, bias, packing) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        H, graph = V_m.size(-1), Graph(nodes, keys, u, bias)
        backend = _backend(z, H, graph.attention)
        states, cells, messages, weights, reads = backend.message_forward(z, U, V_m, W_mr, graph, packing)
        ctx.save_for_backward(z, U, V_m, W_mr, nodes, keys, u, bias, states, cells, messages, weights, reads)
        ctx.packing = packing
        message = (reads[..., :H] * reads[..., H:]).norm(dim=-1)  # (D, N)
        share = message / (cells.norm(dim=-1) + message).clamp_min(1e-12)  # (D, N)
        ctx.mark_non_differentiable(weights, share, reads)
        return states, weights, share, reads

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_states, _grad_weights, _grad_share, _grad_reads):
        z, U, V_m, W_mr, nodes, keys, u, bias, states, cells, messages, weights, reads = ctx.saved_tensors
        H, graph, packing = states.size(-1), Graph(nodes, keys, u, bias), ctx.packing
        trace = Trace(z, U, V_m, W_mr, cells, messages, weights, reads)
        way_back = _backend(z, H, graph.attention).message_backward
        grads = way_back(trace, grad_states.contiguous(), graph, packing, of_nodes=ctx.needs_input_grad[4])
        grad_z, grad_reads, grad_keys, grad_nodes, grad_u, grad_bias = grads
        return (
            grad_z,
            torch.bmm(packing.before(states).mT, grad_z),
            torch.bmm(cells.mT, grad_reads[..., :H]),
            torch.bmm(messages.mT, grad_reads),
            grad_nodes,
            grad_keys,
            grad_u,
            grad_bias,
            None,
        )


def _in_full_precision(function: type[torch.autograd.Function], *arguments):
    """Outside autocast: 16 bits are enough for the products before a recurrence, not for a sum over a text."""
    half = (torch.float16, torch.bfloat16)
    arguments = tuple(a.float() if isinstance(a, Tensor) and a.dtype in half else a for a in arguments)
    with torch.autocast(arguments[0].device.type, enabled=False):
        return function.apply(*arguments)


def plain_lstms(gates: Tensor, U: Tensor, packing: Packing) -> Tensor:
    """K plain LSTMs: W x + b as gates (D, N, K, 4H), which are overwritten, and U (D, K, H, 4H) to h (D, N, K, H)."""
    return _in_full_precision(_PlainLSTMs, gates, U.contiguous(), packing)


def message_lstm(z, U, V_m, W_mr, nodes, keys, u, bias, packing: Packing) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The message LSTM; shapes as in :class:`_MessageLSTM`."""
    z, U, V_m, W_mr, nodes, keys, u, bias = (
        None if t is None else t.contiguous() for t in (z, U, V_m, W_mr, nodes, keys, u, bias)
    )
    return _in_full_precision(_MessageLSTM, z, U, V_m, W_mr, nodes, keys, u, bias, packing)
