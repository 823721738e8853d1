"""The loops over tokens in C++ (recurrence.cpp), compiled the first time they are needed and called through ctypes.

torch's own extension builder compiles them (seconds) and keeps the result in its cache folder. Where there is no
compiler, or GRAPHMTL_NATIVE=0 is set, :func:`load` gives None and :mod:`graphmtl.models.loops` does the work. The
functions are those of loops.py.
"""

import ctypes
import logging
import os
import sys
import zlib
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from graphmtl.models.packing import Graph, Packing, Trace

__all__ = ["load", "message_backward", "message_forward", "plain_backward", "plain_forward"]

_SOURCE = Path(__file__).with_name("recurrence.cpp")
_FLAGS = ["-O3", "-fno-math-errno", "-fno-trapping-math", "-fopenmp-simd"]
_VECTORS = {"AVX2": ["-mavx2", "-mfma"], "AVX512": ["-mavx512f", "-mavx512dq", "-mfma"]}  # by torch's name for the CPU
_SUFFIX = {torch.float32: "f32", torch.float64: "f64"}


class _Texts(ctypes.Structure):
    """``Texts`` of recurrence.cpp."""

    _fields_ = [(name, ctypes.c_int64) for name in ("count", "threads", "parts")] + [("starts", ctypes.c_void_p)]


class _Nodes(ctypes.Structure):
    """``Graph`` of recurrence.cpp."""

    _fields_ = [(name, ctypes.c_int64) for name in ("score", "per_text", "S", "A", "H")] + [
        (name, ctypes.c_void_p) for name in ("keys", "nodes", "u", "bias")
    ]


@cache
def load() -> ctypes.CDLL | None:
    """The compiled library, or None."""
    if os.environ.get("GRAPHMTL_NATIVE") == "0":
        return None
    cpu = torch.backends.cpu.get_cpu_capability()
    # ninja's place where nobody activated the environment
    os.environ["PATH"] = os.pathsep.join([os.environ.get("PATH", os.defpath), str(Path(sys.executable).parent)])
    try:
        from torch.utils import cpp_extension  # needs setuptools, which not every environment has

        path = cpp_extension.load(
            # the cache folder may be shared by machines of several kinds and by several versions of graphmtl
            name=f"graphmtl_recurrence_{cpu.lower()}_{zlib.crc32(_SOURCE.read_bytes()):08x}",
            sources=[str(_SOURCE)],
            extra_cflags=_FLAGS + _VECTORS.get(cpu, []),
            is_python_module=False,
        )
        return ctypes.CDLL(str(path))
    except (ImportError, RuntimeError, OSError) as error:
        logging.getLogger(__name__).warning("no compiled recurrences, so training is several times slower: %s", error)
        return None


def _texts(packing: Packing, recurrences: int) -> _Texts:
    """It points into ``starts``. Texts are divided where threads would idle."""
    threads = torch.get_num_threads()
    parts = min(len(packing.lengths), -(-threads // recurrences))
    return _Texts(len(packing.lengths), threads, parts, packing.starts.data_ptr())


def _nodes(graph: Graph, packing: Packing) -> _Nodes:
    score = ("additive", "dot", "static").index(graph.score)
    tensors = (_address(t) for t in (graph.keys, graph.nodes, graph.u, graph.bias))
    H = graph.nodes.size(-1)
    return _Nodes(score, graph.nodes.ndim == 3, graph.size(packing), graph.attention, H, *tensors)


def plain_forward(gates: Tensor, U: Tensor, packing: Packing, *, keep: bool) -> tuple[Tensor, Tensor | None]:
    """:func:`graphmtl.models.loops.plain_forward`."""
    (D, N, K, _), H = gates.shape, U.size(2)
    states, cells = gates.new_empty(D, N, K, H), gates.new_empty(D, N, K, H) if keep else None
    _call("plain_forward", _texts(packing, D * K), D, K, H, gates, U, states, cells, dtype=gates.dtype)
    return states, cells


def plain_backward(gates: Tensor, U: Tensor, cells: Tensor, grad_states: Tensor, packing: Packing) -> Tensor:
    """:func:`graphmtl.models.loops.plain_backward`."""
    D, _, K, H = cells.shape
    grad_gates = torch.empty_like(gates)
    arguments = (gates, U, cells, grad_states, grad_gates)
    _call("plain_backward", _texts(packing, D * K), D, K, H, *arguments, dtype=gates.dtype)
    return grad_gates


def message_forward(z: Tensor, U: Tensor, V_m: Tensor, W_mr: Tensor, graph: Graph, packing: Packing):
    """:func:`graphmtl.models.loops.message_forward`."""
    (D, N, _), H = z.shape, V_m.size(-1)
    states, cells, messages = (z.new_empty(D, N, H) for _ in range(3))
    weights, reads = z.new_zeros(D, N, graph.size(packing)), z.new_empty(D, N, 2 * H)
    arguments = (z, U, V_m, W_mr, states, cells, messages, weights, reads)
    _call("message_forward", _texts(packing, D), D, _nodes(graph, packing), *arguments, dtype=z.dtype)
    return states, cells, messages, weights, reads


def message_backward(trace: Trace, grad_states: Tensor, graph: Graph, packing: Packing, *, of_nodes: bool):
    """:func:`graphmtl.models.loops.message_backward`."""
    z, U, V_m, W_mr, cells, _, weights, reads = trace
    D, texts = z.size(0), _texts(packing, z.size(0))
    grad_z, grad_reads = torch.empty_like(z), torch.empty_like(reads)
    grad_nodes, additive = torch.zeros_like(graph.nodes) if of_nodes else None, graph.u is not None
    grad_keys = graph.nodes.new_zeros(*graph.nodes.shape[:-1], graph.attention) if additive else None
    grad_u = z.new_zeros(D, texts.parts, graph.attention) if additive else None
    grad_bias = None if graph.bias is None else z.new_zeros(D * texts.parts, weights.size(-1))
    arguments = (z, U, V_m, W_mr, cells, weights, reads, grad_states)
    results = (grad_z, grad_reads, grad_keys, grad_nodes, grad_u, grad_bias)
    _call("message_backward", texts, D, _nodes(graph, packing), *arguments, *results, dtype=z.dtype)
    sums = (None if grad_u is None else grad_u.sum(1), None if grad_bias is None else grad_bias.sum(0))
    return grad_z, grad_reads, grad_keys, grad_nodes, *sums


def _address(tensor: Tensor | None) -> int | None:
    """Where a contiguous tensor's data begin."""
    assert tensor is None or tensor.is_contiguous()
    return None if tensor is None else tensor.data_ptr()


def _call(name: str, *arguments: ctypes.Structure | int | Tensor | None, dtype: torch.dtype) -> None:
    """Calls a function of the library; ctypes lets other Python threads run meanwhile."""
    plain = [a if isinstance(a, ctypes.Structure) else _argument(a) for a in arguments]
    getattr(load(), f"{name}_{_SUFFIX[dtype]}")(*plain)


def _argument(value: int | Tensor | None) -> ctypes.c_int64 | ctypes.c_void_p:
    return ctypes.c_int64(value) if isinstance(value, int) else ctypes.c_void_p(_address(value))
