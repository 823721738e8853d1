"""The loops over tokens in Triton, for GPUs, where launches and waiting and not arithmetic are the cost of a recurrence.

A batch takes one launch each way: its programs, as many as the GPU can run at once, share out the texts and the hidden
units, and wait for one another at every token, as :mod:`graphmtl.layers.recurrence.kernels` says. Where they cannot wait
(without a GPU there is nothing at once), every stage of every token is a launch of its own. What is a sum over tokens
is computed after the loop. The functions are those of :mod:`graphmtl.layers.recurrence.loops_pytorch`, and so are the
formulas.
"""

from functools import cache
from typing import NamedTuple

import torch
import triton
from torch import Tensor

from graphmtl.layers.packing import Graph, Packing, Trace, Weights
from graphmtl.layers.recurrence import kernels
from graphmtl.layers.recurrence.products import message_gradients, plain_gradients, product_with_tokens

__all__ = ["can_read", "message_backward", "message_forward", "plain_backward", "plain_forward"]

_MOST = 512  # hidden units, or dimensions of the query
_TILE = 8192  # numbers in a tile of nodes
_MATRIX = 4096  # numbers in a part of a matrix
_MOST_PARTS = 16  # of a text's nodes
_TEXTS = 8  # of a group, where there are multiprocessors for so few
_MOST_PROGRAMS = 16  # of a group
_ALL = 7  # stages


def can_read(x: Tensor, *sizes: int) -> bool:
    """Whether the kernels are made for x and for states and queries of these dimensions."""
    return x.dtype in (torch.float32, torch.float64) and max(sizes) <= _MOST


class Plan(NamedTuple):
    """How a recurrence is shared out.

    Attributes:
        groups: of programs that wait for one another.
        programs: in a group.
        texts: of a group.
        units: hidden units of a program.
        tile: texts that a program computes at a time.
        warps: of a program.
    """

    groups: int
    programs: int
    texts: int
    units: int
    tile: int = 8
    warps: int = 8

    def choices(self, how: str, columns: int) -> dict:
        """What a kernel is compiled for."""
        return {
            "GROUP": self.programs,
            "UNITS": self.units,
            "TILE": self.tile,
            "PART": min(512, max(16, _MATRIX // (columns * self.units))),
            "HOW": how,
            "num_warps": self.warps,
        }


@cache
def _multiprocessors(device: torch.device) -> int:
    return torch.cuda.get_device_properties(device).multi_processor_count if device.type == "cuda" else 8


def _plan(texts: int, recurrences: int, units: int, device: torch.device) -> Plan:
    """A group for some texts, and as many programs in a group as there are multiprocessors and units for."""
    most = max(1, _multiprocessors(device) // recurrences)
    of_a_group = triton.cdiv(texts, min(most, triton.cdiv(texts, _TEXTS)))
    groups = triton.cdiv(texts, of_a_group)
    programs = max(1, min(most // groups, _MOST_PROGRAMS, triton.cdiv(units, 8)))
    tile = min(16, triton.next_power_of_2(of_a_group))
    return Plan(groups, programs, of_a_group, triton.next_power_of_2(triton.cdiv(units, programs)), tile)


def _how(x: Tensor, plan: Plan) -> str:
    """Whether products are taken as such or as sums, which are faster where a program has few columns."""
    return "ieee" if plan.programs == 1 and x.dtype == torch.float32 else "sums"


def _padded(size: int) -> int:
    return max(16, triton.next_power_of_2(size))


def _below(number: int) -> int:
    """The largest power of 2 that is not above, and 1 where there is none."""
    return 1 << max(0, number.bit_length() - 1)


def _run(kernel, grid: tuple[int, ...], arguments: tuple, tokens: int, stages: tuple[int, ...], backward: bool, choices):
    """All tokens in one launch, whose programs wait for one another; else a launch for every stage of every token."""
    at_once = choices["GROUP"] == 1 or arguments[0].is_cuda
    with torch.cuda.device_of(arguments[0]):
        if at_once:
            together = {"launch_cooperative_grid": True} if choices["GROUP"] > 1 else {}
            kernel[grid](*arguments, 0, tokens, **choices, **together, STAGES=_ALL)
            return
        for t in reversed(range(tokens)) if backward else range(tokens):
            for stage in stages:
                kernel[grid](*arguments, t, t + 1, **choices, STAGES=stage)


def plain_forward(x: Tensor, W: Tensor, b: Tensor, U: Tensor, packing: Packing, *, keep: bool):
    """:func:`graphmtl.layers.recurrence.loops_pytorch.plain_forward`."""
    gates = product_with_tokens(x, W, b)  # (D, N, K, 4H)
    (D, N, K, _), H, B = gates.shape, U.size(2), len(packing.lengths)
    states, cells = gates.new_empty(2, D, N, K, H)
    plan = _plan(B, D * K, H, gates.device)
    counters = torch.zeros(D * K * plan.groups, dtype=torch.int32, device=gates.device)
    arguments = (gates, _by_unit(U, 4), states, cells, packing.longest_first, counters, B, N, K, plan.texts)
    choices = {"H": H, **plan.choices(_how(gates, plan), 4)}
    grid, tokens = (plan.groups * plan.programs, K, D), int(packing.lengths.max())
    _run(kernels.plain_forward, grid, arguments, tokens, (1,), False, choices)
    return states, gates if keep else None, cells if keep else None


def plain_backward(x, W, U, states, gates, cells, grad_states: Tensor, packing: Packing, *, of_x: bool):
    """:func:`graphmtl.layers.recurrence.loops_pytorch.plain_backward`."""
    (D, N, K, H), B = cells.shape, len(packing.lengths)
    grad_gates, grad_cells = torch.empty_like(gates), cells.new_empty(D, K, B, H)
    plan = _plan(B, D * K, H, gates.device)
    counters = torch.zeros(D * K * plan.groups, dtype=torch.int32, device=gates.device)
    U_T = U.mT.contiguous()
    arguments = (gates, U_T, cells, grad_states, grad_gates, grad_cells, packing.longest_first, counters, B, N, K, plan.texts)
    choices = {"H": H, **plan.choices(_how(gates, plan), 1)}
    grid, tokens = (plan.groups * plan.programs, K, D), int(packing.lengths.max())
    _run(kernels.plain_backward, grid, arguments, tokens, (1,), True, choices)
    return plain_gradients(grad_gates, x, W, packing.before(states), of_x=of_x)


def _by_unit(matrix: Tensor, parts: int) -> Tensor:
    """(..., parts * H) to the same, the parts of a unit side by side."""
    return matrix.unflatten(-1, (parts, -1)).transpose(-1, -2).flatten(-2).contiguous()


def _choices(graph: Graph, plan: Plan) -> dict:
    """What a message kernel is compiled for."""
    H, A = graph.nodes.size(-1), graph.attention
    HP, AP, per_text = _padded(H), _padded(A), graph.nodes.ndim == 3
    rows = _TILE // max(HP, AP)
    return {
        "H": H,
        "A": A,
        "HP": HP,
        "AP": AP,
        "PARTS": _below(min(plan.programs // plan.texts, _MOST_PARTS)) if per_text else 1,
        "ROWS": rows if per_text else min(rows, _padded(graph.nodes.size(2))),
        "SCORE": ("additive", "dot", "static").index(graph.score),
        "BIAS": graph.bias is not None,
        "PER_TEXT": per_text,
    }


def message_forward(x: Tensor, weights: Weights, graph: Graph, packing: Packing) -> Trace:
    """:func:`graphmtl.layers.recurrence.loops_pytorch.message_forward`."""
    z = product_with_tokens(x, weights.W.unsqueeze(1), weights.b.unsqueeze(1)).squeeze(2)  # (D, N, 4H + A)
    (D, N, _), H, S, B = z.shape, weights.V_m.size(-1), graph.size(packing), len(packing.lengths)
    plan = _plan(B, D, H + triton.cdiv(graph.attention, 4), z.device)
    choices = _choices(graph, plan)
    P = choices["PARTS"]
    states, cells, messages = z.new_empty(3, D, N, H)
    reads, scores, sums = z.new_empty(D, N, 2 * H), z.new_full((D, N, S), -torch.inf), z.new_empty(D, N, 1)
    tops, totals, said = z.new_empty(D, B, P), z.new_empty(D, B, P), z.new_empty(D, B, P, H)
    counters = torch.zeros(D * plan.groups, dtype=torch.int32, device=z.device)
    U = torch.cat([_by_unit(weights.U[..., : 4 * H], 4), weights.U[..., 4 * H :]], -1)
    nothing = z  # where an address is asked for, and never read
    keys, u, bias = (nothing if t is None else t for t in (graph.keys, graph.u, graph.bias))
    arguments = (
        z, U, weights.V_m, _by_unit(weights.W_mr, 2), keys, graph.nodes, u, bias, states, cells, messages, scores, sums,
        reads, tops, totals, said, packing.longest_first, counters, B, N, S, plan.texts,
    )  # fmt: skip
    grid, tokens = (plan.groups * plan.programs, D), int(packing.lengths.max())
    _run(kernels.message_forward, grid, arguments, tokens, (1, 2, 4), False, choices | plan.choices(_how(z, plan), 4))
    m, v = reads.chunk(2, -1)  # (D, N, H)
    spoken, kept = (a.norm(dim=-1, keepdim=True) for a in (m * v, cells))  # (D, N, 1)
    edges = scores.sub_(sums).exp_()  # (D, N, S)
    return Trace(z, states, cells, messages, edges, reads, spoken / (kept + spoken).clamp_min(1e-12))


def message_backward(x, weights, trace, grad_states: Tensor, graph, packing: Packing, *, of_x: bool, of_nodes: bool):
    """:func:`graphmtl.layers.recurrence.loops_pytorch.message_backward`."""
    z, (D, N, H), S, A, B = trace.z, trace.cells.shape, graph.size(packing), graph.attention, len(packing.lengths)
    plan = _plan(B, D, H + triton.cdiv(graph.attention, 4), z.device)
    choices = _choices(graph, plan)
    grad_z, grad_reads, grad_scores = torch.empty_like(z), torch.empty_like(trace.reads), z.new_zeros(D, N, S)
    into_messages, into_queries = z.new_empty(D, N, H), z.new_empty(choices["PARTS"], D, N, A)
    begins, grad_cells = packing.longest_first, z.new_empty(D, B, H)
    counters = torch.zeros(D * plan.groups, dtype=torch.int32, device=z.device)
    nothing = z
    keys, u = (nothing if t is None else t for t in (graph.keys, graph.u))
    of_c = torch.cat([weights.V_m.mT, torch.zeros_like(weights.V_m)], 1)  # (D, 2H, H)
    W_T = torch.stack([weights.W_mr.mT, of_c], -1)  # (D, 2H, H, 2)
    U_T = weights.U.mT.contiguous()  # (D, 4H + A, H)
    arguments = (
        z, U_T, W_T.contiguous(), *trace[2:6], grad_states, keys, graph.nodes,
        u, grad_z, grad_reads, grad_scores, into_messages, into_queries, grad_cells, begins, counters, B, N, S, plan.texts,
    )  # fmt: skip
    grid, tokens = (plan.groups * plan.programs, D), int(packing.lengths.max())
    _run(kernels.message_backward, grid, arguments, tokens, (1, 2, 4), True, choices | plan.choices(_how(z, plan), 2))
    grad_z[..., 4 * H :] = into_queries.sum(0)
    grad_nodes = _node_gradients(trace, into_messages, grad_scores, graph, packing) if of_nodes else None
    grad_keys, grad_u = _key_gradients(z, grad_scores, graph, packing, begins) if graph.score == "additive" else (None,) * 2
    grad_bias = None if graph.bias is None else grad_scores.sum((0, 1))
    of_graph = Graph(grad_nodes, grad_keys, grad_u, grad_bias)  # type: ignore[arg-type]
    return *message_gradients(grad_z, grad_reads, x, weights, trace, packing, of_x=of_x), of_graph


def _node_gradients(trace: Trace, into_messages: Tensor, grad_scores: Tensor, graph: Graph, packing: Packing) -> Tensor:
    """Those of the nodes, which are the sums of what every token sends back; with the dot score also through that."""
    A, dot = graph.attention, graph.score == "dot"
    queries = trace.z[..., -A:] * A**-0.5 if dot else None  # (D, N, A)
    if graph.nodes.ndim == 4:
        grad = trace.weights.unsqueeze(-1) * into_messages.unsqueeze(2)  # (D, N, S, H)
        return grad if queries is None else grad.addcmul_(grad_scores.unsqueeze(-1), queries.unsqueeze(2))
    weights, messages = _by_text(trace.weights, packing), _by_text(into_messages, packing)
    grad = weights.mT @ messages  # (D, B, S, H)
    if queries is not None:
        grad += _by_text(grad_scores, packing).mT @ _by_text(queries, packing)
    return grad.flatten(1, 2)[:, _places(packing)]


def _places(packing: Packing) -> Tensor:
    """Where every token stands in texts that are padded to the longest one: (N,)."""
    rows, longest = packing.rows[0], int(packing.lengths.max())
    return rows if longest == packing.tokens else rows // packing.tokens * longest + rows % packing.tokens


def _by_text(values: Tensor, packing: Packing) -> Tensor:
    """(D, N, ...) to (D, B, T, ...), 0 at padding."""
    B, longest = len(packing.lengths), int(packing.lengths.max())
    if B * longest == values.size(1):
        return values.unflatten(1, (B, longest))
    padded = values.new_zeros(values.size(0), B * longest, values.size(-1))
    return padded.index_copy_(1, _places(packing), values).unflatten(1, (B, longest))


def _key_gradients(z, grad_scores, graph: Graph, packing: Packing, begins: Tensor) -> tuple[Tensor, Tensor]:
    """Those of the keys and of u."""
    keys, u, (D, N, S), H = graph.keys, graph.u, grad_scores.shape, graph.nodes.size(-1)
    A, AP, B = graph.attention, _padded(graph.attention), len(packing.lengths)
    grad_keys = torch.empty_like(keys)
    rows = 4096 // AP
    with torch.cuda.device_of(z):
        if keys.ndim == 3:
            tiles = triton.cdiv(S, rows)
            grad_u = z.new_empty(D, B * tiles, A)
            arguments = (z, keys, u, grad_scores, grad_keys, grad_u, begins, B, N, S)
            kernels.keys_of_texts[tiles, B, D](*arguments, H=H, A=A, AP=AP, ROWS=rows, num_warps=4)
        else:
            programs = triton.cdiv(N, 16)
            grad_u = z.new_empty(D, programs, A)
            rows, arguments = min(rows, _padded(S)), (z, keys, u, grad_scores, grad_keys, grad_u, N, S)
            kernels.keys_of_tokens[programs, D](*arguments, H=H, A=A, AP=AP, ROWS=rows, TOKENS=16, num_warps=4)
    return grad_keys, grad_u.sum(1)
