"""What every architecture is to the rest of the toolkit."""

from collections.abc import Sequence
from typing import Any

from torch import nn

from graphmtl.config import ModelOptions
from graphmtl.graph.topology import Topology, read_topology

__all__ = ["Architecture"]


class Architecture(nn.Module):
    """Token vectors of one task's texts to token states, and the edge weights that were used on the way.

    ``forward(x, lengths, task, edges=False)`` takes x (batch, tokens, input_size), lengths (batch,) and the position of
    the task; it returns states (batch, tokens, output_size), 0 at padding, and, where ``edges`` asks for them and the
    architecture has any, the :class:`~graphmtl.graph.interaction.EdgeWeights`, else None.

    Args:
        tasks: task names; from then on a task is spoken of by its position in this order.
        input_size: dimensions of a token vector.
        options: sizes, score function and directions.

    Attributes:
        output_size: dimensions of a token state.
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
        self.lstm_sizes: dict[str, Any] = {
            "input_size": input_size,
            "hidden": options.hidden,
            "directions": self.directions,
        }
        self.message_sizes = {**self.lstm_sizes, "attention": options.attention, "score": options.score}
