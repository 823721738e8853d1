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
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from graphmtl.errors import InputError, unknown_name
from graphmtl.layers.interaction import SCORES
from graphmtl.layers.layer import Layer
from graphmtl.layers.packing import Graph, Packing, Weights
from graphmtl.layers.recurrence.autograd import message_lstm, plain_lstms
from graphmtl.layers.shapes import check_alike, check_shape, check_sizes, text_lengths

__all__ = ["LSTM", "MessageLSTM", "MessageStart", "run_side_by_side"]

MessageStart = Literal["random", "identity"]


class _Gates(Layer):
    """The parameters of the four gates i, f, g, o of an LSTM in one or two directions."""

    undecayed: ClassVar[tuple[str, ...]] = ("b",)

    W: Tensor  # (D, I, 4H)
    U: Tensor  # (D, H, 4H)
    b: Tensor  # (D, 4H)

    def __init__(self, *, input_size: int, hidden: int, directions: int):
        super().__init__()
        if directions not in (1, 2):
            raise InputError(f"directions: found {directions}, expected 1 or 2")
        check_sizes(input_size=input_size, hidden=hidden)
        self.input_size, self.hidden, self.directions = input_size, hidden, directions
        self.W = nn.Parameter(torch.empty(directions, input_size, 4 * hidden))
        self.U = nn.Parameter(torch.empty(directions, hidden, 4 * hidden))
        self.b = nn.Parameter(torch.empty(directions, 4 * hidden))

    def reset_parameters(self) -> None:
        """Xavier for W, orthogonal blocks for U, and 1 for the forget gate's bias (Jozefowicz et al. 2015)."""
        for direction in range(self.directions):
            for gate in self.W.data[direction].chunk(4, -1):
                nn.init.xavier_uniform_(gate)
            for gate in self.U.data[direction].chunk(4, -1):
                nn.init.orthogonal_(gate)
        nn.init.zeros_(self.b)
        self.b.data[:, self.hidden : 2 * self.hidden] = 1

    def _packing(self, x: Tensor, lengths: Tensor | None, mask: Tensor | None) -> Packing:
        """Where the texts stand in a padded batch x (B, T, I)."""
        check_shape("x", x, "B", "T", self.input_size)
        check_alike("x", x, self.W)
        return Packing(text_lengths("x", x, lengths, mask), x.size(1), x.device)


class LSTM(_Gates):
    r"""A long short-term memory that reads in one or two directions (Hochreiter and Schmidhuber, 1997).

    .. math::
        i, f, o = \sigma(W x_t + U h_{t-1} + b), \quad g = \tanh(W_g x_t + U_g h_{t-1} + b_g)
        c_t = f \odot c_{t-1} + i \odot g, \quad h_t = o \odot \tanh(c_t)

    It computes what ``torch.nn.LSTM`` does, with one bias; padding is left out rather than read. Computed in 32 bits
    where the weights have 16; the states have the weights' dtype.

    Args:
        input_size: I, dimensions of a token vector.
        hidden: H, units per direction.
        directions: D, 1 (forward) or 2 (forward and backward).

    Shapes:
        - x (B, T, I), B texts padded on the right to T tokens; on the layer's device, and of its dtype
        - lengths (B,) int64, from 1 to T, or in their place mask (B, T) bool, in each row True for the tokens of a
          text, then False; without both no text is padded
        - output: states (B, T, D * H), forward beside backward, 0 at padding

    Raises:
        InputError: a size is below 1, there are other directions, or what is read has other shapes.

    >>> import torch
    >>> from graphmtl.nn import LSTM
    >>> lstm = LSTM(input_size=5, hidden=4)
    >>> lstm
    LSTM(5, 4, directions=2)
    >>> states = lstm(torch.randn(2, 3, 5), lengths=torch.tensor([3, 1]))
    >>> states.shape, states[1, 1:].abs().sum().item()
    (torch.Size([2, 3, 8]), 0.0)
    """

    def __init__(self, *, input_size: int, hidden: int, directions: int = 2):
        super().__init__(input_size=input_size, hidden=hidden, directions=directions)
        self.reset_parameters()

    def forward(self, x: Tensor, lengths: Tensor | None = None, *, mask: Tensor | None = None) -> Tensor:
        """Reads padded texts; see Shapes above."""
        packing = self._packing(x, lengths, mask)
        states = run_side_by_side([self], packing.pack(x, self.directions), packing).squeeze(2)  # (D, N, H)
        return packing.unpack(states)

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.hidden}, directions={self.directions}"


def run_side_by_side(lstms: Sequence[Any], x: Tensor, packing: Packing) -> Tensor:
    """K plain LSTMs over the same tokens, in one recurrence.

    Args:
        lstms: K :class:`LSTM` of the same sizes.
        x: (D, N, I), as ``packing.pack`` makes it; or (D, N, K, I), where each reads something of its own.
        packing: where the texts stand in x.

    Returns:
        h (D, N, K, H).
    """
    W = torch.stack([lstm.W for lstm in lstms], 1)  # (D, K, I, 4H)
    b = torch.stack([lstm.b for lstm in lstms], 1)  # (D, K, 4H)
    U = torch.stack([lstm.U for lstm in lstms], 1)  # (D, K, H, 4H)
    if x.ndim == 3:
        return plain_lstms(x, W, b, U, packing)
    each = (a.flatten(0, 1) for a in (x.transpose(1, 2), W, b, U))  # as if they were directions, D * K of them
    x, W, b, U = (a if i == 0 else a.unsqueeze(1) for i, a in enumerate(each))
    return plain_lstms(x, W, b, U, packing).squeeze(2).unflatten(0, (-1, len(lstms))).transpose(1, 2)


class MessageLSTM(_Gates):
    r"""An LSTM that reads a message from other nodes at every token (Liu et al., AAAI 2019).

    .. math::
        s_{t,j} &= u^\top \tanh(W_n n_j + W_q [h_{t-1}; x_t]) + \beta_j, \quad
        a_t = \mathrm{softmax}_j(s_t), \quad r_t = \sum_j a_{t,j} n_j \\
        i, f, o &= \sigma(W x_t + U h_{t-1} + b), \quad g = \tanh(W_g x_t + U_g h_{t-1} + b_g), \quad
        c_t = f \odot c_{t-1} + i \odot g \\
        m_t &= \sigma(W_m r_t + V_m c_t), \quad h_t = o \odot \tanh(c_t + m_t \odot W_r r_t)

    The nodes n_j are states of other LSTMs of the same size, such as those of other tasks at token t, or the states of
    one LSTM at all tokens of the text. With the score ``dot`` :math:`s_{t,j} = (W_n n_j) \cdot (W_q q) / \sqrt H +
    \beta_j`, for the query q = [h_{t-1}; x_t], computed as n_j . (W_n^T W_q q), so that no key is ever needed; with
    ``static`` :math:`s_{t,j} = \beta_j`. :math:`\beta_j` is there where ``sources`` is given, and starts at 0. All
    weights but :math:`\beta` belong to the direction: forward reads forward states, and backward backward ones.

    Args:
        input_size: I, dimensions of a token vector.
        hidden: H, units per direction.
        attention: A, dimensions of keys and queries.
        score: ``additive`` (the paper's), ``dot``, ``static``, or another of
            :data:`~graphmtl.layers.interaction.SCORES`.
        sources: number of nodes that have a bias of their own; 0 for none.
        message_start: ``random`` (Xavier), or ``identity`` for W_r: from the first step on a node's state then counts
            for the reader as it does for the node itself.
        directions: D, 1 (forward) or 2 (forward and backward).

    Shapes:
        - x (B, T, I), lengths (B,) or mask (B, T): as in :class:`LSTM`
        - nodes (B, T, S, D * H), S nodes for every token, forward beside backward as :class:`LSTM` gives them; or
          (B, T, D * H), where all tokens of a text are nodes of that text
        - output: states (B, T, D * H), 0 at padding. If ``return_edge_weights=True``, then (states, weights): how much
          of each node token t read, the mean over the directions, (B, T, S), or (B, T tokens t, T tokens j); 0 at
          padding, 1 summed over the nodes of a token. No gradient flows through them.

    Raises:
        InputError: a size is below 1, a score or message_start does not exist, or what is read has other shapes.

    Two tasks' LSTMs are the nodes of a third one:

    >>> import torch
    >>> from graphmtl.nn import LSTM, MessageLSTM
    >>> x, lengths = torch.randn(2, 3, 5), torch.tensor([3, 1])
    >>> others = [LSTM(input_size=5, hidden=4) for _ in range(2)]
    >>> nodes = torch.stack([lstm(x, lengths) for lstm in others], 2)  # (2, 3, 2, 8)
    >>> reader = MessageLSTM(input_size=5, hidden=4, attention=6, score="additive", sources=2)
    >>> reader
    MessageLSTM(5, 4, attention=6, score=additive, sources=2, directions=2)
    >>> states, weights = reader(x, nodes, lengths, return_edge_weights=True)
    >>> states.shape, weights.shape, round(weights[0, 0].sum().item(), 5)
    (torch.Size([2, 3, 8]), torch.Size([2, 3, 2]), 1.0)
    """

    undecayed = ("b", "u")
    own_start = ("node_bias",)  # each task has biases for sources of its own

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
        for name, value, known in (("score", score, SCORES), ("message_start", message_start, get_args(MessageStart))):
            if value not in known:
                raise unknown_name(name, value, known)
        check_sizes(attention=attention)
        self.attention, self.score, self.sources, self.message_start = attention, score, sources, message_start
        self.W_m = nn.Parameter(torch.empty(directions, hidden, hidden))
        self.V_m = nn.Parameter(torch.empty(directions, hidden, hidden))
        self.W_r = nn.Parameter(torch.empty(directions, hidden, hidden))
        self.node_bias = nn.Parameter(torch.empty(sources)) if sources else None
        if SCORES[score].function is not None:
            self.W_n = nn.Parameter(torch.empty(directions, hidden, attention))
            self.W_q = nn.Parameter(torch.empty(directions, hidden + input_size, attention))
        if SCORES[score].vector:
            self.u = nn.Parameter(torch.empty(directions, attention))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """The gates as those of :class:`LSTM`, Xavier for the rest; W_r as ``message_start`` says, and no bias."""
        super().reset_parameters()
        own = dict(self.named_parameters(recurse=False))
        for name in ("W_m", "V_m", "W_r", "W_n", "W_q"):
            for direction in own.get(name, ()):
                nn.init.xavier_uniform_(direction.data)
        if self.message_start == "identity":
            for direction in self.W_r.data:
                nn.init.eye_(direction)
        if "u" in own:
            nn.init.uniform_(own["u"], -(own["u"].size(-1) ** -0.5), own["u"].size(-1) ** -0.5)
        if self.node_bias is not None:
            nn.init.zeros_(self.node_bias)

    def forward(
        self,
        x: Tensor,
        nodes: Tensor,
        lengths: Tensor | None = None,
        *,
        mask: Tensor | None = None,
        return_edge_weights: bool = False,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Reads padded texts and their nodes; see Shapes above. :meth:`read` is the same without padding."""
        packing = self._packing(x, lengths, mask)
        each = nodes.ndim == 4 if isinstance(nodes, Tensor) else False  # every token has nodes of its own
        S: tuple[int | str, ...] = (self.sources or "S",) if each or self.sources else ()
        check_shape("nodes", nodes, *x.shape[:2], *S, self.directions * self.hidden)
        check_alike("nodes", nodes, self.W)
        ways = packing.pack(x, self.directions), packing.pack_states(nodes, self.directions)  # (D, N, ...)
        states, weights, _, _ = self.read(*ways, packing)  # (D, N, H), (D, N, S)
        if not return_edge_weights:
            return packing.unpack(states)
        if each:
            return packing.unpack(states), packing.unpack_mean(weights)
        weights = packing.unpack_positions(weights)  # (B, T, tokens of the longest text)
        return packing.unpack(states), F.pad(weights, (0, x.size(1) - weights.size(-1)))

    def extra_repr(self) -> str:
        sizes = f"{self.input_size}, {self.hidden}, attention={self.attention}, score={self.score}"
        return f"{sizes}, sources={self.sources}, directions={self.directions}"

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
        scoring = SCORES[self.score]
        if scoring.function is not None:
            W_q = self.W_q @ self.W_n.mT if self.score == "dot" else self.W_q  # (D, H + I, A)
            U.append(W_q[:, : self.hidden])
            W.append(W_q[:, self.hidden :])
            b.append(W_q.new_zeros(len(W_q), W_q.size(-1)))
            keys = nodes
        if scoring.function is not None and self.score != "dot":
            keys = torch.bmm(nodes.flatten(1, -2), self.W_n).unflatten(1, nodes.shape[1:-1])  # (D, N, A), (D, N, S, A)
        if scoring.vector:
            u = self.u
        W_mr = torch.cat([self.W_m, self.W_r], -1)  # (D, H, 2H)
        weights = Weights(torch.cat(W, -1), torch.cat(b, -1), torch.cat(U, -1), self.V_m, W_mr)
        bias: Tensor | None = self.node_bias
        if cut is not None and cut.any():
            if renormalise and not cut.all():
                bias = (nodes.new_zeros(len(cut)) if bias is None else bias).masked_fill(cut, -torch.inf)
            else:
                nodes = nodes.masked_fill(cut[:, None], 0)
        own = None if scoring.fast else scoring.function
        return message_lstm(x, weights, Graph(nodes, keys, u, bias, own), packing)
