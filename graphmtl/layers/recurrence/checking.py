"""Whether kernels give here what the loops in PyTorch give: asked before the first of their numbers is used.

A kernel may be right on one GPU, with one version of Triton, and not on the next. So every kernel, as it is compiled
for a device, a dtype and a batch's plan, first reads a few texts of random numbers; where it differs from
:mod:`graphmtl.layers.recurrence.loops_pytorch`, or does not compile, that is said, and those loops do the work. What
was found holds for the process.
"""

import logging
from collections.abc import Callable, Hashable, Sequence
from types import ModuleType

import torch
from torch import Tensor

from graphmtl.layers.packing import Graph, Packing, Weights
from graphmtl.layers.recurrence import loops_pytorch

__all__ = ["message_is_right", "plain_is_right"]

_Read = Callable[[ModuleType], Sequence[Tensor | None]]

_INPUT = 3  # dimensions; no kernel sees them
_LONGEST = 20  # tokens, more than a program has of those whose nodes are their own
_LONGEST_READ = 150  # tokens where those of a text are its nodes, so that these take several tiles
_TOLERANCE = 0.01  # of the largest number of a tensor; products in TF32 are off by a tenth of that
_NOUGHT = 0.1  # no smaller number is the largest: all that is read is about 1

_found: dict[Hashable, bool] = {}


def plain_is_right(loops: ModuleType, U: Tensor, packing: Packing, *, gradients: bool) -> bool:
    """Whether the kernels of K plain LSTMs can be trusted.

    Args:
        loops: what has the kernels.
        U: (D, K, H, 4H), of which shape, dtype and device count.
        packing: of a batch; the number of its texts counts.
        gradients: whether the way back is asked for too.
    """

    def check() -> bool:
        (D, K, H, width), texts, draw = U.shape, _texts(packing, _LONGEST, U.device), _Draw(U)
        N = texts.rows.size(1)
        x, W, b = draw(D, N, _INPUT), draw(D, K, _INPUT, width), draw(D, K, width)
        own, into_states = draw(*U.shape) * H**-0.5, draw(D, N, K, H)

        def read(by: ModuleType) -> Sequence[Tensor | None]:
            states, *kept = by.plain_forward(x, W, b, own, texts, keep=gradients)
            if not gradients:
                return [states]
            return states, *by.plain_backward(x, W, own, states, *kept, into_states, texts, of_x=True)

        return _is_right(f"{K} plain LSTMs", loops, read, U)

    return _once(("plain", U.device, U.dtype, gradients, *loops.plain_kernels(U, packing).items()), check)


def message_is_right(loops: ModuleType, graph: Graph, packing: Packing, *, gradients: bool) -> bool:
    """The same for a message LSTM that reads such a graph."""

    def check() -> bool:
        nodes, A, per_text = graph.nodes, graph.attention, graph.nodes.ndim == 3
        texts, draw = _texts(packing, _LONGEST_READ if per_text else _LONGEST, nodes.device), _Draw(nodes)
        D, N, H = nodes.size(0), texts.rows.size(1), nodes.size(-1)
        x, into_states = draw(D, N, _INPUT), draw(D, N, H)
        weights = Weights(
            W=draw(D, _INPUT, 4 * H + A),
            b=draw(D, 4 * H + A),
            U=draw(D, H, 4 * H + A) * H**-0.5,
            V_m=draw(D, H, H) * H**-0.5,
            W_mr=draw(D, H, 2 * H) * H**-0.5,
        )
        read_nodes = draw(D, N, *nodes.shape[2:])
        keys = {"dot": read_nodes, "static": None}.get(graph.score, draw(*read_nodes.shape[:-1], A))
        u = None if graph.u is None else draw(D, A)
        bias = None if graph.bias is None else draw(nodes.size(2))
        own = Graph(read_nodes, keys, u, bias)

        def read(by: ModuleType) -> Sequence[Tensor | None]:
            trace = by.message_forward(x, weights, own, texts)
            if not gradients:
                return trace
            given = (x, weights, trace, into_states, own, texts)
            into_x, of_weights, of_graph = by.message_backward(*given, of_x=True, of_nodes=True)
            return *trace, into_x, *of_weights, *of_graph

        return _is_right(f"a message LSTM with the {graph.score} score", loops, read, nodes)

    kernels = loops.message_kernels(graph, packing)
    return _once(("message", graph.nodes.device, graph.nodes.dtype, gradients, *kernels.items()), check)


def _once(key: Hashable, check: Callable[[], bool]) -> bool:
    if key not in _found:
        _found[key] = check()
    return _found[key]


def _texts(packing: Packing, longest: int, device: torch.device) -> Packing:
    """As many texts as there are, one of them long and all others short, so that all of it is quickly read."""
    lengths = torch.tensor([longest, *(1 + b % 3 for b in range(1, len(packing.lengths)))])
    return Packing(lengths, longest, device)


class _Draw:
    """Random numbers of the dtype and on the device of a tensor; no other generator is touched."""

    def __init__(self, like: Tensor) -> None:
        self._dtype, self._device = like.dtype, like.device
        self._generator = torch.Generator(like.device).manual_seed(0)

    def __call__(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self._generator, dtype=self._dtype, device=self._device)


def _is_right(what: str, loops: ModuleType, read: _Read, like: Tensor) -> bool:
    """Whether the kernels compile and give the numbers of the loops in PyTorch; where not, it is said."""
    expected = read(loops_pytorch)
    try:
        if _alike(read(loops), expected):
            return True
        failed = "their numbers are not those of the loops in PyTorch"
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # whatever this version of Triton or of a driver raises
        failed = " ".join(f"{type(error).__name__}: {error}".split())[:300]
    logging.getLogger(__name__).warning(
        "no kernels for %s on %s in %s, so training is many times slower: %s", what, like.device, like.dtype, failed
    )
    return False


def _alike(found: Sequence[Tensor | None], expected: Sequence[Tensor | None]) -> bool:
    """Whether no number is off by more than a part of the largest one beside it; NaN is off."""
    pairs = [(own, other) for own, other in zip(found, expected, strict=True) if other is not None and other.numel()]
    off = [(own - other).abs().max() / other.abs().max().clamp_min(_NOUGHT) for own, other in pairs if own is not None]
    return len(off) == len(pairs) and bool((torch.stack(off) <= _TOLERANCE).all())
