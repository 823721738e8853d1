"""The loops over tokens in C++ (recurrence.cpp), called through ctypes: as a wheel has brought them (setup.py), or else
compiled the first time they are needed.

Where there is no compiler, or GRAPHMTL_NATIVE=0 is set, :func:`load` gives None and
:mod:`graphmtl.layers.recurrence.loops_pytorch` does the work. The functions are those of loops_pytorch.py.
"""

import ctypes
import logging
import math
import os
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from graphmtl.layers.packing import Graph, Packing, Trace, Weights
from graphmtl.layers.recurrence.compiling import load_library
from graphmtl.layers.recurrence.flags import FLAGS, SOURCES, THREADS, VECTORS

__all__ = ["load", "message_backward", "message_forward", "plain_backward", "plain_forward"]

_HERE = Path(__file__).parent
_FUNCTIONS = ("plain_forward", "plain_backward", "message_forward", "message_backward")
_SUFFIX = {torch.float32: "f32", torch.float64: "f64"}


class _Texts(ctypes.Structure):
    """``Texts`` of recurrence.cpp."""

    _fields_ = [(name, ctypes.c_int64) for name in ("count", "threads", "parts")] + [("starts", ctypes.c_void_p)]


class _Nodes(ctypes.Structure):
    """``Graph`` of recurrence.cpp."""

    _fields_ = [(name, ctypes.c_int64) for name in ("score", "per_text", "S", "A", "H")] + [
        (name, ctypes.c_void_p) for name in ("keys", "nodes", "u", "bias")
    ]


class _Weights(ctypes.Structure):
    """``Weights`` of recurrence.cpp."""

    _fields_ = [("I", ctypes.c_int64), *((name, ctypes.c_void_p) for name in Weights._fields)]


class _Trace(ctypes.Structure):
    """``Trace`` of recurrence.cpp."""

    _fields_ = [(name, ctypes.c_void_p) for name in Trace._fields]


@cache
def load() -> ctypes.CDLL | None:
    """The compiled library, or None."""
    if os.environ.get("GRAPHMTL_NATIVE") == "0":
        return None
    cpu = torch.backends.cpu.get_cpu_capability()
    brought = _brought(cpu)
    if brought is not None:
        return brought
    try:
        return load_library(
            f"graphmtl_recurrence_{cpu.lower()}",
            sources=[_HERE / name for name in SOURCES],
            flags=[*FLAGS, *VECTORS.get(cpu, [])],
            optional=THREADS,
            functions=[f"{name}_{suffix}" for name in _FUNCTIONS for suffix in _SUFFIX.values()],
        )
    except (RuntimeError, OSError) as error:
        why = " ".join(str(error).split())
        logging.getLogger(__name__).warning(
            "no compiled recurrences, so training is several times slower: %s (TORCH_EXTENSIONS_DIR names the folder "
            "for them, CXX the compiler)",
            why,
        )
        return None


def _brought(cpu: str) -> ctypes.CDLL | None:
    """The library that a wheel has brought for a CPU of torch's name, or None."""
    kind = cpu if cpu in VECTORS else "default"
    try:
        return ctypes.CDLL(str(_HERE / f"recurrence_{kind.lower()}.so"))
    except OSError:  # there is none, or what it needs is not here
        return None


def _texts(packing: Packing, recurrences: int) -> _Texts:
    """It points into ``starts``. Texts are divided where threads would idle."""
    threads = torch.get_num_threads()
    parts = min(len(packing.lengths), -(-threads // recurrences))
    return _Texts(len(packing.lengths), threads, parts, packing.starts.data_ptr())


def _factored(graph: Graph) -> Graph:
    """e^(2 k) in the place of an additive score's keys k, where all queries of a text meet the same ones.

    Far from overflow: beyond that every tanh is 1 or -1.
    """
    if graph.score != "additive" or graph.nodes.ndim == 4:
        return graph
    assert graph.keys is not None
    limit = math.log(torch.finfo(graph.keys.dtype).max) / 2 - 1
    return graph._replace(keys=graph.keys.clamp(-limit, limit).mul_(2).exp_())


def _nodes(graph: Graph, packing: Packing) -> _Nodes:
    """It points into the graph's tensors, the keys being those of :func:`_factored`."""
    score = ("additive", "dot", "static").index(graph.score)
    tensors = (_address(t) for t in (graph.keys, graph.nodes, graph.u, graph.bias))
    H = graph.nodes.size(-1)
    return _Nodes(score, graph.nodes.ndim == 3, graph.size(packing), graph.attention, H, *tensors)


def _weights(weights: Weights) -> _Weights:
    return _Weights(weights.W.size(-2), *map(_address, weights))


def _trace(trace: Trace) -> _Trace:
    return _Trace(*map(_address, trace))


def plain_forward(x: Tensor, W: Tensor, b: Tensor, U: Tensor, packing: Packing, *, keep: bool):
    """:func:`graphmtl.layers.recurrence.loops_pytorch.plain_forward`; the gates and cells are (D, K, N, ...)."""
    (D, N, I), K, H = x.shape, W.size(1), U.size(2)
    states = x.new_empty(D, N, K, H)
    gates, cells = (x.new_empty(D, K, N, width) if keep else None for width in (4 * H, H))
    _call("plain_forward", _texts(packing, D * K), D, K, I, H, x, W, b, U, states, gates, cells)
    return states, gates, cells


def plain_backward(x, W, U, states, gates, cells, grad_states: Tensor, packing: Packing, *, of_x: bool):
    """:func:`graphmtl.layers.recurrence.loops_pytorch.plain_backward`."""
    (D, N, I), K, H = x.shape, W.size(1), U.size(2)
    texts = _texts(packing, D * K)
    grad_x = x.new_empty(D, K, N, I) if of_x else None
    grads = [x.new_zeros(D, K, texts.parts, *shape) for shape in ((I, 4 * H), (4 * H,), (H, 4 * H))]
    _call("plain_backward", texts, D, K, I, H, x, W, U, states, gates, cells, grad_states, grad_x, *grads)
    return None if grad_x is None else _sum(grad_x, 1), *(_sum(grad, 2) for grad in grads)


def message_forward(x: Tensor, weights: Weights, graph: Graph, packing: Packing) -> Trace:
    """:func:`graphmtl.layers.recurrence.loops_pytorch.message_forward`."""
    (D, N, _), H = x.shape, weights.V_m.size(-1)
    z, states, cells, messages, reads = (x.new_empty(D, N, width) for width in (weights.U.size(-1), H, H, H, 2 * H))
    edges, shares = x.new_zeros(D, N, graph.size(packing)), x.new_empty(D, N, 1)
    trace = Trace(z, states, cells, messages, edges, reads, shares)
    graph = _factored(graph)
    _call("message_forward", _texts(packing, D), D, _nodes(graph, packing), _weights(weights), x, _trace(trace))
    return trace


def message_backward(x, weights, trace, grad_states: Tensor, graph, packing: Packing, *, of_x: bool, of_nodes: bool):
    """:func:`graphmtl.layers.recurrence.loops_pytorch.message_backward`."""
    D, texts = x.size(0), _texts(packing, x.size(0))
    grad_x = torch.empty_like(x) if of_x else None
    grads = Weights(*(x.new_zeros(D, texts.parts, *weight.shape[1:]) for weight in weights))
    grad_nodes, additive = torch.zeros_like(graph.nodes) if of_nodes else None, graph.u is not None
    grad_keys = torch.zeros_like(graph.keys) if additive else None
    grad_u = x.new_zeros(D, texts.parts, graph.attention) if additive else None
    grad_bias = None if graph.bias is None else x.new_zeros(D * texts.parts, graph.size(packing))
    graph = _factored(graph)
    given = (_nodes(graph, packing), _weights(weights), x, _trace(trace), grad_states)
    _call("message_backward", texts, D, *given, grad_x, _weights(grads), grad_keys, grad_nodes, grad_u, grad_bias)
    sums = (None if grad_u is None else grad_u.sum(1), None if grad_bias is None else grad_bias.sum(0))
    of_graph = Graph(grad_nodes, grad_keys, *sums)  # type: ignore[arg-type]  # nodes without one
    return grad_x, Weights(*(_sum(grad, 1) for grad in grads)), of_graph


def _sum(parts: Tensor, dim: int) -> Tensor:
    return parts.squeeze(dim) if parts.size(dim) == 1 else parts.sum(dim)


def _address(tensor: Tensor | None) -> int | None:
    """Where a contiguous tensor's data begin."""
    assert tensor is None or tensor.is_contiguous()
    return None if tensor is None else tensor.data_ptr()


def _call(name: str, *arguments: ctypes.Structure | int | Tensor | None) -> None:
    """Calls a function of the library; ctypes lets other Python threads run meanwhile."""
    dtype = next(argument.dtype for argument in arguments if isinstance(argument, Tensor))
    plain = [a if isinstance(a, ctypes.Structure) else _argument(a) for a in arguments]
    getattr(load(), f"{name}_{_SUFFIX[dtype]}")(*plain)


def _argument(value: int | Tensor | None) -> ctypes.c_int64 | ctypes.c_void_p:
    return ctypes.c_int64(value) if isinstance(value, int) else ctypes.c_void_p(_address(value))
