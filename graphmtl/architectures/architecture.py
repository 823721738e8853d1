"""What every architecture is to the rest of the toolkit."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from graphmtl.config import ModelOptions
from graphmtl.graph.interaction import EdgeWeights
from graphmtl.graph.topology import Topology, read_topology

__all__ = ["Architecture", "Read"]

Read = tuple[Tensor, EdgeWeights | None]
"""What a task reads: its token states (batch, tokens, dim), and the edge weights."""


class Architecture(nn.Module):
    """Token vectors of texts to every task's token states, and the edge weights that were used on the way.

    ``read(x, lengths, tasks, edges=False)`` takes x (batch, tokens, input_size), lengths (batch,) and the positions of
    the tasks that read these texts. For each it returns states (batch, tokens, output_size), 0 at padding, and, where
    ``edges`` asks for them and the architecture has any, the :class:`~graphmtl.graph.interaction.EdgeWeights`, else
    None. What the tasks have in common is computed once. ``forward`` is ``read`` for one task.

    Architectures with edges also have ``node_states(x, lengths, tasks)``, the states of the nodes that these tasks may
    read, and their ``read`` takes ``nodes``, these states if they are at hand, and ``ablation``, edges to be cut
    (:class:`~graphmtl.graph.interaction.Ablation`).

    Args:
        tasks: task names; from then on a task is spoken of by its position in this order.
        input_size: dimensions of a token vector.
        options: sizes, score function and directions.

    Attributes:
        output_size: dimensions of a token state.
        ways: the reading directions of the equal blocks of a token state, 0 forward, 1 backward.
        topology: which tasks a task reads from; None where tasks read from no task.
    """

    own_encoder_per_task = False  #: True where tasks share no parameter at all, the word embeddings included
    reads_tasks = False  #: True where tasks read from tasks, and ``--topology`` says from which
    virtual_node: str | None = None  #: the name of the node that is no task, if there is one

    def __init__(self, *, tasks: Sequence[str], input_size: int, options: ModelOptions):
        super().__init__()
        self.tasks = tuple(tasks)
        self.topology: Topology | None = None
        if self.reads_tasks:
            self.topology = read_topology(options.topology, self.tasks, options.top_k)
        self.directions = 2 if options.bidirectional else 1
        self.output_size = self.directions * options.hidden
        self.ways = tuple(range(self.directions))
        self.lstm_sizes: dict[str, Any] = {
            "input_size": input_size,
            "hidden": options.hidden,
            "directions": self.directions,
        }
        self.message_sizes = {**self.lstm_sizes, "attention": options.attention, "score": options.score}
        self.message_sizes["message_start"] = options.message_start

    def read(self, x: Tensor, lengths: Tensor, tasks: Sequence[int], edges: bool = False) -> list[Read]:
        raise NotImplementedError

    def forward(self, x: Tensor, lengths: Tensor, task: int, edges: bool = False, **kwargs) -> Read:
        return self.read(x, lengths, [task], edges, **kwargs)[0]
