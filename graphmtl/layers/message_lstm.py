r"""The plain LSTM, K of them side by side, and the LSTM that reads messages.

Plain LSTM, token t, gates in the order i, f, g, o as torch has them:

.. math::
    i, f, o = \sigma(W x_t + U h_{t-1} + b), \quad g = \tanh(W_g x_t + U_g h_{t-1} + b_g)
    c_t = f \odot c_{t-1} + i \odot g, \quad h_t = o \odot \tanh(c_t)

Message LSTM (Liu et al., AAAI 2019, section "Multi-task learning with message passing"): after c_t,

.. math::
    r_t = \mathrm{attend}([h_{t-1}; x_t], \text{nodes})            \quad\text{(graphmtl.layers.interaction)}
    m_t = \sigma(W_m r_t + V_m c_t)                                \quad\text{how much of the message is let in}
    h_t = o \odot \tanh(c_t + m_t \odot W_r r_t)

Shapes: D directions (forward, backward), N tokens of all texts, K LSTMs side by side, H hidden units, S nodes. The
loops over tokens and their derivatives are in :mod:`graphmtl.layers.recurrence.autograd`, where padding is left out.
"""

from collections.abc import Sequence
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from graphmtl.errors import InputError, unknown_name
from graphmtl.layers.interaction import Score
from graphmtl.layers.packing import Graph, Packing, Weights
from graphmtl.layers.recurrence.autograd import message_lstm, plain_lstms
from graphmtl.layers.shapes import check_alike, check_shape

__all__ = ["LSTM", "MessageLSTM", "MessageStart", "run_side_by_side"]

MessageStart = Literal["random", "identity"]


class LSTM(nn.Module):
    """An LSTM in one or two directions.

    Args:
        input_size: dimensions of a token vector.
        hidden: units per direction.
        directions: 1 (forward) or 2 (forward and backward).

    Raises:
        InputError: a size is below 1, or there are other directions.
    """

    W: Tensor  # (D, I, 4H)
    U: Tensor  # (D, H, 4H)
    b: Tensor  # (D, 4H)

    def __init__(self, *, input_size: int, hidden: int, directions: int = 2):
        super().__init__()
        if directions not in (1, 2):
            raise InputError(f"directions: found {directions}, expected 1 or 2")
        _check_sizes(input_size=input_size, hidden=hidden)
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
        """The plain LSTM: x (B, T, I) and lengths (B,), int64 on the CPU, to states (B, T, D * H), 0 at padding.

        Computed in 32 bits where the weights have 16; the states have the weights' dtype.

        Raises:
            InputError: x or the lengths are not such.
        """
        check_shape("x", x, "B", "T", self.input_size)
        packing = Packing(lengths, x.size(1), x.device)
        states = run_side_by_side([self], packing.pack(x, self.directions), packing).squeeze(2)  # (D, N, H)
        return packing.unpack(states)

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.hidden}, directions={self.directions}"


def _check_sizes(**sizes: int) -> None:
    for name, size in sizes.items():
        if size < 1:
            raise InputError(f"{name}: found {size}, expected 1 or more")


def run_side_by_side(lstms: Sequence[Any], x: Tensor, packing: Packing) -> Tensor:
    """K plain LSTMs over the same tokens, in one recurrence.

    Args:
        lstms: K :class:`LSTM` of the same sizes.
        x: (D, N, I), as ``packing.pack`` makes it.
        packing: where the texts stand in x.

    Returns:
        h (D, N, K, H).
    """
    W = torch.stack([lstm.W for lstm in lstms], 1)  # (D, K, I, 4H)
    b = torch.stack([lstm.b for lstm in lstms], 1)  # (D, K, 4H)
    U = torch.stack([lstm.U for lstm in lstms], 1)  # (D, K, H, 4H)
    return plain_lstms(x, W, b, U, packing)


class MessageLSTM(LSTM):
    """An LSTM that reads a message from other nodes at every token; the equations stand at the top of this file.

    The query is [h_{t-1}; x_t]; W_n, W_q, u, W_m, V_m and W_r belong to the direction. The dot score takes
    (W_n h_j) . (W_q q) as h_j . (W_n^T W_q q), so that no key is ever computed.

    Args:
        attention: dimensions A of keys and queries.
        score: additive, dot or static.
        sources: number of nodes that have a bias n_j of their own; 0 for none.
        message_start: ``random`` (Xavier), or ``identity`` for W_r: from the first step on a node's state then counts
            for the reader as it does for the node itself.

    Raises:
        InputError: a size that is below 1, or a score or message_start that does not exist.
    """

    def __init__(
        self,
        *,
        input_size: int,
        hidden: int,
        attention: int,
        score: str,
        sources: int = 0,
        message_start: str = "random",
        directions: int = 2,
    ):
        super().__init__(input_size=input_size, hidden=hidden, directions=directions)
        for name, value, known in (("score", score, Score), ("message_start", message_start, MessageStart)):
            if value not in get_args(known):
                raise unknown_name(name, value, get_args(known))
        _check_sizes(attention=attention)
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
        self._reset_message_parameters(message_start)

    def _reset_message_parameters(self, message_start: str) -> None:
        own = dict(self.named_parameters(recurse=False))
        for name in ("W_m", "V_m", "W_r", "W_n", "W_q"):
            for direction in own.get(name, ()):
                nn.init.xavier_uniform_(direction.data)
        if message_start == "identity":
            for direction in self.W_r.data:
                nn.init.eye_(direction)
        if "u" in own:
            nn.init.uniform_(own["u"], -(own["u"].size(-1) ** -0.5), own["u"].size(-1) ** -0.5)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """There is none without nodes: :meth:`read` takes them.

        Raises:
            InputError: always.
        """
        raise InputError("MessageLSTM: x and lengths alone; call read(x, nodes, packing), with the nodes that it reads")

    def read(
        self, x: Tensor, nodes: Tensor, packing: Packing, cut: Tensor | None = None, renormalise: bool = True
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Reads the texts and the nodes.

        Args:
            x: (D, N, I), as ``packing.pack`` makes it.
            nodes: (D, N, S, H), S nodes for every token; or (D, N, H): all tokens of a text are nodes of that text.
            packing: where the texts stand in x.
            cut: (S,) bool, the nodes of an :class:`~graphmtl.layers.interaction.Ablation`; or (1,) for all.
            renormalise: its other half.

        Returns:
            h (D, N, H), edge weights (D, N, S), where S is the longest text's length if the tokens are the nodes, the
            share of the message in what the cell puts out (D, N, 1), |m_t * W_r r_t| / (|c_t| + |m_t * W_r r_t|), and
            m_t beside W_r r_t (D, N, 2H); no gradient flows through the last three.

        Raises:
            InputError: x or the nodes are not such.
        """
        N = packing.rows.size(1)
        check_shape("x", x, self.directions, N, self.input_size)
        check_shape("nodes", nodes, self.directions, N, *(("S",) if nodes.ndim == 4 else ()), self.hidden)
        for name, tensor in (("x", x), ("nodes", nodes)):
            check_alike(name, tensor, self.W)
        W, U, b, keys, u = [self.W], [self.U], [self.b], None, None  # of the gates, and then of the query
        if self.score != "static":
            W_q = self.W_q if self.score == "additive" else self.W_q @ self.W_n.mT  # (D, H + I, A)
            U.append(W_q[:, : self.hidden])
            W.append(W_q[:, self.hidden :])
            b.append(W_q.new_zeros(len(W_q), W_q.size(-1)))
            keys = nodes
        if self.score == "additive":
            keys = torch.bmm(nodes.flatten(1, -2), self.W_n).unflatten(1, nodes.shape[1:-1])  # (D, N, A), (D, N, S, A)
            u = self.u
        W_mr = torch.cat([self.W_m, self.W_r], -1)  # (D, H, 2H)
        weights = Weights(torch.cat(W, -1), torch.cat(b, -1), torch.cat(U, -1), self.V_m, W_mr)
        bias: Tensor | None = self.node_bias
        if cut is not None and cut.any():
            if renormalise and not cut.all():
                bias = (nodes.new_zeros(len(cut)) if bias is None else bias).masked_fill(cut, -torch.inf)
            else:
                nodes = nodes.masked_fill(cut[:, None], 0)
        return message_lstm(x, weights, Graph(nodes, keys, u, bias), packing)
