"""The loops over tokens in Triton, for GPUs, where launches and not arithmetic are the cost of a recurrence.

One program reads one text in one direction from its first token to its last (of K plain LSTMs: with one of them), so
that a batch takes one launch each way and texts of different lengths need no padding. The weights, which all programs
read at every token, stay in the cache. No product goes through tensor cores, so nothing is rounded to less than the
dtype. The functions are those of :mod:`graphmtl.layers.recurrence.loops_pytorch`, and so are the formulas.

Names in the kernels: HP, AP: H and A up to the next power of two; ``inside``, ``within``: what of them is there; ROWS:
nodes that are read at a time. A vector that is multiplied with a matrix is read back from memory in parts, and so must
have been written before, as what is overwritten must have been read, by all threads of the program: hence the barriers.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from graphmtl.layers.packing import Graph, Packing, Trace, Weights
from graphmtl.layers.recurrence.products import message_gradients, plain_gradients, product_with_tokens

__all__ = ["can_read", "message_backward", "message_forward", "plain_backward", "plain_forward"]

_MOST = 512  # hidden units, or dimensions of the query
_TILE = 4096  # numbers in a tile of nodes
_PART = tl.constexpr(16)  # rows of a matrix that are read at a time
_ADDITIVE, _DOT, _STATIC = tl.constexpr(0), tl.constexpr(1), tl.constexpr(2)


def can_read(x: Tensor, *sizes: int) -> bool:
    """Whether the kernels are made for x and for states and queries of these dimensions."""
    return x.dtype in (torch.float32, torch.float64) and max(sizes) <= _MOST


# ------------------------------------------------------------------------------------------------------ cell, products


@triton.jit
def _sigmoid(x):
    return 1 / (1 + tl.exp(-x))


@triton.jit
def _tanh(x):
    return 2 / (1 + tl.exp(-2 * x)) - 1


@triton.jit
def _zeros_like(x, column):
    """(PART, width of column) zeros in x's dtype."""
    return tl.zeros((_PART, column.shape[0]), x.dtype.element_ty)


@triton.jit
def _root(A, query):
    """The square root of A, a number or what the compiler knows to be 1, in the query's dtype."""
    return tl.sqrt(tl.full((1,), A, tl.int32).to(query.dtype))


@triton.jit
def _times(x, rows, matrix, stride, column, inside):
    """x (rows,), at an address, times the matrix there, whose rows are ``stride`` apart: its columns ``column``."""
    part, total = tl.arange(0, _PART), _zeros_like(x, column)
    for r in range(0, rows, _PART):
        there = r + part < rows
        value = tl.load(x + r + part, mask=there, other=0.0)[:, None]
        mask = there[:, None] & inside[None, :]
        total += value * tl.load(matrix + (r + part)[:, None] * stride + column[None, :], mask=mask, other=0.0)
    return tl.sum(total, 0)


@triton.jit
def _cell(z, h, rows, c, U, stride, H, unit, inside):
    """Leaves the activated gates at z; c_t and the output gate, (HP,) each. ``rows``: H, or 0 where there is no h."""
    part = tl.arange(0, _PART)
    z_i = tl.load(z + unit, mask=inside, other=0.0)
    z_f = tl.load(z + H + unit, mask=inside, other=0.0)
    z_g = tl.load(z + 2 * H + unit, mask=inside, other=0.0)
    z_o = tl.load(z + 3 * H + unit, mask=inside, other=0.0)
    h_i, h_f, h_g, h_o = _zeros_like(z, unit), _zeros_like(z, unit), _zeros_like(z, unit), _zeros_like(z, unit)
    for r in range(0, rows, _PART):  # h U, all gates at once
        there = r + part < rows
        value = tl.load(h + r + part, mask=there, other=0.0)[:, None]
        mask = there[:, None] & inside[None, :]
        tile = U + (r + part)[:, None] * stride + unit[None, :]  # (PART, HP)
        h_i += value * tl.load(tile, mask=mask, other=0.0)
        h_f += value * tl.load(tile + H, mask=mask, other=0.0)
        h_g += value * tl.load(tile + 2 * H, mask=mask, other=0.0)
        h_o += value * tl.load(tile + 3 * H, mask=mask, other=0.0)
    i = _sigmoid(z_i + tl.sum(h_i, 0))
    f = _sigmoid(z_f + tl.sum(h_f, 0))
    g = _tanh(z_g + tl.sum(h_g, 0))
    o = _sigmoid(z_o + tl.sum(h_o, 0))
    tl.debug_barrier()  # all threads have read z
    tl.store(z + unit, i, mask=inside)
    tl.store(z + H + unit, f, mask=inside)
    tl.store(z + 2 * H + unit, g, mask=inside)
    tl.store(z + 3 * H + unit, o, mask=inside)
    return f * c + i * g, o


@triton.jit
def _cell_backward(z, grad_z, c_before, into_o, into_c, H, unit, inside):
    """Leaves the gradients of the gates before activation at grad_z; that of c_{t-1} (HP,)."""
    i = tl.load(z + unit, mask=inside, other=0.0)
    f = tl.load(z + H + unit, mask=inside, other=0.0)
    g = tl.load(z + 2 * H + unit, mask=inside, other=0.0)
    o = tl.load(z + 3 * H + unit, mask=inside, other=0.0)
    tl.store(grad_z + unit, into_c * g * (i - i * i), mask=inside)
    tl.store(grad_z + H + unit, into_c * c_before * (f - f * f), mask=inside)
    tl.store(grad_z + 2 * H + unit, into_c * i * (1 - g * g), mask=inside)
    tl.store(grad_z + 3 * H + unit, into_o * (o - o * o), mask=inside)
    return into_c * f


# ----------------------------------------------------------------------------------------------------- K plain LSTMs


@triton.jit
def _plain_forward(gates, U, states, cells, starts, N, K, H, HP: tl.constexpr, KEEP: tl.constexpr):
    text, k, d = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    first, last = tl.load(starts + text), tl.load(starts + text + 1)
    unit = tl.arange(0, HP)
    inside = unit < H
    U += (d * K + k) * H * 4 * H
    c = tl.zeros((HP,), gates.dtype.element_ty)
    for n in range(first, last):
        row = (d * N + n) * K + k
        before = tl.where(n > first, H, 0)
        c, o = _cell(gates + row * 4 * H, states + (row - K) * H, before, c, U, 4 * H, H, unit, inside)
        tl.store(states + row * H + unit, o * _tanh(c), mask=inside)
        if KEEP:
            tl.store(cells + row * H + unit, c, mask=inside)
        tl.debug_barrier()  # h is there


@triton.jit
def _plain_backward(gates, U_T, cells, grad_states, grad_gates, starts, N, K, H, HP: tl.constexpr):
    text, k, d = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    first, last = tl.load(starts + text), tl.load(starts + text + 1)
    unit = tl.arange(0, HP)
    inside = unit < H
    U_T += (d * K + k) * H * 4 * H
    grad_h, grad_c = tl.zeros((HP,), gates.dtype.element_ty), tl.zeros((HP,), gates.dtype.element_ty)
    for step in range(last - first):
        n = last - 1 - step
        row = (d * N + n) * K + k
        z, grad_z = gates + row * 4 * H, grad_gates + row * 4 * H
        y = _tanh(tl.load(cells + row * H + unit, mask=inside, other=0.0))
        before = tl.load(cells + (row - K) * H + unit, mask=unit < tl.where(n > first, H, 0), other=0.0)
        o = tl.load(z + 3 * H + unit, mask=inside, other=0.0)
        into_h = tl.load(grad_states + row * H + unit, mask=inside, other=0.0) + grad_h
        into_c = grad_c + into_h * o * (1 - y * y)
        grad_c = _cell_backward(z, grad_z, before, into_h * y, into_c, H, unit, inside)
        tl.debug_barrier()  # the gates' gradients are there
        grad_h = _times(grad_z, 4 * H, U_T, H, unit, inside)


# ----------------------------------------------------------------------------------------------------- message LSTM


@triton.jit
def _score(query, keys, u, bias, node, there, A, attribute, SCORE: tl.constexpr, BIAS: tl.constexpr):
    """s of some nodes (ROWS,), -inf where there is none."""
    score = tl.zeros_like(node).to(query.dtype)
    if SCORE != _STATIC:
        within = attribute < A
        mask = there[:, None] & within[None, :]
        key = tl.load(keys + node[:, None] * A + attribute[None, :], mask=mask, other=0.0)  # (ROWS, AP)
        if SCORE == _DOT:
            score = tl.sum(key * query[None, :], 1) / _root(A, query)
        else:
            score = tl.sum(u[None, :] * _tanh(key + query[None, :]), 1)
    if BIAS:
        score += tl.load(bias + node, mask=there, other=0.0)
    return tl.where(there, score, float("-inf"))


@triton.jit
def _message_forward(
    z, U, V_m, W_mr, keys, nodes, u, bias, states, cells, messages, weights, reads, shares, starts, N, S, H, A,
    HP: tl.constexpr, AP: tl.constexpr, ROWS: tl.constexpr, SCORE: tl.constexpr, BIAS: tl.constexpr,
    PER_TEXT: tl.constexpr,
):  # fmt: skip
    text, d = tl.program_id(0), tl.program_id(1)
    first, last = tl.load(starts + text), tl.load(starts + text + 1)
    unit, attribute, place = tl.arange(0, HP), tl.arange(0, AP), tl.arange(0, ROWS)
    inside, within, width = unit < H, attribute < A, 4 * H + A
    U += d * H * width
    V_m += d * H * H
    W_mr += d * H * 2 * H
    dtype = z.dtype.element_ty
    query, score_u = tl.zeros((AP,), dtype), tl.zeros((AP,), dtype)
    if SCORE == _ADDITIVE:
        score_u = tl.load(u + d * A + attribute, mask=within, other=0.0)
    c = tl.zeros((HP,), dtype)
    for n in range(first, last):
        row = d * N + n
        own_z, h, before = z + row * width, states + (row - 1) * H, tl.where(n > first, H, 0)
        c, o = _cell(own_z, h, before, c, U, width, H, unit, inside)
        tl.store(cells + row * H + unit, c, mask=inside)
        if SCORE != _STATIC:
            query = tl.load(own_z + 4 * H + attribute, mask=within, other=0.0)
            query += _times(h, before, U + 4 * H, width, attribute, within)
            tl.debug_barrier()  # all threads have read what stood there
            tl.store(own_z + 4 * H + attribute, query, mask=within)
        start = (d * N + first) if PER_TEXT else row * S  # of the nodes
        count = (last - first) if PER_TEXT else (last - last + S)
        own_keys, own_nodes = keys + start * A, nodes + start * H
        # the softmax in one go: the sums are corrected whenever a larger score is met
        top, total, message = tl.zeros((1,), dtype) - 1e30, tl.zeros((1,), dtype), tl.zeros((HP,), dtype)
        for s in range(0, count, ROWS):
            there = s + place < count
            score = _score(query, own_keys, score_u, bias, s + place, there, A, attribute, SCORE, BIAS)
            highest = tl.maximum(top, tl.max(score, 0))
            part, shrunk = tl.exp(score - highest), tl.exp(top - highest)
            mask = there[:, None] & inside[None, :]
            tile = tl.load(own_nodes + (s + place)[:, None] * H + unit[None, :], mask=mask, other=0.0)  # (ROWS, HP)
            message = message * shrunk + tl.sum(part[:, None] * tile, 0)
            total, top = total * shrunk + tl.sum(part, 0), highest
        total = tl.where(total > 0, total, 1.0)  # no nodes, no message
        message = message / total
        tl.store(messages + row * H + unit, message, mask=inside)
        for s in range(0, count, ROWS):
            there = s + place < count
            score = _score(query, own_keys, score_u, bias, s + place, there, A, attribute, SCORE, BIAS)
            tl.store(weights + row * S + s + place, tl.exp(score - top) / total, mask=there)
        tl.debug_barrier()  # message and c are there
        m = _times(messages + row * H, H, W_mr, 2 * H, unit, inside)
        m = _sigmoid(m + _times(cells + row * H, H, V_m, H, unit, inside))
        v = _times(messages + row * H, H, W_mr + H, 2 * H, unit, inside)
        tl.store(reads + row * 2 * H + unit, m, mask=inside)
        tl.store(reads + row * 2 * H + H + unit, v, mask=inside)
        tl.store(states + row * H + unit, o * _tanh(c + m * v), mask=inside)
        said, kept = tl.sqrt(tl.sum(m * v * m * v, 0)), tl.sqrt(tl.sum(c * c, 0))
        tl.store(shares + row, said / tl.maximum(kept + said, 1e-12))
        tl.debug_barrier()  # h is there


@triton.jit
def _message_backward(
    z, U_T, V_m_T, W_mr_T, cells, messages, weights, reads, grad_states, keys, nodes, u,
    grad_z, grad_reads, grad_keys, grad_nodes, grad_u, grad_scores, starts, N, S, H, A,
    HP: tl.constexpr, AP: tl.constexpr, ROWS: tl.constexpr, SCORE: tl.constexpr, BIAS: tl.constexpr,
    PER_TEXT: tl.constexpr, OF_NODES: tl.constexpr,
):  # fmt: skip
    text, d = tl.program_id(0), tl.program_id(1)
    first, last = tl.load(starts + text), tl.load(starts + text + 1)
    unit, attribute, place = tl.arange(0, HP), tl.arange(0, AP), tl.arange(0, ROWS)
    inside, within, width = unit < H, attribute < A, 4 * H + A
    U_T += d * H * width
    V_m_T += d * H * H
    W_mr_T += d * H * 2 * H
    dtype = z.dtype.element_ty
    score_u, into_u = tl.zeros((AP,), dtype), tl.zeros((AP,), dtype)
    if SCORE == _ADDITIVE:
        score_u = tl.load(u + d * A + attribute, mask=within, other=0.0)
    grad_h, grad_c = tl.zeros((HP,), dtype), tl.zeros((HP,), dtype)
    for step in range(last - first):
        n = last - 1 - step
        row = d * N + n
        own_z, own_grad, own_read = z + row * width, grad_z + row * width, grad_reads + row * 2 * H
        m = tl.load(reads + row * 2 * H + unit, mask=inside, other=0.0)
        v = tl.load(reads + row * 2 * H + H + unit, mask=inside, other=0.0)
        c = tl.load(cells + row * H + unit, mask=inside, other=0.0)
        before = tl.load(cells + (row - 1) * H + unit, mask=unit < tl.where(n > first, H, 0), other=0.0)
        o = tl.load(own_z + 3 * H + unit, mask=inside, other=0.0)
        y = _tanh(c + m * v)
        into_h = tl.load(grad_states + row * H + unit, mask=inside, other=0.0) + grad_h
        into_y = into_h * o * (1 - y * y)
        tl.store(own_read + unit, into_y * v * (m - m * m), mask=inside)
        tl.store(own_read + H + unit, into_y * m, mask=inside)
        tl.debug_barrier()  # the reads' gradients are there
        into_c = grad_c + into_y + _times(own_read, H, V_m_T, H, unit, inside)
        grad_c = _cell_backward(own_z, own_grad, before, into_h * y, into_c, H, unit, inside)
        into_message = _times(own_read, 2 * H, W_mr_T, H, unit, inside)
        mean = tl.sum(into_message * tl.load(messages + row * H + unit, mask=inside, other=0.0), 0)
        query, into_query = tl.zeros((AP,), dtype), tl.zeros((AP,), dtype)
        if SCORE != _STATIC:
            query = tl.load(own_z + 4 * H + attribute, mask=within, other=0.0)
        start = (d * N + first) if PER_TEXT else row * S  # of the nodes
        count = (last - first) if PER_TEXT else (last - last + S)
        own_keys, own_nodes = keys + start * A, nodes + start * H
        own_grad_keys, own_grad_nodes = grad_keys + start * A, grad_nodes + start * H
        for s in range(0, count, ROWS):
            there = s + place < count
            mask = there[:, None] & inside[None, :]
            at = (s + place)[:, None] * H + unit[None, :]  # (ROWS, HP)
            node = tl.load(own_nodes + at, mask=mask, other=0.0)
            weight = tl.load(weights + row * S + s + place, mask=there, other=0.0)
            into_score = weight * (tl.sum(node * into_message[None, :], 1) - mean)
            if BIAS:
                tl.store(grad_scores + row * S + s + place, into_score, mask=there)
            into_node = weight[:, None] * into_message[None, :]
            if SCORE == _DOT:  # the nodes are the keys: A is H
                into_score = into_score / _root(A, query)
                into_query += tl.sum(into_score[:, None] * node, 0)
                into_node += into_score[:, None] * query[None, :]
            if OF_NODES:
                into_node += tl.load(own_grad_nodes + at, mask=mask, other=0.0)
                tl.store(own_grad_nodes + at, into_node, mask=mask)
            if SCORE == _ADDITIVE:
                mask = there[:, None] & within[None, :]
                at = (s + place)[:, None] * A + attribute[None, :]  # (ROWS, AP)
                said = _tanh(tl.load(own_keys + at, mask=mask, other=0.0) + query[None, :])
                into_key = into_score[:, None] * score_u[None, :] * (1 - said * said)
                into_query += tl.sum(into_key, 0)
                into_u += tl.sum(into_score[:, None] * said, 0)
                into_key += tl.load(own_grad_keys + at, mask=mask, other=0.0)
                tl.store(own_grad_keys + at, into_key, mask=mask)
        if SCORE != _STATIC:
            tl.store(own_grad + 4 * H + attribute, into_query, mask=within)
        tl.debug_barrier()  # the gradients of gates, query and nodes are there
        grad_h = _times(own_grad, width, U_T, H, unit, inside)
    if SCORE == _ADDITIVE:
        tl.store(grad_u + (d * tl.num_programs(0) + text) * A + attribute, into_u, mask=within)


# --------------------------------------------------------------------------------------------------------- functions


def _padded(size: int) -> int:
    return max(16, triton.next_power_of_2(size))


def _warps(units: int) -> int:
    """So many that a thread holds 8 numbers of a part of a matrix, where 4 to 16 are enough for that."""
    return min(max(units * _PART.value // (8 * 32), 4), 16)


def plain_forward(x: Tensor, W: Tensor, b: Tensor, U: Tensor, packing: Packing, *, keep: bool):
    """:func:`graphmtl.layers.recurrence.loops_pytorch.plain_forward`."""
    gates = product_with_tokens(x, W, b)  # (D, N, K, 4H)
    (D, N, K, _), H = gates.shape, U.size(2)
    states, cells = gates.new_empty(D, N, K, H), gates.new_empty(D, N, K, H) if keep else None
    grid, HP = (len(packing.lengths), K, D), _padded(H)
    with torch.cuda.device_of(gates):
        _plain_forward[grid](
            gates, U, states, states if cells is None else cells, packing.device_starts, N, K, H,
            HP=HP, KEEP=keep, num_warps=_warps(HP),
        )  # fmt: skip
    return states, gates if keep else None, cells


def plain_backward(x, W, U, states, gates, cells, grad_states: Tensor, packing: Packing, *, of_x: bool):
    """:func:`graphmtl.layers.recurrence.loops_pytorch.plain_backward`."""
    D, N, K, H = cells.shape
    grad_gates, grid, HP = torch.empty_like(gates), (len(packing.lengths), K, D), _padded(H)
    with torch.cuda.device_of(gates):
        _plain_backward[grid](
            gates, U.mT.contiguous(), cells, grad_states, grad_gates, packing.device_starts, N, K, H,
            HP=HP, num_warps=_warps(HP),
        )  # fmt: skip
    return plain_gradients(grad_gates, x, W, packing.before(states), of_x=of_x)


def _choices(graph: Graph) -> dict:
    """What a message kernel is compiled for."""
    HP, AP = _padded(graph.nodes.size(-1)), _padded(graph.attention)
    rows = _TILE // max(HP, AP)
    return {
        "HP": HP,
        "AP": AP,
        "ROWS": rows if graph.nodes.ndim == 3 else min(rows, _padded(graph.nodes.size(2))),
        "SCORE": ("additive", "dot", "static").index(graph.score),
        "BIAS": graph.bias is not None,
        "PER_TEXT": graph.nodes.ndim == 3,
        "num_warps": _warps(max(HP, AP)),
    }


def message_forward(x: Tensor, weights: Weights, graph: Graph, packing: Packing) -> Trace:
    """:func:`graphmtl.layers.recurrence.loops_pytorch.message_forward`."""
    z = product_with_tokens(x, weights.W.unsqueeze(1), weights.b.unsqueeze(1)).squeeze(2)  # (D, N, 4H + A)
    (D, N, _), H, S = z.shape, weights.V_m.size(-1), graph.size(packing)
    states, cells, messages = (z.new_empty(D, N, H) for _ in range(3))
    edges, reads, shares = z.new_zeros(D, N, S), z.new_empty(D, N, 2 * H), z.new_empty(D, N, 1)
    nothing = z  # where an address is asked for, and never read
    keys, u, bias = (nothing if t is None else t for t in (graph.keys, graph.u, graph.bias))
    with torch.cuda.device_of(z):
        _message_forward[len(packing.lengths), D](
            z, *weights[2:], keys, graph.nodes, u, bias, states, cells, messages, edges, reads, shares,
            packing.device_starts, N, S, H, graph.attention, **_choices(graph),
        )  # fmt: skip
    return Trace(z, states, cells, messages, edges, reads, shares)


def message_backward(x, weights, trace, grad_states: Tensor, graph, packing: Packing, *, of_x: bool, of_nodes: bool):
    """:func:`graphmtl.layers.recurrence.loops_pytorch.message_backward`."""
    z, (D, N, H), S, A = trace.z, trace.cells.shape, graph.size(packing), graph.attention
    grad_z, grad_reads = torch.empty_like(z), torch.empty_like(trace.reads)
    grad_nodes, additive = torch.zeros_like(graph.nodes) if of_nodes else None, graph.u is not None
    grad_keys = torch.zeros_like(graph.keys) if additive else None
    grad_u = z.new_zeros(D, len(packing.lengths), A) if additive else None
    grad_scores = None if graph.bias is None else z.new_empty(D, N, S)
    nothing = z
    keys, u, *grads = (
        nothing if t is None else t for t in (graph.keys, graph.u, grad_keys, grad_nodes, grad_u, grad_scores)
    )
    matrices = (matrix.mT.contiguous() for matrix in weights[2:])
    with torch.cuda.device_of(z):
        _message_backward[len(packing.lengths), D](
            z, *matrices, *trace[2:6], grad_states, keys, graph.nodes, u, grad_z, grad_reads, *grads,
            packing.device_starts, N, S, H, A, OF_NODES=of_nodes, **_choices(graph),
        )  # fmt: skip
    sums = (None if grad_u is None else grad_u.sum(1), None if grad_scores is None else grad_scores.sum((0, 1)))
    of_graph = Graph(grad_nodes, grad_keys, *sums)  # type: ignore[arg-type]
    return *message_gradients(grad_z, grad_reads, x, weights, trace, packing, of_x=of_x), of_graph
