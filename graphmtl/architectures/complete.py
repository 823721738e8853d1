r"""Complete graph multi-task learning, CG-MTL (Liu et al., AAAI 2019).

For a text of task k the LSTM of every source j of k (by default of every other task) reads the same tokens as a plain
LSTM, and k's LSTM reads their states:

.. math::
    s_{t,j} = u^\top \tanh(W_n h^{(j)}_t + W_q [h^{(k)}_{t-1}; x_t]) + n_{k,j}, \quad
    a_t = \mathrm{softmax}_j(s_t), \quad r_t = \sum_j a_{t,j} h^{(j)}_t

r_t enters k's cell as :mod:`graphmtl.models.message_lstm` says. n_{k,j} is not in the paper (``--no-node-bias``).
Only the LSTMs of k's sources are run, so that with ``--topology`` a step costs what the edges into its task cost,
however many tasks there are. A task without sources has r_t = 0.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from graphmtl.architectures.architecture import Architecture, Read
from graphmtl.config import ModelOptions
from graphmtl.graph.interaction import EdgeWeights
from graphmtl.models.message_lstm import MessageLSTM, run_side_by_side
from graphmtl.models.recurrence import Packing

__all__ = ["Complete"]


class Complete(Architecture):
    """A message LSTM per task; as a source a task lends its W, U and b, as the target it reads its sources."""

    reads_tasks = True

    def __init__(self, *, options: ModelOptions, **kwargs):
        super().__init__(options=options, **kwargs)
        self.detach_sources = options.detach_sources
        position = {task: i for i, task in enumerate(self.tasks)}
        self.sources = [[position[source] for source in self.topology.sources[task]] for task in self.tasks]
        biased = options.node_bias or options.score == "static"
        self.lstms = nn.ModuleList(
            MessageLSTM(**self.message_sizes, sources=len(own) if biased else 0) for own in self.sources
        )

    def sources_of(self, tasks: Sequence[int]) -> list[int]:
        """Every task that one of the tasks reads from."""
        return list(dict.fromkeys(j for task in tasks for j in self.sources[task]))

    def nodes(self, x: Tensor, packing: Packing, tasks: Sequence[int]) -> Tensor:
        """The states of the tasks' sources: (D, N, sources, H)."""
        return self._states_of(self.sources_of(tasks), x, packing)

    def read(
        self, x: Tensor, lengths: Tensor, tasks: Sequence[int], edges: bool = False, nodes: Tensor | None = None
    ) -> list[Read]:
        """As :class:`Architecture` says."""
        packing = Packing(lengths, x.size(1), x.device)
        x = packing.pack(x, self.directions)  # (D, N, I)
        sources = self.sources_of(tasks)
        nodes = self.nodes(x, packing, tasks) if nodes is None else nodes  # (D, N, sources, H)

        def read(task: int) -> Read:
            own = nodes
            if self.sources[task] != sources:
                own = nodes[:, :, [sources.index(j) for j in self.sources[task]]]  # (D, N, S, H)
            states, weights, _ = self.lstms[task].read(x, own, packing)  # (D, N, H), (D, N, S)
            states = packing.unpack(states)  # (B, T, D * H)
            if not edges:
                return states, None
            names = tuple(self.tasks[j] for j in self.sources[task])
            return states, EdgeWeights(self.tasks[task], names, packing.unpack_mean(weights), lengths)

        return [read(task) for task in tasks]

    def _states_of(self, sources: Sequence[int], x: Tensor, packing: Packing) -> Tensor:
        """What may be read at each token of x (D, N, I): the states of S tasks, (D, N, S, H)."""
        if not sources:
            return x.new_empty(*x.shape[:2], 0, self.lstm_sizes["hidden"])
        nodes = run_side_by_side([self.lstms[j] for j in sources], x, packing)
        return nodes.detach() if self.detach_sources else nodes
