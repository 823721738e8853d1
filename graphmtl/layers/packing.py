"""What a recurrence is given: the tokens of a batch without its padding, and the nodes that are read.

Shapes: D directions, N tokens of all texts, B texts, H hidden units, S nodes, A dimensions of the query.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from graphmtl.layers.devices import moved
from graphmtl.layers.interaction import ScoreFunction
from graphmtl.layers.shapes import check_lengths, check_shape

__all__ = ["Graph", "Packing", "Trace", "Weights"]


class Packing:
    """Where the tokens of a batch stand when its padding is left out: one text after the other.

    Args:
        lengths: (B,) int64 on the CPU, at least 1.
        tokens: T, to which the batch is padded.
        device: where the batch is.

    Raises:
        InputError: the lengths are not such.

    Attributes:
        starts: (B + 1,) on the CPU: the rows of text b are ``starts[b]`` to ``starts[b + 1]``.
        device_starts: the same where the batch is.
        rows: (2, N), where row n comes from in a padded batch (B * T), for reading forward and backward.
        longest_first: (2, B) where the batch is: where the texts begin, the longest one first, and their lengths.
    """

    def __init__(self, lengths: Tensor, tokens: int, device: torch.device | str = "cpu"):
        check_lengths(lengths, tokens)
        self.lengths, self.tokens = lengths, tokens
        self.starts = torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])
        places = torch.arange(int(self.starts[-1]))  # (N,)
        firsts, starts = torch.arange(len(lengths)) * tokens, self.starts[:-1]  # (B,), in the batch and without padding
        forward = places + (firsts - starts).repeat_interleave(lengths, output_size=len(places))
        backward = (firsts + lengths - 1 + starts).repeat_interleave(lengths, output_size=len(places)) - places
        order = lengths.argsort(descending=True, stable=True)
        parts = [forward, backward, self.starts, starts[order], lengths[order]]
        there = moved(torch.cat(parts), device)  # all at once
        rows, self.device_starts, longest_first = there.split([2 * len(places), len(self.starts), 2 * len(lengths)])
        self.rows, self.longest_first = rows.view(2, -1), longest_first.view(2, -1)

    def pack(self, x: Tensor, directions: int) -> Tensor:
        """(B, T, I) to (D, N, I): as it stands and, with two directions, reversed."""
        check_shape("x", x, len(self.lengths), self.tokens, "I")
        rows = self.rows[:directions]  # (D, N)
        return x.flatten(0, 1).index_select(0, rows.flatten()).view(*rows.shape, -1)

    def unpack(self, states: Tensor) -> Tensor:
        """(D, N, H) to (B, T, D * H): every direction in reading order, 0 at padding."""
        empty = states.new_zeros(len(self.lengths) * self.tokens, states.size(-1))
        ways = [empty.index_copy(0, rows, way) for rows, way in zip(self.rows, states, strict=False)]
        return torch.cat(ways, -1).unflatten(0, (-1, self.tokens))

    def pack_states(self, states: Tensor, directions: int) -> Tensor:
        """(B, T, ..., D * H) to (D, N, ..., H): what :meth:`unpack` undoes."""
        check_shape("states", states, len(self.lengths), self.tokens, *states.shape[2:])
        ways = zip(self.rows, states.flatten(0, 1).chunk(directions, -1), strict=False)  # D times (B * T, ..., H)
        return torch.stack([way.index_select(0, rows) for rows, way in ways])

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
        return before.index_fill_(1, self.device_starts[:-1], 0)

    def steps(self) -> tuple[Tensor, list[Tensor]]:
        """The texts (B,) sorted by length, the longest first, and for every token the rows of those that have it."""
        order = self.lengths.argsort(descending=True, stable=True)
        lengths, starts = self.lengths[order], self.starts[:-1][order]
        steps = [(starts + t)[lengths > t] for t in range(int(lengths.max()))]
        sizes = [len(rows) for rows in steps]
        return order.to(self.rows.device), list(torch.cat(steps).to(self.rows.device).split(sizes))


class Graph(NamedTuple):
    """What a message LSTM reads, and with which score.

    Shapes:
        nodes (D, N, S, H): S nodes for every token; or (D, N, H): the tokens of a text are its nodes, and S is the
        longest text's length. keys likewise with A for H; the nodes themselves for the dot score (A = H), None for the
        static one. u (D, A) for the additive score, else None. bias (S,) or None.

    ``own`` is the score's function where it is none of the three; u is there if it takes one.
    """

    nodes: Tensor
    keys: Tensor | None
    u: Tensor | None
    bias: Tensor | None
    own: ScoreFunction | None = None

    @property
    def score(self) -> str:
        if self.own is not None:
            return "own"
        return "static" if self.keys is None else "dot" if self.u is None else "additive"

    @property
    def attention(self) -> int:
        return 0 if self.keys is None else self.keys.size(-1)

    def size(self, packing: Packing) -> int:
        return self.nodes.size(2) if self.nodes.ndim == 4 else int(packing.lengths.max())


class Weights(NamedTuple):
    """The parameters of a message LSTM, or their gradients.

    Shapes:
        W (D, I, 4H + A), of the gates and of the query; b (D, 4H + A); U (D, H, 4H + A); V_m (D, H, H); W_mr
        (D, H, 2H), W_m beside W_r.
    """

    W: Tensor
    b: Tensor
    U: Tensor
    V_m: Tensor
    W_mr: Tensor


class Trace(NamedTuple):
    """What a message LSTM's way forward leaves.

    Shapes:
        z (D, N, 4H + A), the activated gates and the query; states, cells and messages (D, N, H); weights (D, N, S);
        reads (D, N, 2H), m_t beside W_r r_t; shares (D, N, 1), of the message in what the cell puts out:
        |m_t * W_r r_t| / (|c_t| + |m_t * W_r r_t|).
    """

    z: Tensor
    states: Tensor
    cells: Tensor
    messages: Tensor
    weights: Tensor
    reads: Tensor
    shares: Tensor
