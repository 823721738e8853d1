r"""Complete graph multi-task learning, CG-MTL (Liu et al., AAAI 2019).

For a text of task k every other task's LSTM j reads the same tokens as a plain LSTM, and k's LSTM reads their states:

.. math::
    s_{t,j} = u^\top \tanh(W_n h^{(j)}_t + W_q [h^{(k)}_{t-1}; x_t]) + n_{k,j}, \quad
    a_t = \mathrm{softmax}_j(s_t), \quad r_t = \sum_{j \ne k} a_{t,j} h^{(j)}_t

r_t enters k's cell as :mod:`graphmtl.models.message_lstm` says. n_{k,j} is not in the paper (``--no-node-bias``).
"""

from torch import Tensor, nn

from graphmtl.architectures.architecture import Architecture
from graphmtl.config import ModelOptions
from graphmtl.graph.interaction import EdgeWeights
from graphmtl.models.message_lstm import MessageLSTM, run_side_by_side
from graphmtl.models.recurrence import Packing

__all__ = ["Complete"]


class Complete(Architecture):
    """A message LSTM per task; as a source a task lends its W, U and b, as the target it reads all the others."""

    def __init__(self, *, options: ModelOptions, **kwargs):
        super().__init__(options=options, **kwargs)
        self.detach_sources = options.detach_sources
        sources = len(self.tasks) - 1 if options.node_bias or options.score == "static" else 0
        self.lstms = nn.ModuleList(MessageLSTM(**self.message_sizes, sources=sources) for _ in self.tasks)

    def forward(self, x: Tensor, lengths: Tensor, task: int, edges: bool = False) -> tuple[Tensor, EdgeWeights | None]:
        sources = [j for j in range(len(self.tasks)) if j != task]
        packing = Packing(lengths, x.size(1))
        x = packing.pack(x, self.directions)  # (D, N, I)
        lstms = [self.lstms[j] for j in sources] or [self.lstms[task]]
        nodes = run_side_by_side(lstms, x, packing)[:, :, : len(sources)]  # (D, N, K - 1, H); of one task, no node
        if self.detach_sources:
            nodes = nodes.detach()
        states, weights, _ = self.lstms[task].read(x, nodes, packing)  # (D, N, H), (D, N, K - 1)
        states = packing.unpack(states)  # (B, T, D * H)
        if not edges:
            return states, None
        names = tuple(self.tasks[j] for j in sources)
        return states, EdgeWeights(self.tasks[task], names, packing.unpack_mean(weights), lengths)
