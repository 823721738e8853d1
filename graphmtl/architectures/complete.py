r"""Complete graph multi-task learning, CG-MTL (Liu et al., AAAI 2019).

For a text of task k the LSTM of every source j of k (by default of every other task) reads the same tokens as a plain
LSTM, and k's LSTM reads their states:

.. math::
    s_{t,j} = u^\top \tanh(W_n h^{(j)}_t + W_q [h^{(k)}_{t-1}; x_t]) + n_{k,j}, \quad
    a_t = \mathrm{softmax}_j(s_t), \quad r_t = \sum_j a_{t,j} h^{(j)}_t

r_t enters k's cell as :mod:`graphmtl.layers.message_lstm` says. n_{k,j} is not in the paper (``--no-node-bias``).

In training the head must answer from two further views of the text too (:class:`~graphmtl.training.views.Views`), as in
``cmtr``: from what k's LSTM makes of it without a message, and from what the sources say alone,

.. math::
    L = \ell(\mathrm{head}_k(h^{(k)}_{1..T})) + \ell(\mathrm{head}_k(\tilde h^{(k)}_{1..T}))
        + \ell(\mathrm{head}_k(W_r r_{1..T})), \quad
    \tilde h^{(k)} \text{ the plain LSTM of k}

Four things make the weights say who helps whom, none of them in the paper, found by measuring
(``benchmarks/results/planted-graph.md``). An LSTM is its own task's: k's loss does not train the sources it reads
(``--no-detach-sources``), and the plain LSTM, which is what others read, must answer for its own task
(``--own-weight``). The weights must choose: k's own LSTM knows few examples by heart, and nothing then pulls a weight
up, so the others have to answer without it (``--others-weight``), which trains n and W_r. What a source says counts for
k as it does for the source itself when the training begins (``--message-start identity``). And n moves as fast as a
task of few examples, with few updates, needs (``--bias-rate``).

Only the LSTMs of k's sources are run, so that with ``--topology`` a step costs what the edges into its task cost,
however many tasks there are. A task without sources has r_t = 0.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from graphmtl.architectures.architecture import Architecture, MessageOptions, Read, TopologyOptions
from graphmtl.config import option
from graphmtl.layers.interaction import Ablation, EdgeWeights
from graphmtl.layers.message_lstm import MessageLSTM, run_side_by_side
from graphmtl.layers.packing import Packing

__all__ = ["Complete", "CompleteOptions"]


@dataclass(frozen=True, kw_only=True)
class CompleteOptions(TopologyOptions, MessageOptions):
    """Of ``complete``."""

    node_bias: bool = option(
        True, "learned scalar per source task in the attention", unless=("score=static", "which is that scalar")
    )
    bias_rate: float = option(
        8.0,
        "learning rate of these scalars, as a multiple of --lr: a task of few examples has few updates to find sources",
        low=0,
        unless=("node_bias", "which leaves none to learn"),
        trains=True,
    )
    detach_sources: bool = option(
        True,
        "the target's loss does not train the other tasks' LSTMs; where all tasks ask the same, training them may be "
        "better, and the weights then mean less: --config complete-joint",
    )


class Complete(Architecture):
    r"""A message LSTM for each task that reads the LSTMs of the other tasks at every token (CG-MTL).

    The equations stand at the top of :mod:`graphmtl.architectures.complete` (Liu et al., AAAI 2019); r_t enters a
    task's cell as in :class:`~graphmtl.layers.message_lstm.MessageLSTM`. As a source a task lends its W, U and b, as
    the target it reads its sources.

    Args:
        tasks: their names.
        input_size: dimensions of a token vector.
        **values: options by name, those of :class:`CompleteOptions`:

            hidden (64): LSTM units per direction.
            bidirectional (True): read every text in both directions.
            attention (64): dimensions of the attention's keys and queries.
            score (additive): how a query is matched with a node; or dot, or static, which ignores the text.
            message_start (auto): first weights of W_r; identity: what a node says is added to the cell as it stands;
                random; auto means identity here.
            topology (None): which tasks a task may read from, by default all others; a text such as
                "[[books, dvd], [dvd, music]]", pairs of source and target, or a YAML or GraphML file of edges.
            top_k (0): with a finished run as topology, how many of the strongest edges into a task stay; 0: all.
            node_bias (True): a learned number for each source in the score; not in the paper.
            bias_rate (8.0): learning rate of these numbers, as a multiple of ``--lr``.
            detach_sources (True): the target's loss does not train the other tasks' LSTMs.

    Shapes, of ``complete(x, task, lengths=None, *, mask=None, return_edge_weights=False)``:
        - x (batch, tokens, input_size), padded on the right, the task's name or position, and lengths (batch,) int64 or
          mask (batch, tokens) bool; without both no text is padded
        - output: states (batch, tokens, output_size), 0 at padding; ``complete.output_size`` is hidden in each
          direction. If ``return_edge_weights=True``, then (states, edges): an
          :class:`~graphmtl.layers.interaction.EdgeWeights` with ``edges.weights`` (batch, tokens, sources), which sum
          to 1 and are 0 at padding, and the sources' names ``edges.sources``.

    Raises:
        InputError: a task or an option does not exist, a value is not accepted, or a tensor has another shape.

    >>> import torch
    >>> from graphmtl.nn import Complete
    >>> complete = Complete(tasks=["books", "dvd", "music"], input_size=5, hidden=4, attention=3)
    >>> states, edges = complete(torch.randn(2, 7, 5), "dvd", torch.tensor([7, 3]), return_edge_weights=True)
    >>> states.shape, edges.sources, edges.weights.shape
    (torch.Size([2, 7, 8]), ('books', 'music'), torch.Size([2, 7, 2]))
    """

    Options = CompleteOptions
    has_edges = True
    reads_tasks = True
    reads_nodes = True
    has_views = True
    auto_message_start = "identity"  # the truer weights and the better scores, see benchmarks/results/planted-graph.md

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        options = self.options
        self.detach_sources = options.detach_sources
        position = {task: i for i, task in enumerate(self.tasks)}
        self.sources = [[position[source] for source in self.topology.sources[task]] for task in self.tasks]
        biased = options.node_bias or options.score == "static"
        self.lstms = nn.ModuleList(
            MessageLSTM(**self.message_sizes, sources=len(own) if biased else 0) for own in self.sources
        )

    def task_modules(self) -> list[nn.ModuleList]:
        return [self.lstms]

    def read(
        self,
        x: Tensor,
        lengths: Tensor,
        tasks: Sequence[int],
        edges: bool = False,
        nodes: Tensor | None = None,
        ablation: Ablation | None = None,
    ) -> list[Read]:
        return [own for own, _ in self._read(x, lengths, tasks, edges, nodes, ablation=ablation)]

    def read_with_views(
        self,
        x: Tensor,
        lengths: Tensor,
        tasks: Sequence[int],
        edges: bool = False,
        nodes: Tensor | None = None,
        views: Collection[str] = (),
    ) -> list[tuple[Read, dict[str, Tensor]]]:
        return self._read(x, lengths, tasks, edges, nodes, views)

    def _read(
        self,
        x: Tensor,
        lengths: Tensor,
        tasks: Sequence[int],
        edges: bool,
        nodes: Tensor | None,
        views: Collection[str] = (),
        ablation: Ablation | None = None,
    ) -> list[tuple[Read, dict[str, Tensor]]]:
        packing = Packing(lengths, x.size(1), x.device)
        x = packing.pack(x, self.directions)  # (D, N, I)
        sources = self._sources_of(tasks)
        states_of = self._states_of(sources, x, packing) if nodes is None else nodes  # (D, N, sources, H)

        def read(task: int) -> tuple[Read, dict[str, Tensor]]:
            own: Tensor = states_of
            lstm: Any = self.lstms[task]
            if self.sources[task] != sources:
                own = states_of[:, :, [sources.index(j) for j in self.sources[task]]]  # (D, N, S, H)
            target, names = self.tasks[task], tuple(self.tasks[j] for j in self.sources[task])
            cut = () if ablation is None else (ablation.cut(target, names, own.device), ablation.renormalise)
            states, weights, _, reads = lstm.read(x, own, packing, *cut)  # (D, N, H), (D, N, S), (D, N, 1), (D, N, 2H)
            states = packing.unpack(states)  # (B, T, D * H)
            further = {name: _VIEWS[name](lstm, x, own, weights, packing) for name in views if name == "own" or names}
            if not edges:
                return (states, None), further
            contributions = partial(_contributions, lstm, own, weights, reads, packing)
            weights = packing.unpack_mean(weights)  # (B, T, S)
            return (states, EdgeWeights(target, names, weights, lengths, contributions=contributions)), further

        return [read(task) for task in tasks]

    def learning_rates(self, lr: float) -> list[tuple[nn.Parameter, float]]:
        biases = [lstm.node_bias for lstm in self.lstms if lstm.node_bias is not None]
        rate = self.options.bias_rate
        return [] if rate == 1 else [(bias, rate * lr) for bias in biases]  # type: ignore[misc]

    def node_states(self, x: Tensor, lengths: Tensor, tasks: Sequence[int]) -> Tensor:
        """The states of these tasks' sources at each token, (D, N, sources, H)."""
        packing = Packing(lengths, x.size(1), x.device)
        return self._states_of(self._sources_of(tasks), packing.pack(x, self.directions), packing)

    def _sources_of(self, tasks: Sequence[int]) -> list[int]:
        """All that these tasks read from."""
        return list(dict.fromkeys(j for task in tasks for j in self.sources[task]))

    def _states_of(self, sources: Sequence[int], x: Tensor, packing: Packing) -> Tensor:
        """What may be read at each token of x (D, N, I): the states of S tasks, (D, N, S, H)."""
        if not sources:
            return x.new_empty(*x.shape[:2], 0, self.lstm_sizes["hidden"])
        nodes = run_side_by_side([self.lstms[j] for j in sources], x, packing)
        return nodes.detach() if self.detach_sources else nodes


def _own(lstm: MessageLSTM, x: Tensor, nodes: Tensor, weights: Tensor, packing: Packing) -> Tensor:
    """The task's states as its own targets read them, without any message: (B, T, D * H)."""
    return packing.unpack(run_side_by_side([lstm], x, packing).squeeze(2))


def _others(lstm: MessageLSTM, x: Tensor, nodes: Tensor, weights: Tensor, packing: Packing) -> Tensor:
    """What the sources say, W_r r_t, (B, T, D * H), from weights (D, N, S) through which no gradient flows.

    They are written as a function of the biases, for these to learn which sources can do without the task's own LSTM.
    """
    if lstm.node_bias is not None:
        weights = weights * (lstm.node_bias - lstm.node_bias.detach()).exp()  # as large as before
        weights = weights / weights.sum(-1, keepdim=True)  # (D, N, S), the softmax
    r = (weights.unsqueeze(2) @ nodes).squeeze(2)  # (D, N, H)
    return packing.unpack(r @ lstm.W_r)


_VIEWS = {"own": _own, "others": _others}


def _contributions(lstm: MessageLSTM, nodes: Tensor, weights: Tensor, reads: Tensor, packing: Packing) -> Tensor:
    """a_{t,j} |m_t * W_r h^(j)_t| as (B, T, S), the mean over the directions."""
    gate = reads[..., : lstm.hidden].unsqueeze(2)  # (D, N, 1, H)
    said = torch.bmm(nodes.flatten(1, 2), lstm.W_r).view_as(nodes)  # (D, N, S, H)
    return packing.unpack_mean(weights * (gate * said).norm(dim=-1))
