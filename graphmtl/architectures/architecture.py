"""What every architecture is to the rest of the toolkit."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from graphmtl.config import WIDEST, ArchitectureOptions, OptionGroup, option
from graphmtl.errors import InputError, shown, unknown_name
from graphmtl.graph.topology import Topology, read_topology
from graphmtl.layers.interaction import Ablation, EdgeWeights, Score
from graphmtl.layers.layer import Layer
from graphmtl.layers.message_lstm import LSTM, MessageStart
from graphmtl.layers.pooling import POOLINGS, pooled_size, token_mask
from graphmtl.layers.shapes import check_alike, check_shape, check_sizes, text_lengths

__all__ = ["Architecture", "HeadInput", "MessageOptions", "Read", "TopologyOptions"]

Read = tuple[Tensor, EdgeWeights | None]
"""What a task reads: its token states (batch, tokens, dim), and the edge weights."""


@dataclass(frozen=True, kw_only=True)
class MessageOptions(ArchitectureOptions):
    """Of architectures whose LSTMs read messages."""

    attention: int = option(
        64,
        "dimensions of the attention's keys and queries",
        low=1,
        high=WIDEST,
        unless=("score=static", "which has none"),
    )
    score: Score = option("additive", "how a query is matched with a node")
    message_start: Literal["auto", "random", "identity"] = option(
        "auto",
        "first weights of W_r; identity: what a node says is added to the cell as it stands; auto: identity for "
        "complete, random for star",
    )


@dataclass(frozen=True, kw_only=True)
class TopologyOptions(OptionGroup):
    """Of architectures in which tasks read from tasks."""

    topology: str | None = option(
        None,
        "which tasks a task may read from (all others): complete, star, star:TASK, [[SOURCE, TARGET], ...], a YAML or "
        "GraphML file of edges, or the folder of a finished run",
        shown="EDGES",
    )
    top_k: int = option(
        0, "with a run as --topology: how many of the strongest edges into a task stay; 0: all", low=0, needs="topology"
    )


@dataclass
class HeadInput:
    """What a task's head sees.

    Attributes:
        h: (batch, dim) of a text, (batch, tokens, dim) of tags.
        edges: the edge weights, where they are asked for and the architecture has some after pooling.
        penalty: (batch,), what is added to the loss of every text in training, times ``penalty_weight``.
        nodes: the representations of all K tasks, (batch, K, dim) or (batch, tokens, K, dim), where there are such.
        views: by name, what else the head must answer from in training, each in the shape of h.
    """

    h: Tensor
    edges: EdgeWeights | None = None
    penalty: Tensor | None = None
    nodes: Tensor | None = None
    views: dict[str, Tensor] = field(default_factory=dict)


class TokenStates(nn.Module):
    """In the place of an LSTM: the encoder's states as they are, 0 at padding."""

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """x (batch, tokens, dim) and lengths (batch,) to (batch, tokens, dim)."""
        return x.masked_fill(~token_mask(lengths, x).unsqueeze(-1), 0)


class Architecture(Layer):
    """Token vectors of texts to every task's token states, and the edge weights that were used on the way.

    All that the rest of the toolkit asks of an architecture stands in this class, each with a default. One that is
    derived from it must have ``read``, and says what else is not as it is here:

    - how texts are read: :meth:`read` before pooling, :meth:`interact` after it, with ``head_size``; and in training
      :meth:`read_with_views`;
    - what tasks read from: ``has_edges``, ``virtual_node``, :meth:`node_states`, and the attributes below;
    - what its parameters are: :meth:`task_modules`, :meth:`task_rows`, :meth:`frozen_parts`, :meth:`learning_rates`,
      and of every :class:`~graphmtl.layers.layer.Layer`, which it is itself, ``undecayed`` and ``own_start``.

    Args:
        tasks: task names; from then on a task is spoken of by its position in this order.
        input_size: dimensions of a token vector.
        contextual: x comes from an encoder in which tokens have read each other, such as a transformer.
        pooling: how a text's token states become the vector that ``interact`` gets; ``max-mean`` doubles its size.
        options: those that the architecture declares (``Options``); or they are given by name.

    Attributes:
        output_size: dimensions of a token state.
        ways: the reading directions of the equal blocks of a token state, 0 forward, 1 backward.
        topology: which tasks a task reads from; None where tasks read from no task.
        node_size: dimensions of what :class:`HeadInput` has as nodes; None where there are none.
    """

    Options: ClassVar[type[ArchitectureOptions]] = ArchitectureOptions  #: its options
    has_edges = False  #: True where ``read`` or ``interact`` gives edge weights, and leaves out the edges that are cut
    own_encoder_per_task = False  #: True where tasks share no parameter at all, the word embeddings included
    reads_tasks = False  #: True where tasks read from tasks, and ``--topology`` says from which
    reads_new_tasks = False  #: True where every task reads from all others, whatever ``--topology`` says
    reads_nodes = False  #: True where a task's LSTM reads nodes at every token: packed ``node_states`` (D, N, ...)
    reads_contextual = True  #: True where LSTMs read a contextual encoder's states too, False where these are enough
    has_nodes = False  #: True where ``interact`` gives a representation for every task, which teachers may form
    holds_apart = False  #: True where a task's states are a shared half and its own, which training is to hold apart
    has_views = False  #: True where training has further views of a text, of ``interact`` or ``read_with_views``
    revision: ClassVar[int] = 1  #: goes up where its equations change, so that models saved before are not misread
    auto_pooling: ClassVar[Literal["mean", "max-mean"]] = (
        "max-mean"  #: what ``--pooling auto`` means where LSTMs give the states of a text
    )
    auto_message_start: ClassVar[MessageStart] = "random"  #: what ``--message-start auto`` means
    acts_after_pooling = False  #: True where the vectors of texts and of tokens go through the same layers
    virtual_node: str | None = None  #: the name of the node that is no task, if there is one; all tasks read it
    first_stage: str | None = None  #: the architecture that trains :meth:`frozen_parts` in a run of its own, before

    def __init__(
        self,
        *,
        tasks: Sequence[str],
        input_size: int,
        contextual: bool = True,
        pooling: str = "mean",
        options: OptionGroup | None = None,
        **values: Any,
    ):
        super().__init__()
        options = self._options(values) if options is None else options
        if not isinstance(options, self.Options):
            raise InputError(
                f"{type(self).__name__}: options are {type(options).__name__}, not {self.Options.__name__}"
            )
        self.options: Any = options
        if pooling not in POOLINGS:
            raise unknown_name("pooling", str(pooling), POOLINGS)
        self.pooling = pooling
        self.tasks, self.input_size = _names(tasks), input_size
        check_sizes(input_size=input_size)
        self.topology: Topology | None = None
        self.node_size: int | None = None
        if self.reads_tasks:
            assert isinstance(options, TopologyOptions)
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
        if isinstance(options, MessageOptions):
            start = self.auto_message_start if options.message_start == "auto" else options.message_start
            asked = {"attention": options.attention, "score": options.score, "message_start": start}
            self.message_sizes = {**self.lstm_sizes, **asked}

    def _options(self, values: dict[str, Any]) -> OptionGroup:
        known = [field.name for field in fields(self.Options)]
        for name in values:
            if name not in known:
                raise InputError(f"{type(self).__name__}: {unknown_name('option', name, known)}")
        return self.Options(**values)

    def lstm_over_encoder(self) -> nn.Module:
        """A plain LSTM; where the encoder's states are enough, what gives them back as they are."""
        return TokenStates() if self.contextual and not self.reads_contextual else LSTM(**self.lstm_sizes)

    def read(
        self,
        x: Tensor,
        lengths: Tensor,
        tasks: Sequence[int],
        edges: bool = False,
        nodes: Tensor | None = None,
        ablation: Ablation | None = None,
    ) -> list[Read]:
        """What each of some tasks makes of texts; what the tasks have in common is computed once.

        Args:
            x: token vectors (batch, tokens, input_size).
            lengths: (batch,), always on the CPU.
            tasks: the positions of the tasks that read these texts.
            edges: the edge weights are asked for.
            nodes: :meth:`node_states` of the same texts and tasks, if they are at hand.
            ablation: edges to be cut; where nothing is read before pooling there are none.

        Returns:
            For each task the states (batch, tokens, output_size), 0 at padding, and the
            :class:`~graphmtl.layers.interaction.EdgeWeights` if they are asked for and there are any, else None.
        """
        raise InputError(f"{type(self).__name__} has no `read`, which every architecture must have")

    def read_with_views(
        self,
        x: Tensor,
        lengths: Tensor,
        tasks: Sequence[int],
        edges: bool = False,
        nodes: Tensor | None = None,
        views: Collection[str] = (),
    ) -> list[tuple[Read, dict[str, Tensor]]]:
        """:meth:`read` in training, and by name those of some ``views`` that each task has before pooling.

        A view is in the shape of the states; the head must answer from it too.
        """
        return [(own, {}) for own in self.read(x, lengths, tasks, edges, nodes)]

    def forward(
        self,
        x: Tensor,
        task: str | int,
        lengths: Tensor | None = None,
        *,
        mask: Tensor | None = None,
        return_edge_weights: bool = False,
    ) -> Tensor | Read:
        """What a task makes of padded texts: ``read`` and then, where an architecture acts there, ``interact``.

        Args:
            x: (batch, tokens, input_size), padded on the right. Where the architecture acts after pooling also
                (batch, dim), the vectors of texts at once: ``interact`` alone.
            task: its name, or its position.
            lengths: (batch,) int64, tokens of each text.
            mask: (batch, tokens) bool in their place, in each row True for the tokens, then False. With neither no
                text is padded.
            return_edge_weights: the edge weights are given too.

        Returns:
            The states (batch, tokens, head_size(output_size)), 0 at padding, or (batch, head_size(dim)) of vectors. If
            ``return_edge_weights=True``, then (states, edges): the
            :class:`~graphmtl.layers.interaction.EdgeWeights`, None where the architecture has none.

        Raises:
            InputError: the task does not exist, or a tensor is of another shape, dtype or device.
        """
        position, edges = self.position(task), None
        lengths = self._lengths(x, lengths, mask)
        h = x  # (batch, dim), or else from now on (batch, tokens, output_size)
        if x.ndim == 3:
            ((h, edges),) = self.read(x, lengths, [position], return_edge_weights)
        seen = self.interact(h, lengths, position, return_edge_weights)
        h = seen.h
        if self.acts_after_pooling and x.ndim == 3:
            h = h.masked_fill(~token_mask(lengths, h).unsqueeze(-1), 0)
        return (h, seen.edges or edges) if return_edge_weights else h

    def _lengths(self, x: Tensor, lengths: Tensor | None, mask: Tensor | None) -> Tensor:
        """Whether ``forward`` can take this, and how many tokens each text has, (batch,) on the CPU; of a vector 1."""
        size = pooled_size(self.output_size, self.pooling)  # of a vector
        of_texts = self.acts_after_pooling and isinstance(x, Tensor) and x.ndim == 2
        check_shape("x", x, "B", *((size,) if of_texts else ("T", self.input_size)))
        check_alike("x", x, next(self.parameters(), x))
        if of_texts and not (lengths is None is mask):
            raise InputError(
                f"x: found shape {tuple(x.shape)} with lengths or mask, expected (B, T, {self.input_size})"
            )
        if of_texts:
            return text_lengths("x", x[:, None], None, None)
        if self.acts_after_pooling and size != self.output_size:
            raise InputError(f"x: found shape {tuple(x.shape)}, expected (B, {size}), with pooling {self.pooling}")
        return text_lengths("x", x, lengths, mask)

    def position(self, task: str | int) -> int:
        """A task's position, of its name or of itself.

        Raises:
            InputError: there is no such task.
        """
        if isinstance(task, str):
            if task not in self.tasks:
                raise unknown_name("task", task, self.tasks)
            return self.tasks.index(task)
        if isinstance(task, bool) or not isinstance(task, int) or not 0 <= task < len(self.tasks):
            raise InputError(
                f"task: found {shown(task)}, expected a name or a position from 0 to {len(self.tasks) - 1}"
            )
        return task

    def extra_repr(self) -> str:
        size = self.head_size(self.output_size)
        return f"tasks=[{', '.join(self.tasks)}], input_size={self.input_size}, output_size={size}"

    def node_states(self, x: Tensor, lengths: Tensor, tasks: Sequence[int]) -> Tensor | None:
        """The states of the nodes that these tasks may read, which are the same whichever edges are cut.

        Packed (D, N, ...) as in :mod:`graphmtl.layers.packing` where ``reads_nodes`` or there is a virtual node, whose
        states they are; else as ``read`` likes them. None where nothing is to be gained: ``read`` then does it all.
        """
        return None

    def interact(
        self, h: Tensor, lengths: Tensor, task: int, edges: bool = False, ablation: Ablation | None = None
    ) -> HeadInput:
        """What a task's head sees; most architectures leave h as it is.

        Args:
            h: what was pooled of a text (batch, dim), or the token states of tags (batch, tokens, dim).
            lengths: (batch,), always on the CPU.
            task: the task's position.
            edges: the edge weights are asked for.
            ablation: edges to be cut.

        Returns:
            A :class:`HeadInput` of ``head_size(dim)`` dimensions.
        """
        return HeadInput(h)

    def task_modules(self) -> list[nn.ModuleList]:
        """Lists that have a module for each task, in the tasks' order.

        A new task gets one more in each, and every task's has the same first weights (``--same-start``).
        """
        return []

    def task_rows(self) -> list[Tensor]:
        """Parameters and buffers that have a row for each task, outside of :meth:`task_modules`.

        A new task gets one more in each. Of a matrix of tasks by tasks, a new task's column is one more too.
        """
        return []

    def frozen_parts(self) -> list[nn.Module]:
        """What a first stage has trained (``first_stage``), and stays as it is."""
        return []

    def shared_lstm(self) -> LSTM | None:
        """The plain LSTM that reads the texts of all tasks, which may be pre-trained; None where there is none."""
        return None

    def learning_rates(self, lr: float) -> list[tuple[nn.Parameter, float]]:
        """Parameters with a learning rate of their own, where that of all others is ``lr``."""
        return []

    def edge_weights(
        self, gates: Tensor, values: Tensor, sources: Sequence[int], h: Tensor, lengths: Tensor, task: int
    ) -> EdgeWeights:
        """What a task read after pooling, as said of ``interact``, whose h this is.

        Args:
            gates: (N, S), a row for each text, of tags for each token.
            values: (N, S, dim), what the gates weigh.
            sources: the positions of the tasks.
        """
        weights = gates.view(*h.shape[:-1], -1)  # (batch, S), of tags (batch, tokens, S)
        if h.ndim == 2:
            weights, lengths = weights.unsqueeze(1), torch.ones_like(lengths)  # (batch, 1, S)
        else:
            weights = weights * token_mask(lengths, h).unsqueeze(-1)
        names = tuple(self.tasks[j] for j in sources)
        return EdgeWeights(
            self.tasks[task],
            names,
            weights,
            lengths,
            contributions=lambda: weights * values.norm(dim=-1).view_as(weights),
        )

    def penalty_weight(self, step: int, steps: int) -> float:
        """Weight of :attr:`HeadInput.penalty` in the loss of a step of all steps; the first one is 1."""
        return 1.0

    def head_size(self, size: int) -> int:
        """Dimensions of what the heads see, where ``size`` is that of h."""
        return size


def _names(tasks: Sequence[str]) -> tuple[str, ...]:
    names = tuple(tasks) if isinstance(tasks, Iterable) and not isinstance(tasks, str) else ()
    if not names or not all(isinstance(name, str) for name in names) or len({*names}) < len(names):
        raise InputError(f"tasks: found {shown(tasks)}, expected a list of one or more different names")
    return names
