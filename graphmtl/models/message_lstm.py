r"""The recurrences: a plain LSTM, K of them side by side, and the LSTM that reads messages; with their derivatives.

Plain LSTM, token t, gates in the order i, f, g, o as torch has them:

.. math::
    i, f, o = \sigma(W x_t + U h_{t-1} + b), \quad g = \tanh(W_g x_t + U_g h_{t-1} + b_g)
    c_t = f \odot c_{t-1} + i \odot g, \quad h_t = o \odot \tanh(c_t)

Message LSTM (Liu et al., AAAI 2019, section "Multi-task learning with message passing"): after c_t,

.. math::
    r_t = \mathrm{attend}([h_{t-1}; x_t], \text{nodes})            \quad\text{(graphmtl.graph.interaction)}
    m_t = \sigma(W_m r_t + V_m c_t)                                \quad\text{how much of the message is let in}
    h_t = o \odot \tanh(c_t + m_t \odot W_r r_t)

Shapes: D directions (forward, backward), T tokens, B examples, K recurrences side by side, H hidden units. Inside this
file the backward direction is a recurrence over the reversed text, so that padding stands at the end in both.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from graphmtl.graph.interaction import attend, attend_backward

__all__ = ["LSTM", "MessageLSTM", "both_ways", "mean_over_ways", "one_way", "run_side_by_side"]


def _reversal(lengths: Tensor, tokens: int) -> Tensor:
    """Index (T, B) that reverses each text and leaves its padding at the end; its own inverse."""
    position = torch.arange(tokens, device=lengths.device)[:, None]  # (T, 1)
    return torch.where(position < lengths, lengths - 1 - position, position)  # (T, B)


def _reverse(x: Tensor, lengths: Tensor) -> Tensor:
    """x (T, B, ...) with each text reversed."""
    return x[_reversal(lengths, x.size(0)), torch.arange(x.size(1), device=x.device)]


def both_ways(x: Tensor, lengths: Tensor, directions: int) -> Tensor:
    """(B, T, I) to (D, T, B, I): as it stands and, with two directions, reversed."""
    x = x.transpose(0, 1)  # (T, B, I)
    return torch.stack([x, _reverse(x, lengths)]) if directions == 2 else x[None]


def one_way(states: Tensor, lengths: Tensor) -> Tensor:
    """(T, D, B, H) to (B, T, D * H): every direction in reading order, 0 at padding."""
    ways = [states[:, 0]] + [_reverse(states[:, d], lengths) for d in range(1, states.size(1))]
    states = torch.cat(ways, -1).transpose(0, 1)  # (B, T, D * H)
    mask = torch.arange(states.size(1), device=lengths.device) < lengths[:, None]  # (B, T)
    return states * mask.unsqueeze(-1)


def mean_over_ways(values: Tensor, lengths: Tensor) -> Tensor:
    """(T, D, B, S) to (B, T, S): the mean over the directions, each in reading order, 0 at padding."""
    D, S = values.size(1), values.size(-1)
    return one_way(values, lengths).unflatten(-1, (D, S)).mean(2)


def _cell(z: Tensor, c: Tensor, out: Tensor) -> tuple[Tensor, Tensor]:
    """Activates z (..., 4H) in place and writes c_t (..., H) into ``out``; returns the output gate and c_t."""
    i, f, g, o = z.chunk(4, -1)
    g.mul_(2)
    z.sigmoid_()
    g.mul_(2).sub_(1)  # tanh(g) = 2 sigmoid(2 g) - 1, and on a CPU one call for all gates is the faster
    return o, torch.mul(f, c, out=out).addcmul_(i, g)


def _cell_slopes(gates: Tensor, c_before: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The derivatives of a cell at all tokens at once; y = tanh(...) is what the output gate lets through.

    Shapes:
        gates (T, N, B, 4H), c_{t-1} and y (T, N, B, H) to d c / d z of i, f, g (T, N, B, 3, H), d h / d z of o and
        d h / d c by way of y (T, N, B, H).
    """
    i, f, g, o = gates.chunk(4, -1)
    into_c = torch.stack([g * (i - i * i), c_before * (f - f * f), i * (1 - g * g)], -2)
    return into_c, y * (o - o * o), o * (1 - y * y)


def _weight_gradient(inputs: Tensor, grads: Tensor) -> Tensor:
    """Sum over tokens and examples of inputs^T grads: (T, D, B, K, I), (D, T, B, K, O) to (D, K, I, O)."""
    ways = zip(inputs.unbind(1), grads, strict=True)
    return torch.stack([torch.einsum("tbki,tbko->kio", *way) for way in ways])


class _PlainRecurrence(torch.autograd.Function):
    """K plain LSTMs side by side: W x + b as gates (D, T, B, K, 4H) and U (D, K, H, 4H) to h (T, D, B, K, H)."""

    @staticmethod
    def forward(ctx, gates: Tensor, U: Tensor) -> Tensor:
        D, T, B, K, _ = gates.shape
        H, N = U.size(2), D * K
        keep = T if any(ctx.needs_input_grad) else 1  # backward needs every token's gates and cells, else the last ones
        U = U.reshape(N, H, 4 * H)
        zs, cs = gates.new_empty(keep, N, B, 4 * H), gates.new_zeros(keep + 1, N, B, H)
        h = gates.new_zeros(N, B, H)
        states = gates.new_empty(T, D, B, K, H)
        for t in range(T):
            z = torch.bmm(h, U, out=zs[t % keep])  # (N, B, 4H)
            z.view(D, K, B, 4 * H).add_(gates[:, t].transpose(1, 2))
            o, c = _cell(z, cs[t % (keep + 1)], out=cs[(t + 1) % (keep + 1)])
            torch.mul(o, torch.tanh(c), out=h)  # (N, B, H)
            states[t] = h.view(D, K, B, H).transpose(1, 2)
        ctx.save_for_backward(U, states, zs, cs)
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_states: Tensor) -> tuple[Tensor, Tensor]:
        U, states, zs, cs = ctx.saved_tensors
        T, D, B, K, H = states.shape
        into_c, into_h, c_to_h = _cell_slopes(zs, cs[:-1], torch.tanh(cs[1:]))
        forget, U_t = zs[..., H : 2 * H], U.transpose(1, 2)
        grad_gates = states.new_empty(D, T, B, K, 4 * H)
        grad_z = states.new_empty(D * K, B, 4, H)
        grad_h, grad_c = states.new_zeros(2, D * K, B, H)
        for t in reversed(range(T)):
            grad_h.view(D, K, B, H).add_(grad_states[t].transpose(1, 2))
            grad_c.addcmul_(grad_h, c_to_h[t])
            torch.mul(grad_c.unsqueeze(2), into_c[t], out=grad_z[:, :, :3])
            torch.mul(grad_h, into_h[t], out=grad_z[:, :, 3])
            grad_gates[:, t] = grad_z.view(D, K, B, 4 * H).transpose(1, 2)
            torch.bmm(grad_z.flatten(2), U_t, out=grad_h)
            grad_c.mul_(forget[t])
        return grad_gates, _weight_gradient(states[:-1], grad_gates[:, 1:])


class _MessageRecurrence(torch.autograd.Function):
    """One message LSTM in D directions.

    Shapes:
        inputs (D, T, B, 4H + A): W x + b for the gates and W_q x for the query; U (D, H, 4H + A), likewise;
        V_m (D, H, H); W_mr (D, H, 2H), W_m beside W_r; keys (P, D, B, S, A) or None and nodes (P, D, B, S, H), P being
        T for nodes that change with the token, else 1; u (D, A) or None; bias (1 or B, S). Without query A is 0.
        Returns h (T, D, B, H), edge weights (T, D, B, S) and the share of the message in what leaves the cell,
        |m_t * W_r r_t| / (|c_t| + |m_t * W_r r_t|), as (T, D, B); no gradient flows through the last two.
    """

    @staticmethod
    def forward(ctx, inputs, U, V_m, W_mr, keys, nodes, u, bias) -> tuple[Tensor, Tensor, Tensor]:
        D, T, B, _ = inputs.shape
        H, P = V_m.size(-1), nodes.size(0)
        zs, cs = inputs.new_empty(T, D, B, U.size(-1)), inputs.new_zeros(T + 1, D, B, H)
        weights, messages = inputs.new_empty(T, D, B, nodes.size(3)), inputs.new_empty(T, D, B, H)
        reads, states = inputs.new_empty(T, D, B, 2 * H), inputs.new_empty(T, D, B, H)
        h = inputs.new_zeros(D, B, H)
        for t in range(T):
            z = torch.baddbmm(inputs[:, t], h, U, out=zs[t])  # (D, B, 4H + A)
            o, c = _cell(z[..., : 4 * H], cs[t], out=cs[t + 1])
            query, key = (None, None) if keys is None else (z[..., 4 * H :], keys[t % P])
            r, weights[t] = attend(query, key, nodes[t % P], u, bias)
            read = torch.bmm(r, W_mr, out=reads[t])  # (D, B, 2H)
            m = read[..., :H].add_(torch.bmm(c, V_m)).sigmoid_()
            h = torch.mul(o, torch.addcmul(c, m, read[..., H:]).tanh_(), out=states[t])  # (D, B, H)
            messages[t] = r
        ctx.save_for_backward(U, V_m, W_mr, keys, nodes, u, states, zs, cs, weights, messages, reads)
        ctx.bias_shape = bias.shape
        message = (reads[..., :H] * reads[..., H:]).norm(dim=-1)  # (T, D, B)
        share = message / (cs[1:].norm(dim=-1) + message).clamp_min(1e-12)  # (T, D, B)
        ctx.mark_non_differentiable(weights, share)
        return states, weights, share

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_states, _grad_weights, _grad_share):
        U, V_m, W_mr, keys, nodes, u, states, zs, cs, weights, messages, reads = ctx.saved_tensors
        T, D, B, H = states.shape
        P, dot = nodes.size(0), keys is not None and u is None
        gates, queries = zs[..., : 4 * H], zs[..., 4 * H :]
        m, v = reads.chunk(2, -1)
        into_c, into_h, c_to_h = _cell_slopes(gates, cs[:-1], torch.addcmul(cs[1:], m, v).tanh_())
        into_reads = torch.stack([v * (m - m * m), m], -2)  # (T, D, B, 2, H)
        forget, U_t, V_m_t, W_mr_t = gates[..., H : 2 * H], U.mT, V_m.mT, W_mr.mT

        grad_z, grad_reads = torch.empty_like(zs), torch.empty_like(reads)
        grad_messages, grad_scores = torch.empty_like(messages), torch.empty_like(weights)
        grad_keys, grad_u = (None, None) if u is None else (torch.zeros_like(keys), torch.zeros_like(u))  # additive
        grad_h, grad_c = states.new_zeros(2, D, B, H)
        for t in reversed(range(T)):
            grad_h.add_(grad_states[t])
            grad_y = grad_h * c_to_h[t]  # of c_t + m_t * W_r r_t
            torch.mul(grad_y.unsqueeze(2), into_reads[t], out=grad_reads[t].view(D, B, 2, H))
            torch.bmm(grad_reads[t], W_mr_t, out=grad_messages[t])
            grad_c.add_(grad_y).baddbmm_(grad_reads[t][..., :H], V_m_t)
            query, key = (None, None) if keys is None else (queries[t], keys[t % P])
            grad_scores[t], grad_query, grad_key, grad_u_t = attend_backward(
                grad_messages[t], weights[t], query, key, nodes[t % P], u
            )
            grad_gates = grad_z[t][..., : 4 * H].view(D, B, 4, H)
            torch.mul(grad_c.unsqueeze(2), into_c[t], out=grad_gates[:, :, :3])
            torch.mul(grad_h, into_h[t], out=grad_gates[:, :, 3])
            if keys is not None:
                grad_z[t][..., 4 * H :] = grad_query  # type: ignore[assignment]
            if grad_key is not None:
                grad_keys[t % P].add_(grad_key)
                grad_u += grad_u_t
            torch.bmm(grad_z[t], U_t, out=grad_h)
            grad_c.mul_(forget[t])

        into_nodes = "tdbs,tdbh->tdbsh" if P == T else "tdbs,tdbh->dbsh"
        if dot:
            grad_keys = torch.einsum(into_nodes, grad_scores, queries * queries.size(-1) ** -0.5).view_as(keys)
        return (
            grad_z.transpose(0, 1),
            torch.einsum("tdbi,tdbo->dio", states[:-1], grad_z[1:]),
            torch.einsum("tdbi,tdbo->dio", cs[1:], grad_reads[..., :H]),
            torch.einsum("tdbi,tdbo->dio", messages, grad_reads),
            grad_keys,
            torch.einsum(into_nodes, weights, grad_messages).view_as(nodes),
            grad_u,
            grad_scores.sum((0, 1)).sum_to_size(ctx.bias_shape),
        )


def _in_full_precision(recurrence: type[torch.autograd.Function], *tensors: Tensor | None):
    """Runs a recurrence outside autocast: 16 bits are enough for the products before it, not for a sum over a text."""
    half = (torch.float16, torch.bfloat16)
    tensors = tuple(t.float() if t is not None and t.dtype in half else t for t in tensors)
    with torch.autocast(tensors[0].device.type, enabled=False):
        return recurrence.apply(*tensors)


class LSTM(nn.Module):
    """An LSTM in one or two directions.

    Args:
        input_size: dimensions of a token vector.
        hidden: units per direction.
        directions: 1 (forward) or 2 (forward and backward).
    """

    W: Tensor  # (D, I, 4H)
    U: Tensor  # (D, H, 4H)
    b: Tensor  # (D, 4H)

    def __init__(self, *, input_size: int, hidden: int, directions: int = 2):
        super().__init__()
        self.input_size, self.hidden, self.directions = input_size, hidden, directions
        self.W = nn.Parameter(torch.empty(directions, input_size, 4 * hidden))
        self.U = nn.Parameter(torch.empty(directions, hidden, 4 * hidden))
        self.b = nn.Parameter(torch.empty(directions, 4 * hidden))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Xavier for W, orthogonal blocks for U, and 1 for the forget gate's bias (Jozefowicz et al. 2015)."""
        for direction in range(self.directions):
            for gate in self.W.data[direction].chunk(4, -1):
                nn.init.xavier_uniform_(gate)
            for gate in self.U.data[direction].chunk(4, -1):
                nn.init.orthogonal_(gate)
        nn.init.zeros_(self.b)
        self.b.data[:, self.hidden : 2 * self.hidden] = 1

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """The plain LSTM: x (B, T, I) and lengths (B,) to states (B, T, D * H), 0 at padding."""
        states = run_side_by_side([self], both_ways(x, lengths, self.directions)).squeeze(3)  # (T, D, B, H)
        return one_way(states, lengths)

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.hidden}, directions={self.directions}"


def run_side_by_side(lstms: Sequence[Any], x: Tensor) -> Tensor:
    """K plain LSTMs over the same tokens, in one recurrence.

    Args:
        lstms: K :class:`LSTM` of the same sizes.
        x: (D, T, B, I), as :func:`both_ways` makes it.

    Returns:
        h (T, D, B, K, H).
    """
    W = torch.stack([lstm.W for lstm in lstms], 2).flatten(2)  # (D, I, K * 4H)
    b = torch.stack([lstm.b for lstm in lstms], 1).flatten(1)  # (D, K * 4H)
    U = torch.stack([lstm.U for lstm in lstms], 1)  # (D, K, H, 4H)
    gates = torch.baddbmm(b[:, None], x.flatten(1, 2), W)  # (D, T * B, K * 4H)
    return _in_full_precision(_PlainRecurrence, gates.view(*x.shape[:3], len(lstms), -1), U)


class MessageLSTM(LSTM):
    """An LSTM that reads a message from other nodes at every token; the equations stand at the top of this file.

    The query is [h_{t-1}; x_t]; W_n, W_q, u, W_m, V_m and W_r belong to the direction. The dot score takes
    (W_n h_j) . (W_q q) as h_j . (W_n^T W_q q), so that no key is ever computed.

    Args:
        attention: dimensions A of keys and queries.
        score: additive, dot or static.
        sources: number of nodes that have a bias n_j of their own; 0 for none.
    """

    def __init__(
        self, *, input_size: int, hidden: int, attention: int, score: str, sources: int = 0, directions: int = 2
    ):
        super().__init__(input_size=input_size, hidden=hidden, directions=directions)
        self.score = score
        self.W_m = nn.Parameter(torch.empty(directions, hidden, hidden))
        self.V_m = nn.Parameter(torch.empty(directions, hidden, hidden))
        self.W_r = nn.Parameter(torch.empty(directions, hidden, hidden))
        self.node_bias = nn.Parameter(torch.zeros(sources)) if sources else None
        if score != "static":
            self.W_n = nn.Parameter(torch.empty(directions, hidden, attention))
            self.W_q = nn.Parameter(torch.empty(directions, hidden + input_size, attention))
        if score == "additive":
            self.u = nn.Parameter(torch.empty(directions, attention))
        self._reset_message_parameters()

    def _reset_message_parameters(self) -> None:
        own = dict(self.named_parameters(recurse=False))
        for name in ("W_m", "V_m", "W_r", "W_n", "W_q"):
            for direction in own.get(name, ()):
                nn.init.xavier_uniform_(direction.data)
        if "u" in own:
            nn.init.uniform_(own["u"], -(own["u"].size(-1) ** -0.5), own["u"].size(-1) ** -0.5)

    def keys(self, nodes: Tensor) -> Tensor:
        """W_n h of nodes (P, D, B, S, H): (P, D, B, S, A)."""
        return torch.matmul(nodes.flatten(2, 3), self.W_n).unflatten(2, nodes.shape[2:4])

    def read(self, x: Tensor, nodes: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Reads the text and the nodes.

        Args:
            x: (D, T, B, I), as :func:`both_ways` makes it.
            nodes: (T, D, B, S, H) where the nodes change with the token, else (1, D, B, S, H).
            mask: (B, S), False for nodes that must not be read; None reads all.

        Returns:
            h (T, D, B, H), edge weights (T, D, B, S), and the share of the message in the cell's output (T, D, B).
        """
        bias = x.new_zeros(1, nodes.size(3)) if self.node_bias is None else self.node_bias[None]  # (1, S)
        if mask is not None:
            bias = bias.expand_as(mask).masked_fill(~mask, -torch.inf)  # (B, S)
        W, U, b, keys, u = [self.W], [self.U], [self.b], None, None  # of the gates, and then of the query
        if self.score != "static":
            W_q = self.W_q if self.score == "additive" else self.W_q @ self.W_n.mT  # (D, H + I, A)
            U.append(W_q[:, : self.hidden])
            W.append(W_q[:, self.hidden :])
            b.append(W_q.new_zeros(len(W_q), W_q.size(-1)))
            keys = nodes if self.score == "dot" else self.keys(nodes)
            u = self.u if self.score == "additive" else None
        inputs = torch.baddbmm(torch.cat(b, -1).unsqueeze(1), x.flatten(1, 2), torch.cat(W, -1))  # (D, T * B, 4H + A)
        inputs = inputs.unflatten(1, x.shape[1:3])  # (D, T, B, 4H + A)
        W_mr = torch.cat([self.W_m, self.W_r], -1)  # (D, H, 2H)
        return _in_full_precision(_MessageRecurrence, inputs, torch.cat(U, -1), self.V_m, W_mr, keys, nodes, u, bias)
