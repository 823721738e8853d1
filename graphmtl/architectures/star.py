r"""Star graph multi-task learning, SG-MTL (Liu et al., AAAI 2019).

One shared LSTM, the virtual node in the middle of the star, reads every text as a plain LSTM; task k's LSTM reads its
states at all positions:

.. math::
    s_{t,i} = u^\top \tanh(W_n h^{(s)}_i + W_q [h^{(k)}_{t-1}; x_t]), \quad
    b_t = \mathrm{softmax}_i(s_t), \quad r_t = \sum_i b_{t,i} h^{(s)}_i

r_t enters k's cell as :mod:`graphmtl.layers.message_lstm` says. How much k reads from the virtual node is its spoke,

.. math::
    \mathrm{spoke}_k = \mathrm{mean}_t \frac{|m_t \odot W_r r_t|}{|c_t| + |m_t \odot W_r r_t|}
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from graphmtl.architectures.architecture import Architecture, MessageOptions, Read
from graphmtl.config import option
from graphmtl.layers.interaction import Ablation, EdgeWeights
from graphmtl.layers.message_lstm import LSTM, MessageLSTM, run_side_by_side
from graphmtl.layers.packing import Packing

__all__ = ["Star", "StarOptions"]


@dataclass(frozen=True, kw_only=True)
class StarOptions(MessageOptions):
    """Of ``star``."""

    hub_to_head: bool = option(False, "a task's head also sees the virtual node's states")


class Star(Architecture):
    """The virtual node's LSTM, and a message LSTM per task that reads it.

    With ``hub_to_head`` (not in the paper) the head sees the virtual node's states beside the task's own.
    """

    Options = StarOptions
    virtual_node = "virtual"
    has_edges = True
    reads_nodes = True

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        options = self.options
        self.hub_to_head = options.hub_to_head
        self.output_size *= 2 if self.hub_to_head else 1
        self.ways *= 2 if self.hub_to_head else 1
        self.hub = LSTM(**self.lstm_sizes)
        self.lstms = nn.ModuleList(MessageLSTM(**self.message_sizes) for _ in self.tasks)

    def task_modules(self) -> list[nn.ModuleList]:
        return [self.lstms]

    def node_states(self, x: Tensor, lengths: Tensor, tasks: Sequence[int]) -> Tensor:
        """The virtual node's states at all positions, which every task reads: (D, N, H)."""
        packing = Packing(lengths, x.size(1), x.device)
        return self._hub_states(packing.pack(x, self.directions), packing)

    def _hub_states(self, x: Tensor, packing: Packing) -> Tensor:
        return run_side_by_side([self.hub], x, packing).squeeze(2)

    def read(
        self,
        x: Tensor,
        lengths: Tensor,
        tasks: Sequence[int],
        edges: bool = False,
        nodes: Tensor | None = None,
        ablation: Ablation | None = None,
    ) -> list[Read]:
        """As :class:`Architecture` says; what ``hub_to_head`` shows the head is no edge, and is never cut."""
        packing = Packing(lengths, x.size(1), x.device)
        x = packing.pack(x, self.directions)  # (D, N, I)
        hub = self._hub_states(x, packing) if nodes is None else nodes  # (D, N, H)

        def read(task: int) -> Read:
            target, names = self.tasks[task], (self.virtual_node,)
            cut = () if ablation is None else (ablation.cut(target, names, hub.device), ablation.renormalise)
            states, weights, shares, reads = self.lstms[task].read(x, hub, packing, *cut)  # as MessageLSTM.read says
            states = packing.unpack(states)  # (B, T, D * H)
            if self.hub_to_head:
                states = torch.cat([states, packing.unpack(hub)], -1)
            if not edges:
                return states, None
            spokes = packing.unpack_mean(shares)  # (B, T, 1)
            positions = partial(packing.unpack_positions, weights)
            contributions = partial(_contributions, reads, packing)
            return states, EdgeWeights(target, names, spokes, lengths, positions, contributions)

        return [read(task) for task in tasks]


def _contributions(reads: Tensor, packing: Packing) -> Tensor:
    """m_t beside W_r r_t (D, N, 2H) to |m_t * W_r r_t| as (B, T, 1), the mean over the directions."""
    gate, said = reads.chunk(2, -1)  # (D, N, H)
    return packing.unpack_mean((gate * said).norm(dim=-1, keepdim=True))
