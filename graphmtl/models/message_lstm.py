r"""The recurrences: a plain LSTM, K of them side by side, and the LSTM that reads messages; forward and backward in time.

Plain LSTM, token t, gates in the order i, f, o, g:

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


def _tanh(x: Tensor) -> Tensor:
    """tanh as 2 sigmoid(2 x) - 1: three times as fast on a CPU."""
    return (2 * x).sigmoid_().mul_(2).sub_(1)


def _cell(z: Tensor, c: Tensor, out: Tensor) -> tuple[Tensor, Tensor]:
    """Activates z (..., 4H) in place and writes c_t (..., H) into ``out``; returns the output gate and c_t."""
    H = c.size(-1)
    z[..., 3 * H :].mul_(2)
    z.sigmoid_()
    z[..., 3 * H :].mul_(2).sub_(1)  # tanh, see _tanh
    i, f, o, g = z.chunk(4, -1)
    return o, torch.mul(f, c, out=out).addcmul_(i, g)


def _cell_backward(grad: Tensor, gates: Tensor, grad_c: Tensor, grad_o: Tensor, c_before: Tensor) -> Tensor:
    """Writes the gradient of z (..., 4H) into ``grad``, given those of c_t and o (..., H); returns that of c_{t-1}."""
    i, f, o, g = gates.chunk(4, -1)
    grad_i, grad_f, grad_output, grad_g = grad.chunk(4, -1)
    torch.mul(grad_c * g, i - i * i, out=grad_i)
    torch.mul(grad_c * c_before, f - f * f, out=grad_f)
    torch.mul(grad_o, o - o * o, out=grad_output)
    torch.mul(grad_c * i, 1 - g * g, out=grad_g)
    return grad_c * f


def _weight_gradient(inputs: Tensor, grads: Tensor) -> Tensor:
    """Sum over tokens and examples of inputs^T grads: (D, T, B, K, I), (D, T, B, K, O) to (D, K, I, O)."""
    return torch.stack([torch.einsum("tbki,tbko->kio", *pair) for pair in zip(inputs, grads, strict=True)])


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
            torch.mul(o, _tanh(c), out=h)  # (N, B, H)
            states[t] = h.view(D, K, B, H).transpose(1, 2)
        ctx.save_for_backward(U, states, zs, cs)
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_states: Tensor) -> tuple[Tensor, Tensor]:
        U, states, zs, cs = ctx.saved_tensors
        T, D, B, K, H = states.shape
        grad_gates = states.new_empty(D, T, B, K, 4 * H)
        grad_z = states.new_empty(D * K, B, 4 * H)
        grad_h, grad_c = states.new_zeros(2, D * K, B, H)
        U_t = U.transpose(1, 2)
        for t in reversed(range(T)):
            grad_h.view(D, K, B, H).add_(grad_states[t].transpose(1, 2))
            o, y = zs[t][..., 2 * H : 3 * H], _tanh(cs[t + 1])
            grad_c = grad_c + grad_h * o * (1 - y * y)
            grad_c = _cell_backward(grad_z, zs[t], grad_c, grad_h * y, cs[t])
            grad_gates[:, t] = grad_z.view(D, K, B, 4 * H).transpose(1, 2)
            torch.bmm(grad_z, U_t, out=grad_h)
        return grad_gates, _weight_gradient(states[:-1].transpose(0, 1), grad_gates[:, 1:])


class _MessageRecurrence(torch.autograd.Function):
    """One message LSTM in D directions.

    Shapes:
        gates W x + b (D, T, B, 4H); query W_q x (D, T, B, A) or None (static score); U (D, H, 4H + A), the recurrent part
        of the gates and of the query; V_m (D, H, H); W_mr (D, H, 2H), W_m beside W_r; keys (P, D, B, S, A) or None and
        nodes (P, D, B, S, H), where P is T for nodes that change with the token, or 1; u (D, A) or None; bias (1 or B, S).
        Returns h (T, D, B, H), edge weights (T, D, B, S) and the share of the message in what leaves the cell,
        |m_t * W_r r_t| / (|c_t| + |m_t * W_r r_t|), as (T, D, B); no gradient flows through the last two.
    """

    @staticmethod
    def forward(ctx, gates, query, U, V_m, W_mr, keys, nodes, u, bias) -> tuple[Tensor, Tensor, Tensor]:
        D, T, B, _ = gates.shape
        H, P, A = V_m.size(-1), nodes.size(0), 0 if query is None else query.size(-1)
        zs, cs = gates.new_empty(T, D, B, 4 * H), gates.new_zeros(T + 1, D, B, H)
        queries, weights = gates.new_empty(T, D, B, A), gates.new_empty(T, D, B, nodes.size(3))
        messages, reads = gates.new_empty(T, D, B, H), gates.new_empty(T, D, B, 2 * H)
        states = gates.new_empty(T, D, B, H)
        h = gates.new_zeros(D, B, H)
        for t in range(T):
            recurrent = torch.bmm(h, U)  # (D, B, 4H + A)
            z = torch.add(recurrent[..., : 4 * H], gates[:, t], out=zs[t])
            o, c = _cell(z, cs[t], out=cs[t + 1])
            q = None if query is None else torch.add(recurrent[..., 4 * H :], query[:, t], out=queries[t])
            p = t % P
            r, weights[t] = attend(q, None if keys is None else keys[p], nodes[p], u, bias)
            messages[t] = r
            read = torch.bmm(r, W_mr, out=reads[t])  # (D, B, 2H)
            m = read[..., :H].add_(torch.bmm(c, V_m)).sigmoid_()
            h = o * _tanh(torch.addcmul(c, m, read[..., H:]))  # (D, B, H)
            states[t] = h
        ctx.save_for_backward(query, U, V_m, W_mr, keys, nodes, u, states, zs, cs, queries, weights, messages, reads)
        ctx.bias_shape = bias.shape
        message = (reads[..., :H] * reads[..., H:]).norm(dim=-1)  # (T, D, B)
        share = (message / (cs[1:].norm(dim=-1) + message).clamp_min(1e-12))  # (T, D, B)
        ctx.mark_non_differentiable(weights, share)
        return states, weights, share

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_states, _grad_weights, _grad_share):
        query, U, V_m, W_mr, keys, nodes, u, states, zs, cs, queries, weights, messages, reads = ctx.saved_tensors
        T, D, B, H = states.shape
        P, A, dot = nodes.size(0), queries.size(-1), u is None
        grad_z, grad_reads = states.new_empty(T, D, B, 4 * H + A), torch.empty_like(reads)
        grad_messages, grad_scores = torch.empty_like(messages), torch.empty_like(weights)
        grad_keys = None if keys is None or dot else torch.zeros_like(keys)
        grad_u = None if dot else torch.zeros_like(u)
        grad_h, grad_c = states.new_zeros(2, D, B, H)
        U_t, V_m_t, W_mr_t = U.transpose(1, 2), V_m.transpose(1, 2), W_mr.transpose(1, 2)
        for t in reversed(range(T)):
            grad_h.add_(grad_states[t])
            o, (m, v) = zs[t][..., 2 * H : 3 * H], reads[t].chunk(2, -1)
            y = _tanh(torch.addcmul(cs[t + 1], m, v))
            grad_y = grad_h * o * (1 - y * y)  # of c_t + m_t * W_r r_t
            torch.mul(grad_y * v, m - m * m, out=grad_reads[t][..., :H])
            torch.mul(grad_y, m, out=grad_reads[t][..., H:])
            torch.bmm(grad_reads[t], W_mr_t, out=grad_messages[t])
            grad_c = grad_c.add_(grad_y).baddbmm_(grad_reads[t][..., :H], V_m_t)
            p = t % P
            grad_scores[t], grad_query, grad_keys_t, grad_u_t = attend_backward(
                grad_messages[t],
                weights[t],
                None if query is None else queries[t],
                None if keys is None else keys[p],
                nodes[p],
                u,
            )
            grad_c = _cell_backward(grad_z[t][..., : 4 * H], zs[t], grad_c, grad_h * y, cs[t])
            if query is not None:
                grad_z[t][..., 4 * H :] = grad_query
            if grad_keys_t is not None:
                grad_keys[p] += grad_keys_t
                grad_u += grad_u_t
            torch.bmm(grad_z[t], U_t, out=grad_h)

        over_tokens = "tdbi,tdbo->dio"
        into_nodes = "tdbs,tdbh->tdbsh" if P == T else "tdbs,tdbh->dbsh"
        grad_nodes = torch.einsum(into_nodes, weights, grad_messages).view_as(nodes)
        if dot and keys is not None:
            grad_keys = torch.einsum(into_nodes, grad_scores, queries * A**-0.5).view_as(keys)
        h_before = torch.cat([torch.zeros_like(states[:1]), states[:-1]])  # (T, D, B, H)
        grad_z_way = grad_z.transpose(0, 1)  # (D, T, B, 4H + A)
        return (
            grad_z_way[..., : 4 * H],
            None if query is None else grad_z_way[..., 4 * H :],
            torch.einsum(over_tokens, h_before, grad_z),
            torch.einsum(over_tokens, cs[1:], grad_reads[..., :H]),
            torch.einsum(over_tokens, messages, grad_reads),
            grad_keys,
            grad_nodes,
            grad_u,
            grad_scores.sum((0, 1)).sum_to_size(ctx.bias_shape),
        )


class LSTM(nn.Module):
    """An LSTM in one or two directions.

    Args:
        input_size: dimensions of a token vector.
        hidden: units per direction.
        directions: 1 (forward) or 2 (forward and backward).
    """

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


def run_side_by_side(lstms: Sequence[LSTM], x: Tensor) -> Tensor:
    """K plain LSTMs over the same tokens, in one recurrence.

    Args:
        lstms: K of the same sizes.
        x: (D, T, B, I), as :func:`both_ways` makes it.

    Returns:
        h (T, D, B, K, H).
    """
    W = torch.stack([lstm.W for lstm in lstms], 2).flatten(2)  # (D, I, K * 4H)
    b = torch.stack([lstm.b for lstm in lstms], 1).flatten(1)  # (D, K * 4H)
    U = torch.stack([lstm.U for lstm in lstms], 1)  # (D, K, H, 4H)
    gates = torch.baddbmm(b[:, None], x.flatten(1, 2), W)  # (D, T * B, K * 4H)
    return _PlainRecurrence.apply(gates.view(*x.shape[:3], len(lstms), -1), U)


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
        D, T, B, I = x.shape
        bias = x.new_zeros(1, nodes.size(3)) if self.node_bias is None else self.node_bias[None]  # (1, S)
        if mask is not None:
            bias = bias.expand_as(mask).masked_fill(~mask, -torch.inf)  # (B, S)
        keys, query, u, U = None, None, None, self.U
        gates = torch.baddbmm(self.b[:, None], x.flatten(1, 2), self.W).view(D, T, B, -1)
        if self.score != "static":
            W_q = self.W_q if self.score == "additive" else self.W_q @ self.W_n.transpose(1, 2)  # (D, H + I, A)
            keys = nodes if self.score == "dot" else self.keys(nodes)
            query = torch.bmm(x.flatten(1, 2), W_q[:, self.hidden :]).view(D, T, B, -1)  # (D, T, B, A)
            U = torch.cat([self.U, W_q[:, : self.hidden]], -1)  # (D, H, 4H + A)
            u = self.u if self.score == "additive" else None
        W_mr = torch.cat([self.W_m, self.W_r], -1)  # (D, H, 2H)
        return _MessageRecurrence.apply(gates, query, U, self.V_m, W_mr, keys, nodes, u, bias)
