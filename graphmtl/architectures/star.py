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
from typing import Any

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
    r"""A message LSTM for each task that reads one shared LSTM, the virtual node, at all positions (SG-MTL).

    The equations stand at the top of :mod:`graphmtl.architectures.star` (Liu et al., AAAI 2019); r_t enters a task's
    cell as in :class:`~graphmtl.layers.message_lstm.MessageLSTM`.

    Args:
        tasks: their names.
        input_size: dimensions of a token vector.
        **values: options by name, those of :class:`StarOptions`:

            hidden (64): LSTM units per direction.
            bidirectional (True): read every text in both directions.
            attention (64): dimensions of the attention's keys and queries.
            score (additive): how a query is matched with a node; or dot, or static, which ignores the text.
            message_start (auto): first weights of W_r; identity: what a node says is added to the cell as it stands;
                random; auto means random here.
            hub_to_head (False): behind a task's own state stands the virtual node's; not in the paper.

    Shapes, of ``star(x, task, lengths=None, *, mask=None, return_edge_weights=False)``:
        - x (batch, tokens, input_size), padded on the right, the task's name or position, and lengths (batch,) int64 or
          mask (batch, tokens) bool; without both no text is padded
        - output: states (batch, tokens, output_size), 0 at padding; ``star.output_size`` is hidden in each direction,
          twice that with ``hub_to_head``. If ``return_edge_weights=True``, then (states, edges): an
          :class:`~graphmtl.layers.interaction.EdgeWeights` with ``edges.weights`` (batch, tokens, 1), the spoke, the
          share of what the cell puts out that came from the virtual node, and ``edges.positions()`` (batch, tokens t,
          tokens i), how much token t read from the virtual node's state at token i.

    Raises:
        InputError: a task or an option does not exist, a value is not accepted, or a tensor has another shape.

    >>> import torch
    >>> from graphmtl.nn import Star
    >>> star = Star(tasks=["books", "dvd"], input_size=5, hidden=4, attention=3, score="dot")
    >>> x, lengths = torch.randn(2, 7, 5), torch.tensor([7, 3])
    >>> states, edges = star(x, "dvd", lengths, return_edge_weights=True)
    >>> states.shape, star.output_size, edges.weights.shape, edges.positions().shape
    (torch.Size([2, 7, 8]), 8, torch.Size([2, 7, 1]), torch.Size([2, 7, 7]))
    >>> mask = torch.arange(7) < lengths[:, None]
    >>> torch.equal(star(x, "dvd", mask=mask), states)
    True
    """

    Options = StarOptions
    virtual_node = "virtual"
    has_edges = True
    reads_nodes = True

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        options = self.options
        self.hub_to_head = options.hub_to_head
        self.output_size *= 2 if self.hub_to_head else 1
        self.ways *= 2 if self.hub_to_head else 1
        self.hub = LSTM(**self.lstm_sizes)
        self.lstms = nn.ModuleList(MessageLSTM(**self.message_sizes) for _ in self.tasks)

    def task_modules(self) -> list[nn.ModuleList]:
        return [self.lstms]

    def shared_lstm(self) -> LSTM:
        return self.hub

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
