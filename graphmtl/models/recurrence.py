r"""The loops over tokens: K plain LSTMs side by side, and the LSTM that reads messages; with their derivatives.

Every loop stands here twice, with the same formulas: in PyTorch, for any device, and in recurrence.cpp, for the CPU,
compiled when it is first needed. Both compute no padding: the tokens of a batch stand one text after another in N rows
(:class:`Packing`), and at token t only the texts that have one are left.

Shapes: D directions, N tokens of all texts, B texts, K recurrences side by side, H hidden units, S nodes, A dimensions
of the query. The backward direction is a recurrence over the reversed text.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.utils.rnn import pad_sequence

from graphmtl.graph.interaction import attend, attend_backward
from graphmtl.models import native

__all__ = ["Packing", "message_lstm", "plain_lstms"]


class Packing:
    """Where the tokens of a batch stand when its padding is left out: one text after the other.

    Args:
        lengths: (B,) int64 on the CPU, at least 1.
        tokens: T, to which the batch is padded.
        device: where the batch is.

    Attributes:
        starts: (B + 1,) on the CPU: the rows of text b are ``starts[b]`` to ``starts[b + 1]``.
        rows: (2, N), where row n comes from in a padded batch (B * T), for reading forward and backward.
    """

    def __init__(self, lengths: Tensor, tokens: int, device: torch.device | str = "cpu"):
        self.lengths, self.tokens = lengths, tokens
        self.starts = torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])
        text = torch.arange(len(lengths)).repeat_interleave(lengths)  # (N,)
        token = torch.arange(len(text)) - self.starts[text]  # (N,)
        forward = text * tokens + token
        backward = text * tokens + lengths[text] - 1 - token
        self.rows = torch.stack([forward, backward]).to(device, non_blocking=True)

    def pack(self, x: Tensor, directions: int) -> Tensor:
        """(B, T, I) to (D, N, I): as it stands and, with two directions, reversed."""
        rows = self.rows[:directions]  # (D, N)
        return x.flatten(0, 1).index_select(0, rows.flatten()).view(*rows.shape, -1)

    def unpack(self, states: Tensor) -> Tensor:
        """(D, N, H) to (B, T, D * H): every direction in reading order, 0 at padding."""
        empty = states.new_zeros(len(self.lengths) * self.tokens, states.size(-1))
        ways = [empty.index_copy(0, rows, way) for rows, way in zip(self.rows, states, strict=False)]
        return torch.cat(ways, -1).unflatten(0, (-1, self.tokens))

    def unpack_mean(self, values: Tensor) -> Tensor:
        """(D, N, S) to (B, T, S): the mean over the directions, each in reading order, 0 at padding."""
        return self.unpack(values).unflatten(-1, (values.size(0), -1)).mean(2)

    def unpack_positions(self, weights: Tensor) -> Tensor:
        """(D, N, T), of every token to all tokens of its text, to (B, T, T): the mean over the directions.

        Both sides come back in reading order (in the backward direction token i is the i-th from the end); 0 at
        padding.
        """
        ways = list(self.unpack(weights).unflatten(-1, (weights.size(0), -1)).unbind(2))  # D times (B, T, T)
        places = torch.arange(weights.size(-1), device=weights.device)  # (T,)
        mirrored = (self.lengths.to(weights.device)[:, None] - 1 - places).clamp_min(0)  # (B, T)
        inside = places < self.lengths.to(weights.device)[:, None]  # (B, T)
        ways[1:] = [way.gather(2, mirrored[:, None].expand_as(way)) * inside[:, None] for way in ways[1:]]
        return torch.stack(ways).mean(0)

    def by_text(self, states: Tensor) -> tuple[Tensor, ...]:
        """(D, N, ...) to B tensors (D, length, ...)."""
        return states.split(self.lengths.tolist(), 1)

    def before(self, states: Tensor) -> Tensor:
        """(D, N, H), the state of every token, to that of the token before it: 0 at the start of a text."""
        before = states.roll(1, 1)
        before[:, self.starts[:-1]] = 0
        return before

    def steps(self) -> tuple[Tensor, list[Tensor]]:
        """The texts (B,) sorted by length, the longest first, and for every token the rows of those that have it."""
        order = self.lengths.argsort(descending=True, stable=True)
        lengths, starts = self.lengths[order], self.starts[:-1][order]
        steps = [(starts + t)[lengths > t] for t in range(int(lengths.max()))]
        sizes = [len(rows) for rows in steps]
        return order.to(self.rows.device), list(torch.cat(steps).to(self.rows.device).split(sizes))

    def native(self, recurrences: int) -> native.Texts:
        """What recurrence.cpp needs to know; it points into ``starts``. Texts are divided where threads would idle."""
        threads = torch.get_num_threads()
        parts = min(len(self.lengths), -(-threads // recurrences))
        return native.Texts(len(self.lengths), threads, parts, self.starts.data_ptr())


def _is_native(x: Tensor) -> bool:
    return x.device.type == "cpu" and native.load() is not None


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


# ----------------------------------------------------------------------------------------------------- K plain LSTMs


def _plain_forward(gates: Tensor, U: Tensor, packing: Packing) -> tuple[Tensor, Tensor]:
    (D, N, K, _), H = gates.shape, U.size(2)
    states, cells = gates.new_empty(D, N, K, H), gates.new_empty(D, N, K, H)
    order, steps = packing.steps()
    h, c = gates.new_zeros(2, D, len(order), K, H)
    for rows in steps:
        h, c = h[:, : len(rows)], c[:, : len(rows)]
        z = gates[:, rows] + torch.einsum("dbkh,dkhg->dbkg", h, U)  # (D, B, K, 4H)
        gates[:, rows], c = _cell(z, c)
        h = z[..., 3 * H :].sigmoid() * c.tanh()  # (D, B, K, H)
        states[:, rows], cells[:, rows] = h, c
    return states, cells


def _plain_backward(gates: Tensor, U: Tensor, cells: Tensor, grad_states: Tensor, packing: Packing) -> Tensor:
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
    return grad_gates


class _PlainLSTMs(torch.autograd.Function):
    """W x + b as gates (D, N, K, 4H), which are overwritten, and U (D, K, H, 4H) to h (D, N, K, H)."""

    @staticmethod
    def forward(ctx, gates: Tensor, U: Tensor, packing: Packing) -> Tensor:
        (D, N, K, _), H = gates.shape, U.size(2)
        if _is_native(gates):
            states = gates.new_empty(D, N, K, H)
            cells = gates.new_empty(D, N, K, H) if any(ctx.needs_input_grad) else None
            native.call("plain_forward", packing.native(D * K), D, K, H, gates, U, states, cells, dtype=gates.dtype)
        else:
            states, cells = _plain_forward(gates, U, packing)
        ctx.save_for_backward(gates, U, states, cells)
        ctx.packing = packing
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_states: Tensor):
        gates, U, states, cells = ctx.saved_tensors
        D, _, K, H = states.shape
        grad_states = grad_states.contiguous()
        if _is_native(gates):
            grad_gates, texts = torch.empty_like(gates), ctx.packing.native(D * K)
            arguments = (gates, U, cells, grad_states, grad_gates)
            native.call("plain_backward", texts, D, K, H, *arguments, dtype=gates.dtype)
        else:
            grad_gates = _plain_backward(gates, U, cells, grad_states, ctx.packing)
        before = ctx.packing.before(states)
        products = [torch.bmm(h.permute(1, 2, 0), z.transpose(0, 1)) for h, z in zip(before, grad_gates, strict=True)]
        return grad_gates, torch.stack(products), None


# ----------------------------------------------------------------------------------------------------- message LSTM


class _Graph(NamedTuple):
    """What a message LSTM reads, and with which score.

    Shapes:
        nodes (D, N, S, H): S nodes for every token; or (D, N, H): the tokens of a text are its nodes, and S is the
        longest text's length. keys likewise with A for H; the nodes themselves for the dot score (A = H), None for the
        static one. u (D, A) for the additive score, else None. bias (S,) or None.
    """

    nodes: Tensor
    keys: Tensor | None
    u: Tensor | None
    bias: Tensor | None

    @property
    def score(self) -> str:
        return "static" if self.keys is None else "dot" if self.u is None else "additive"

    @property
    def attention(self) -> int:
        return 0 if self.keys is None else self.keys.size(-1)

    def size(self, packing: Packing) -> int:
        return self.nodes.size(2) if self.nodes.ndim == 4 else int(packing.lengths.max())

    def padded(self, packing: Packing, order: Tensor) -> tuple[Tensor, Tensor | None, Tensor]:
        """Nodes, keys (D, B, S, ...) and bias (B, S), -inf at padding, where the tokens of a text are its nodes."""

        def pad(values: Tensor) -> Tensor:
            texts = [text.transpose(0, 1) for text in packing.by_text(values)]  # (length, D, H)
            return pad_sequence(texts, batch_first=True)[order].permute(2, 0, 1, 3)

        lengths = packing.lengths.to(order.device)[order]
        mask = torch.arange(self.size(packing), device=order.device) < lengths[:, None]  # (B, S)
        bias = self.nodes.new_zeros(mask.shape).masked_fill(~mask, -torch.inf)
        return pad(self.nodes), None if self.keys is None else pad(self.keys), bias

    def native(self, packing: Packing) -> native.Graph:
        score = ("additive", "dot", "static").index(self.score)
        tensors = (native.address(t) for t in (self.keys, self.nodes, self.u, self.bias))
        H = self.nodes.size(-1)
        return native.Graph(score, self.nodes.ndim == 3, self.size(packing), self.attention, H, *tensors)


def _message_forward(z: Tensor, U: Tensor, V_m: Tensor, W_mr: Tensor, graph: _Graph, packing: Packing):
    """The states, cells and messages (D, N, H), weights (D, N, S) and reads (D, N, 2H)."""
    (D, N, _), H = z.shape, V_m.size(-1)
    states, cells, messages = z.new_empty(3, D, N, H)
    weights, reads = z.new_zeros(D, N, graph.size(packing)), z.new_empty(D, N, 2 * H)
    order, steps = packing.steps()
    read = _reader(graph, packing, order)
    h, c = z.new_zeros(2, D, len(order), H)
    for rows in steps:
        h, c = h[:, : len(rows)], c[:, : len(rows)]
        now = torch.baddbmm(z[:, rows], h, U)  # (D, B, 4H + A)
        gates, c = _cell(now[..., : 4 * H], c)
        nodes, keys, bias = read(rows)
        query = None if keys is None else now[..., 4 * H :]
        message, weights[:, rows] = attend(query, keys, nodes, graph.u, bias)
        m, v = torch.bmm(message, W_mr).chunk(2, -1)  # (D, B, H)
        m = torch.sigmoid(m + torch.bmm(c, V_m))
        h = gates[..., 3 * H :] * torch.tanh(c + m * v)
        z[:, rows] = torch.cat([gates, now[..., 4 * H :]], -1)
        reads[:, rows] = torch.cat([m, v], -1)
        states[:, rows], cells[:, rows], messages[:, rows] = h, c, message
    return states, cells, messages, weights, reads


def _reader(graph: _Graph, packing: Packing, order: Tensor):
    """A function from a step's rows to the nodes, keys and bias that are read there."""
    if graph.nodes.ndim == 4:
        bias = graph.nodes.new_zeros(1, graph.nodes.size(2)) if graph.bias is None else graph.bias[None]
        return lambda rows: (graph.nodes[:, rows], None if graph.keys is None else graph.keys[:, rows], bias)
    nodes, keys, bias = graph.padded(packing, order)
    return lambda rows: (nodes[:, : len(rows)], None if keys is None else keys[:, : len(rows)], bias[: len(rows)])


def _message_backward(
    z: Tensor,
    U: Tensor,
    V_m: Tensor,
    W_mr: Tensor,
    cells: Tensor,
    weights: Tensor,
    reads: Tensor,
    grad_states: Tensor,
    graph: _Graph,
    packing: Packing,
):
    """The gradients of z, reads, keys, nodes, u (D, A) and bias (S,)."""
    (D, _, H), S = cells.shape, weights.size(-1)
    order, steps = packing.steps()
    read = _reader(graph, packing, order)
    before = packing.before(cells)
    grad_z, grad_reads, grad_scores = torch.empty_like(z), torch.empty_like(reads), torch.empty_like(weights)
    per_text, dot = graph.nodes.ndim == 3, graph.score == "dot"
    grad_nodes = z.new_zeros(D, len(order), S, H) if per_text else torch.zeros_like(graph.nodes)
    grad_keys = z.new_zeros(*grad_nodes.shape[:-1], graph.attention)
    grad_u = None if graph.u is None else torch.zeros_like(graph.u)
    grad_h, grad_c = z.new_zeros(2, D, len(order), H)
    for rows in reversed(steps):
        n, now, weight = len(rows), z[:, rows], weights[:, rows]
        m, v = reads[:, rows].chunk(2, -1)
        y = torch.tanh(cells[:, rows] + m * v)  # (D, B, H)
        into_h = grad_states[:, rows] + grad_h[:, :n]
        grad_y = into_h * now[..., 3 * H : 4 * H] * (1 - y * y)
        grad_reads[:, rows] = grad_read = torch.cat([grad_y * v * (m - m * m), grad_y * m], -1)  # (D, B, 2H)
        into_c = torch.baddbmm(grad_c[:, :n] + grad_y, grad_read[..., :H], V_m.mT)
        grad_message = torch.bmm(grad_read, W_mr.mT)  # (D, B, H)
        nodes, keys, _ = read(rows)
        query = None if keys is None else now[..., 4 * H :]
        grads = attend_backward(grad_message, weight, query, keys, nodes, graph.u)
        grad_scores[:, rows], grad_query, grad_key, grad_u_t = grads
        where = slice(n) if per_text else rows
        grad_nodes[:, where] += weight.unsqueeze(-1) * grad_message.unsqueeze(2)
        if dot:
            grad_nodes[:, where] += grads[0].unsqueeze(-1) * query.unsqueeze(2) * graph.attention**-0.5
        if grad_key is not None:
            grad_keys[:, where] += grad_key
            grad_u += grad_u_t
        grad_gates, grad_c[:, :n] = _cell_backward(now[..., : 4 * H], before[:, rows], into_h * y, into_c)
        grad_now = grad_gates if grad_query is None else torch.cat([grad_gates, grad_query], -1)
        grad_z[:, rows] = grad_now
        grad_h[:, :n] = torch.bmm(grad_now, U.mT)
    if per_text:
        grad_nodes, grad_keys = _packed(grad_nodes, packing, order), _packed(grad_keys, packing, order)
    return grad_z, grad_reads, grad_keys, grad_nodes, grad_u, grad_scores.sum((0, 1))


def _packed(padded: Tensor, packing: Packing, order: Tensor) -> Tensor:
    """(D, B, T, H), the texts in the order of their lengths, to (D, N, H) in their own order."""
    texts = padded[:, order.argsort()].unbind(1)
    return torch.cat([text[:, :n] for text, n in zip(texts, packing.lengths.tolist(), strict=True)], 1)


class _MessageLSTM(torch.autograd.Function):
    """One message LSTM in D directions.

    Shapes:
        z (D, N, 4H + A): W x + b for the gates and W_q x for the query, overwritten; U (D, H, 4H + A), likewise;
        V_m (D, H, H); W_mr (D, H, 2H), W_m beside W_r; the rest as in :class:`_Graph`.
        Returns h (D, N, H), edge weights (D, N, S), the share of the message in what leaves the cell,
        |m_t * W_r r_t| / (|c_t| + |m_t * W_r r_t|), as (D, N), and m_t beside W_r r_t (D, N, 2H); no gradient flows
        through the last three.
    """

    @staticmethod
    def forward(ctx, z, U, V_m, W_mr, nodes, keys, u, bias, packing) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        (D, N, _), H = z.shape, V_m.size(-1)
        graph = _Graph(nodes, keys, u, bias)
        if _is_native(z):
            states, cells, messages = (z.new_empty(D, N, H) for _ in range(3))
            weights, reads = z.new_zeros(D, N, graph.size(packing)), z.new_empty(D, N, 2 * H)
            arguments = (z, U, V_m, W_mr, states, cells, messages, weights, reads)
            native.call("message_forward", packing.native(D), D, graph.native(packing), *arguments, dtype=z.dtype)
        else:
            states, cells, messages, weights, reads = _message_forward(z, U, V_m, W_mr, graph, packing)
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
        H, graph, packing = states.size(-1), _Graph(nodes, keys, u, bias), ctx.packing
        saved = (z, U, V_m, W_mr, cells, weights, reads, grad_states.contiguous())
        if _is_native(z):
            grads = _message_backward_native(*saved, graph, packing, of_nodes=ctx.needs_input_grad[4])
        else:
            grads = _message_backward(*saved, graph, packing)
        grad_z, grad_reads, grad_keys, grad_nodes, grad_u, grad_bias = grads
        return (
            grad_z,
            torch.bmm(packing.before(states).mT, grad_z),
            torch.bmm(cells.mT, grad_reads[..., :H]),
            torch.bmm(messages.mT, grad_reads),
            grad_nodes,
            grad_keys if u is not None else None,
            grad_u,
            grad_bias if bias is not None else None,
            None,
        )


def _message_backward_native(
    z, U, V_m, W_mr, cells, weights, reads, grad_states, graph: _Graph, packing: Packing, of_nodes: bool
):
    """As :func:`_message_backward`; nodes that need no gradient, those of a frozen graph, get none."""
    D, texts = z.size(0), packing.native(z.size(0))
    grad_z, grad_reads = torch.empty_like(z), torch.empty_like(reads)
    grad_nodes, additive = torch.zeros_like(graph.nodes) if of_nodes else None, graph.score == "additive"
    grad_keys = graph.nodes.new_zeros(*graph.nodes.shape[:-1], graph.attention) if additive else None
    grad_u = z.new_zeros(D, texts.parts, graph.attention) if additive else None
    grad_bias = None if graph.bias is None else z.new_zeros(D * texts.parts, weights.size(-1))
    arguments = (z, U, V_m, W_mr, cells, weights, reads, grad_states)
    results = (grad_z, grad_reads, grad_keys, grad_nodes, grad_u, grad_bias)
    native.call("message_backward", texts, D, graph.native(packing), *arguments, *results, dtype=z.dtype)
    sums = (None if grad_u is None else grad_u.sum(1), None if grad_bias is None else grad_bias.sum(0))
    return grad_z, grad_reads, grad_keys, grad_nodes, *sums


# -------------------------------------------------------------------------------------------------------- functions


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
