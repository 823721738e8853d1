"""The loops over tokens in PyTorch, for any device and dtype, with their derivatives written out.

At token t only the texts that have one are left, the longest first. Shapes as in :mod:`graphmtl.layers.packing`, and K
recurrences side by side.
"""

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from graphmtl.layers.interaction import attend, attend_backward
from graphmtl.layers.packing import Graph, Packing, Trace, Weights
from graphmtl.layers.recurrence.products import message_gradients, plain_gradients, product_with_tokens

__all__ = ["message_backward", "message_forward", "plain_backward", "plain_forward"]


def _cell(z: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """Gates z (..., 4H) before activation and c_{t-1} (..., H) to the activated gates and c_t."""
    i, f, g, o = z.chunk(4, -1)
    i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
    return torch.cat([i, f, g, o], -1), f * c + i * g


def _cell_backward(gates: Tensor, c_before: Tensor, grad_o: Tensor, grad_c: Tensor) -> tuple[Tensor, Tensor]:
    """The gradients of z (..., 4H) and of c_{t-1}, given those of the output gate and of c_t (..., H)."""
    i, f, g, o = gates.chunk(4, -1)
    into_g, into_f = grad_c * i * (1 - g * g), grad_c * c_before * (f - f * f)
    return torch.cat([grad_c * g * (i - i * i), into_f, into_g, grad_o * (o - o * o)], -1), grad_c * f


def plain_forward(x: Tensor, W: Tensor, b: Tensor, U: Tensor, packing: Packing, *, keep: bool):
    """K plain LSTMs.

    Args:
        x: (D, N, I).
        W: (D, K, I, 4H).
        b: (D, K, 4H).
        U: (D, K, H, 4H).
        packing: where the texts stand.
        keep: whether there will be a way back.

    Returns:
        States (D, N, K, H), and for the way back the activated gates (D, N, K, 4H) and the cells, or None.
    """
    gates = product_with_tokens(x, W, b)  # (D, N, K, 4H)
    (D, N, K, _), H = gates.shape, U.size(2)
    states, cells = gates.new_empty(D, N, K, H), gates.new_empty(D, N, K, H) if keep else None
    order, steps = packing.steps()
    h, c = gates.new_zeros(2, D, len(order), K, H)
    for rows in steps:
        h, c = h[:, : len(rows)], c[:, : len(rows)]
        z = gates[:, rows] + torch.einsum("dbkh,dkhg->dbkg", h, U)  # (D, B, K, 4H)
        gates[:, rows], c = _cell(z, c)
        h = z[..., 3 * H :].sigmoid() * c.tanh()  # (D, B, K, H)
        states[:, rows] = h
        if cells is not None:
            cells[:, rows] = c
    return states, gates if keep else None, cells


def plain_backward(x, W, U, states, gates, cells, grad_states: Tensor, packing: Packing, *, of_x: bool):
    """The gradients of x, or None, of W, b and U, given those of the states and what :func:`plain_forward` left."""
    D, _, K, H = cells.shape
    grad_gates, before = torch.empty_like(gates), packing.before(cells)
    order, steps = packing.steps()
    grad_h, grad_c = cells.new_zeros(2, D, len(order), K, H)
    for rows in reversed(steps):
        now, y = gates[:, rows], cells[:, rows].tanh()
        into_h = grad_states[:, rows] + grad_h[:, : len(rows)]  # (D, B, K, H)
        into_c = grad_c[:, : len(rows)] + into_h * now[..., 3 * H :] * (1 - y * y)
        grad_z, grad_c[:, : len(rows)] = _cell_backward(now, before[:, rows], into_h * y, into_c)
        grad_gates[:, rows] = grad_z
        grad_h[:, : len(rows)] = torch.einsum("dbkg,dkhg->dbkh", grad_z, U)
    return plain_gradients(grad_gates, x, W, packing.before(states), of_x=of_x)


def message_forward(x: Tensor, weights: Weights, graph: Graph, packing: Packing) -> Trace:
    """One message LSTM over x (D, N, I)."""
    z = product_with_tokens(x, weights.W.unsqueeze(1), weights.b.unsqueeze(1)).squeeze(2)  # (D, N, 4H + A)
    (D, N, _), H = z.shape, weights.V_m.size(-1)
    states, cells, messages = z.new_empty(3, D, N, H)
    edges, reads = z.new_zeros(D, N, graph.size(packing)), z.new_empty(D, N, 2 * H)
    order, steps = packing.steps()
    read = _reader(graph, packing, order)
    h, c = z.new_zeros(2, D, len(order), H)
    for rows in steps:
        h, c = h[:, : len(rows)], c[:, : len(rows)]
        now = torch.baddbmm(z[:, rows], h, weights.U)  # (D, B, 4H + A)
        gates, c = _cell(now[..., : 4 * H], c)
        nodes, keys, bias = read(rows)
        query = None if keys is None else now[..., 4 * H :]
        message, edges[:, rows] = attend(query, keys, nodes, graph.u, bias, graph.own)
        m, v = torch.bmm(message, weights.W_mr).chunk(2, -1)  # (D, B, H)
        m = torch.sigmoid(m + torch.bmm(c, weights.V_m))
        h = gates[..., 3 * H :] * torch.tanh(c + m * v)
        z[:, rows] = torch.cat([gates, now[..., 4 * H :]], -1)
        reads[:, rows] = torch.cat([m, v], -1)
        states[:, rows], cells[:, rows], messages[:, rows] = h, c, message
    m, v = reads.chunk(2, -1)  # (D, N, H)
    said, kept = (a.norm(dim=-1, keepdim=True) for a in (m * v, cells))  # (D, N, 1)
    return Trace(z, states, cells, messages, edges, reads, said / (kept + said).clamp_min(1e-12))


def _reader(graph: Graph, packing: Packing, order: Tensor):
    """A function from a step's rows to the nodes, keys and bias that are read there."""
    if graph.nodes.ndim == 4:
        bias = graph.nodes.new_zeros(1, graph.nodes.size(2)) if graph.bias is None else graph.bias[None]
        return lambda rows: (graph.nodes[:, rows], None if graph.keys is None else graph.keys[:, rows], bias)
    nodes, keys, bias = _padded(graph, packing, order)
    return lambda rows: (nodes[:, : len(rows)], None if keys is None else keys[:, : len(rows)], bias[: len(rows)])


def message_backward(x, weights, trace, grad_states: Tensor, graph, packing: Packing, *, of_x: bool, of_nodes: bool):
    """The way back of :func:`message_forward`.

    Args:
        x: (D, N, I).
        weights: of the LSTM.
        trace: what :func:`message_forward` left.
        grad_states: (D, N, H).
        graph: what was read.
        packing: where the texts stand.
        of_x: whether the gradient of x is asked for.
        of_nodes: whether that of the nodes is; with those of a frozen graph it may be left out.

    Returns:
        The gradients of x, or None, of the weights and of the graph.
    """
    z, _, cells, _, edges, reads, _ = trace
    (D, _, H), S = cells.shape, edges.size(-1)
    order, steps = packing.steps()
    read = _reader(graph, packing, order)
    before = packing.before(cells)
    grad_z, grad_reads, grad_scores = torch.empty_like(z), torch.empty_like(reads), torch.empty_like(edges)
    per_text, dot = graph.nodes.ndim == 3, graph.score == "dot"
    grad_nodes = z.new_zeros(D, len(order), S, H) if per_text else torch.zeros_like(graph.nodes)
    grad_keys = z.new_zeros(*grad_nodes.shape[:-1], graph.attention)
    grad_u = None if graph.u is None else torch.zeros_like(graph.u)
    grad_h, grad_c = z.new_zeros(2, D, len(order), H)
    for rows in reversed(steps):
        n, now, weight = len(rows), z[:, rows], edges[:, rows]
        m, v = reads[:, rows].chunk(2, -1)
        y = torch.tanh(cells[:, rows] + m * v)  # (D, B, H)
        into_h = grad_states[:, rows] + grad_h[:, :n]
        grad_y = into_h * now[..., 3 * H : 4 * H] * (1 - y * y)
        grad_reads[:, rows] = grad_read = torch.cat([grad_y * v * (m - m * m), grad_y * m], -1)  # (D, B, 2H)
        into_c = torch.baddbmm(grad_c[:, :n] + grad_y, grad_read[..., :H], weights.V_m.mT)
        grad_message = torch.bmm(grad_read, weights.W_mr.mT)  # (D, B, H)
        nodes, keys, _ = read(rows)
        query = None if keys is None else now[..., 4 * H :]
        grads = attend_backward(grad_message, weight, query, keys, nodes, graph.u, graph.own)
        grad_scores[:, rows], grad_query, grad_key, grad_u_t = grads
        where = slice(n) if per_text else rows
        grad_nodes[:, where] += weight.unsqueeze(-1) * grad_message.unsqueeze(2)
        if dot:
            grad_nodes[:, where] += grads[0].unsqueeze(-1) * query.unsqueeze(2) * graph.attention**-0.5
        if grad_key is not None:
            grad_keys[:, where] += grad_key
        if grad_u is not None and grad_u_t is not None:
            grad_u += grad_u_t
        grad_gates, grad_c[:, :n] = _cell_backward(now[..., : 4 * H], before[:, rows], into_h * y, into_c)
        grad_now = grad_gates if grad_query is None else torch.cat([grad_gates, grad_query], -1)
        grad_z[:, rows] = grad_now
        grad_h[:, :n] = torch.bmm(grad_now, weights.U.mT)
    if per_text:
        grad_nodes, grad_keys = _packed(grad_nodes, packing, order), _packed(grad_keys, packing, order)
    grad_bias = None if graph.bias is None else grad_scores.sum((0, 1))
    keys_apart = graph.score in ("additive", "own")
    of_graph = Graph(grad_nodes, grad_keys if keys_apart else None, grad_u, grad_bias)
    return *message_gradients(grad_z, grad_reads, x, weights, trace, packing, of_x=of_x), of_graph


def _padded(graph: Graph, packing: Packing, order: Tensor) -> tuple[Tensor, Tensor | None, Tensor]:
    """Nodes, keys (D, B, S, ...) and bias (B, S), -inf at padding, where the tokens of a text are its nodes."""

    def pad(values: Tensor) -> Tensor:
        texts = [text.transpose(0, 1) for text in packing.by_text(values)]  # (length, D, H)
        return pad_sequence(texts, batch_first=True)[order].permute(2, 0, 1, 3)

    lengths = packing.lengths.to(order.device)[order]
    mask = torch.arange(graph.size(packing), device=order.device) < lengths[:, None]  # (B, S)
    bias = graph.nodes.new_zeros(mask.shape).masked_fill(~mask, -torch.inf)
    return pad(graph.nodes), None if graph.keys is None else pad(graph.keys), bias


def _packed(padded: Tensor, packing: Packing, order: Tensor) -> Tensor:
    """(D, B, T, H), the texts in the order of their lengths, to (D, N, H) in their own order."""
    texts = padded[:, order.argsort()].unbind(1)
    return torch.cat([text[:, :n] for text, n in zip(texts, packing.lengths.tolist(), strict=True)], 1)
