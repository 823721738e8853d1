r"""Complete graph multi-task learning, CG-MTL (Liu et al., AAAI 2019).

For a text of task k the LSTM of every source j of k (by default of every other task) reads the same tokens as a plain
LSTM, and k's LSTM reads their states:

.. math::
    s_{t,j} = u^\top \tanh(W_n h^{(j)}_t + W_q [h^{(k)}_{t-1}; x_t]) + n_{k,j}, \quad
    a_t = \mathrm{softmax}_j(s_t), \quad r_t = \sum_j a_{t,j} h^{(j)}_t

r_t enters k's cell as :mod:`graphmtl.layers.message_lstm` says. n_{k,j} is not in the paper (``--no-node-bias``).
Only the LSTMs of k's sources are run, so that with ``--topology`` a step costs what the edges into its task cost,
however many tasks there are. A task without sources has r_t = 0.
"""

from collections.abc import Sequence
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

    node_bias: bool = option(True, "learned scalar per source task in the attention")
    detach_sources: bool = option(False, "the target's loss does not train the other tasks' LSTMs")


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
            message_start (random): first weights of W_r; identity: what a node says is added to the cell as it stands.
            topology (None): which tasks a task may read from, by default all others; a text such as
                "[[books, dvd], [dvd, music]]", pairs of source and target, or a YAML or GraphML file of edges.
            top_k (0): with a finished run as topology, how many of the strongest edges into a task stay; 0: all.
            node_bias (True): a learned number for each source in the score; not in the paper.
            detach_sources (False): the target's loss does not train the other tasks' LSTMs.

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
        packing = Packing(lengths, x.size(1), x.device)
        x = packing.pack(x, self.directions)  # (D, N, I)
        sources = self._sources_of(tasks)
        states_of = self._states_of(sources, x, packing) if nodes is None else nodes  # (D, N, sources, H)

        def read(task: int) -> Read:
            own: Tensor = states_of
            lstm: Any = self.lstms[task]
            if self.sources[task] != sources:
                own = states_of[:, :, [sources.index(j) for j in self.sources[task]]]  # (D, N, S, H)
            target, names = self.tasks[task], tuple(self.tasks[j] for j in self.sources[task])
            cut = () if ablation is None else (ablation.cut(target, names, own.device), ablation.renormalise)
            states, weights, _, reads = lstm.read(x, own, packing, *cut)  # (D, N, H), (D, N, S), (D, N, 1), (D, N, 2H)
            states = packing.unpack(states)  # (B, T, D * H)
            if not edges:
                return states, None
            contributions = partial(_contributions, lstm, own, weights, reads, packing)
            weights = packing.unpack_mean(weights)  # (B, T, S)
            return states, EdgeWeights(target, names, weights, lengths, contributions=contributions)

        return [read(task) for task in tasks]

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


def _contributions(lstm: MessageLSTM, nodes: Tensor, weights: Tensor, reads: Tensor, packing: Packing) -> Tensor:
    """a_{t,j} |m_t * W_r h^(j)_t| as (B, T, S), the mean over the directions."""
    gate = reads[..., : lstm.hidden].unsqueeze(2)  # (D, N, 1, H)
    said = torch.bmm(nodes.flatten(1, 2), lstm.W_r).view_as(nodes)  # (D, N, S, H)
    return packing.unpack_mean(weights * (gate * said).norm(dim=-1))
