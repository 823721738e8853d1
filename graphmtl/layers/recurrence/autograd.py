r"""The recurrences as functions with derivatives: K plain LSTMs side by side, and the LSTM that reads messages.

Their loops over tokens stand in three files, with the same functions and the same formulas: in PyTorch
(loops_pytorch.py, for any device), in C++ (loops_cpp.py, for the CPU) and in Triton (loops_triton.py, for GPUs). None
of them computes padding, and none looks whether what it is given fits together: that is done here, once. Shapes as in
:mod:`graphmtl.layers.packing`.
"""

import logging
import os
from collections.abc import Callable
from functools import cache, partial
from types import ModuleType

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from graphmtl.layers.packing import Graph, Packing, Trace, Weights
from graphmtl.layers.recurrence import loops_cpp, loops_pytorch
from graphmtl.layers.recurrence.checking import message_is_right, plain_is_right
from graphmtl.layers.shapes import check_alike, check_shape

__all__ = ["message_lstm", "plain_lstms"]


@cache
def _triton() -> ModuleType | None:
    """loops_triton.py, or None where there is no Triton or GRAPHMTL_NATIVE=0 is set."""
    if os.environ.get("GRAPHMTL_NATIVE") == "0":
        return None
    try:
        from graphmtl.layers.recurrence import loops_triton
    except ImportError as error:
        logging.getLogger(__name__).warning("no kernels, so training on the GPU is many times slower: %s", error)
        return None
    return loops_triton


def _backend(x: Tensor, is_right: Callable[[ModuleType], bool], *sizes: int) -> ModuleType:
    """The module whose loops are the fastest for x, of those that can read these dimensions of states and queries.

    Kernels are used where ``is_right`` says so of them.
    """
    if x.device.type == "cpu":
        return loops_pytorch if loops_cpp.load() is None else loops_cpp
    triton = _triton()
    return loops_pytorch if triton is None or not triton.can_read(x, *sizes) or not is_right(triton) else triton


def _plain_loops(U: Tensor, packing: Packing, *, gradients: bool) -> ModuleType:
    is_right = partial(plain_is_right, U=U, packing=packing, gradients=gradients)
    return _backend(U, is_right, U.size(2))


def _message_loops(hidden: int, graph: Graph, packing: Packing, *, gradients: bool) -> ModuleType:
    """The same for a message LSTM; a score that the fast loops do not know is left to PyTorch."""
    if graph.score == "own":
        return loops_pytorch
    is_right = partial(message_is_right, graph=graph, packing=packing, gradients=gradients)
    return _backend(graph.nodes, is_right, hidden, graph.attention)


class _PlainLSTMs(torch.autograd.Function):
    """x (D, N, I), W (D, K, I, 4H), b (D, K, 4H) and U (D, K, H, 4H) to h (D, N, K, H)."""

    @staticmethod
    def forward(ctx, x: Tensor, W: Tensor, b: Tensor, U: Tensor, packing: Packing, keep: bool) -> Tensor:
        ctx.loops, ctx.packing = _plain_loops(U, packing, gradients=keep), packing
        states, gates, cells = ctx.loops.plain_forward(x, W, b, U, packing, keep=keep)
        ctx.save_for_backward(x, W, U, states, gates, cells)
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_states: Tensor):
        *saved, states, gates, cells = ctx.saved_tensors
        given = (*saved, states, gates, cells, grad_states.contiguous(), ctx.packing)
        return *ctx.loops.plain_backward(*given, of_x=ctx.needs_input_grad[0]), None, None


class _MessageLSTM(torch.autograd.Function):
    """One message LSTM in D directions.

    Shapes:
        x (D, N, I), then those of :class:`Weights` and of :class:`Graph`.
        Returns h (D, N, H), and of the trace the edge weights (D, N, S), the shares (D, N, 1) and the reads (D, N, 2H);
        no gradient flows through these three.
    """

    @staticmethod
    def forward(
        ctx, x, W, b, U, V_m, W_mr, nodes, keys, u, bias, own, packing, keep
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        weights, graph = Weights(W, b, U, V_m, W_mr), Graph(nodes, keys, u, bias, own)
        ctx.loops = _message_loops(V_m.size(-1), graph, packing, gradients=keep)
        trace = ctx.loops.message_forward(x, weights, graph, packing)
        ctx.save_for_backward(x, *weights, nodes, keys, u, bias, *trace)
        ctx.packing, ctx.own = packing, own
        recorded = trace.weights, trace.shares, trace.reads
        ctx.mark_non_differentiable(*recorded)
        return trace.states, *recorded

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_states, *_nothing):
        x, *saved = ctx.saved_tensors
        weights, graph, trace = Weights(*saved[:5]), Graph(*saved[5:9])._replace(own=ctx.own), Trace(*saved[9:])
        given = (x, weights, trace, grad_states.contiguous(), graph, ctx.packing)
        of = {"of_x": ctx.needs_input_grad[0], "of_nodes": ctx.needs_input_grad[6]}
        grad_x, of_weights, of_graph = ctx.loops.message_backward(*given, **of)
        return grad_x, *of_weights, *of_graph, None, None


def _apply(function: type[torch.autograd.Function], x: Tensor, W: Tensor, *others):
    """Outside autocast, and in full precision but for x W on a GPU: 16 bits are enough before a recurrence.

    The function's last argument is whether there will be a way back.
    """
    device, half = x.device.type, (torch.float16, torch.bfloat16)
    tensors = (each for each in (x, W, *others) if isinstance(each, Tensor))
    keep = torch.is_grad_enabled() and any(each.requires_grad for each in tensors)
    full = tuple(a.float() if isinstance(a, Tensor) and a.dtype in half else a for a in (x, W, *others))
    x, W, *others = (a.contiguous() if isinstance(a, Tensor) else a for a in full)  # type: ignore[assignment]
    if device != "cpu" and torch.is_autocast_enabled(device):
        x, W = (a.to(torch.get_autocast_dtype(device)) for a in (x, W))
    with torch.autocast(device, enabled=False):
        return function.apply(x, W, *others, keep)


def plain_lstms(x: Tensor, W: Tensor, b: Tensor, U: Tensor, packing: Packing) -> Tensor:
    """K plain LSTMs: x (D, N, I), W (D, K, I, 4H), b (D, K, 4H) and U (D, K, H, 4H) to h (D, N, K, H), of U's dtype.

    Raises:
        InputError: they do not fit together.
    """
    check_shape("W", W, "D", "K", "I", "4H")
    D, K, I, width = W.shape
    check_shape("U", U, D, K, width // 4, width)
    check_shape("b", b, D, K, width)
    check_shape("x", x, D, packing.rows.size(1), I)
    for name, tensor in (("x", x), ("W", W), ("b", b)):
        check_alike(name, tensor, U)
    return _apply(_PlainLSTMs, x, W, b, U, packing).to(U.dtype)


def message_lstm(x: Tensor, weights: Weights, graph: Graph, packing: Packing) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The message LSTM; x (D, N, I), and what comes back is that of :class:`_MessageLSTM`, h of V_m's dtype.

    Raises:
        InputError: they do not fit together.
    """
    check_shape("V_m", weights.V_m, "D", "H", "H")
    (D, _, H), N, I, A = weights.V_m.shape, packing.rows.size(1), weights.W.size(1), graph.attention
    nodes = (D, N, H) if graph.nodes.ndim != 4 else (D, N, graph.nodes.size(2), H)
    given = {"x": x, **weights._asdict(), **graph._asdict()}
    shapes = {
        "x": (D, N, I),
        "W": (D, I, 4 * H + A),
        "b": (D, 4 * H + A),
        "U": (D, H, 4 * H + A),
        "V_m": (D, H, H),
        "W_mr": (D, H, 2 * H),
        "nodes": nodes,
        "keys": (*graph.nodes.shape[:-1], A),
        "u": (D, A),
        "bias": (graph.size(packing),),
    }
    for name, shape in shapes.items():
        if given[name] is not None:
            check_shape(name, given[name], *shape)
            check_alike(name, given[name], weights.V_m)
    states, *recorded = _apply(_MessageLSTM, x, *weights, *graph, packing)
    return states.to(weights.V_m.dtype), *recorded
