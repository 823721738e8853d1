"""What every architecture is to the rest of the toolkit."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from graphmtl.config import ModelOptions
from graphmtl.graph.interaction import EdgeWeights
from graphmtl.graph.topology import Topology, read_topology
from graphmtl.models.heads import token_mask
from graphmtl.models.message_lstm import LSTM
from graphmtl.models.recurrence import Packing

__all__ = ["Architecture", "Read"]

Read = tuple[Tensor, EdgeWeights | None]
"""What a task reads: its token states (batch, tokens, dim), and the edge weights."""


class TokenStates(nn.Module):
    """In the place of an LSTM: the encoder's states as they are, 0 at padding."""

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """x (batch, tokens, dim) and lengths (batch,) to (batch, tokens, dim)."""
        return x * token_mask(lengths, x).unsqueeze(-1)


class Architecture(nn.Module):
    """Token vectors of texts to every task's token states, and the edge weights that were used on the way.

    ``read(x, lengths, tasks, edges=False)`` takes x (batch, tokens, input_size), lengths (batch,) and the positions of
    the tasks that read these texts. For each it returns states (batch, tokens, output_size), 0 at padding, and, where
    ``edges`` asks for them and the architecture has any, the :class:`~graphmtl.graph.interaction.EdgeWeights`, else
    None. What the tasks have in common is computed once. ``forward`` is ``read`` for one task.

    ``interact(h, task, edges=False)`` comes after pooling: h is what the head would see, (batch, dim) of a text or
    (batch, tokens, dim) of tags. It returns what the head does see, of the same shape, and the edge weights as above.
    Most architectures leave h as it is.

    Args:
        tasks: task names; from then on a task is spoken of by its position in this order.
        input_size: dimensions of a token vector.
        options: sizes, score function and directions.
        contextual: x comes from an encoder in which tokens have read each other, such as a transformer.

    Attributes:
        output_size: dimensions of a token state.
        ways: the reading directions of the equal blocks of a token state, 0 forward, 1 backward.
        topology: which tasks a task reads from; None where tasks read from no task.
    """

    own_encoder_per_task = False  #: True where tasks share no parameter at all, the word embeddings included
    reads_tasks = False  #: True where tasks read from tasks, and ``--topology`` says from which
    reads_contextual = True  #: True where LSTMs read a contextual encoder's states too, False where these are enough
    virtual_node: str | None = None  #: the name of the node that is no task, if there is one

    def __init__(self, *, tasks: Sequence[str], input_size: int, options: ModelOptions, contextual: bool = False):
        super().__init__()
        self.tasks = tuple(tasks)
        self.topology: Topology | None = None
        if self.reads_tasks:
            self.topology = read_topology(options.topology, self.tasks, options.top_k)
        self.contextual = contextual
        self.directions = 2 if options.bidirectional else 1
        self.output_size = self.directions * options.hidden
        self.ways = tuple(range(self.directions))
        if contextual and not self.reads_contextual:
            self.output_size, self.ways = input_size, (0,)
        self.lstm_sizes: dict[str, Any] = {
            "input_size": input_size,
            "hidden": options.hidden,
            "directions": self.directions,
        }
        self.message_sizes = {**self.lstm_sizes, "attention": options.attention, "score": options.score}

    def lstm_over_encoder(self) -> nn.Module:
        """A plain LSTM; where the encoder's states are enough, what gives them back as they are."""
        return TokenStates() if self.contextual and not self.reads_contextual else LSTM(**self.lstm_sizes)

    def nodes(self, x: Tensor, packing: Packing, tasks: Sequence[int]) -> Tensor | None:
        """What the tasks read at packed token vectors x (D, N, I): states (D, N, ...); None where they read nothing.

        Where there are nodes, ``read`` takes them by this name if they are at hand.
        """
        return None

    def read(self, x: Tensor, lengths: Tensor, tasks: Sequence[int], edges: bool = False) -> list[Read]:
        raise NotImplementedError

    def forward(self, x: Tensor, lengths: Tensor, task: int, edges: bool = False, **kwargs) -> Read:
        return self.read(x, lengths, [task], edges, **kwargs)[0]

    def interact(self, h: Tensor, task: int, edges: bool = False) -> tuple[Tensor, EdgeWeights | None]:
        return h, None
