r"""Cross-stitch networks (Misra, Shrivastava, Gupta, Hebert, CVPR 2016).

Every task has an LSTM, or several one above the other, and all of them read a text of task k. Behind each layer stands
a cross-stitch unit, which gives every task a linear combination of what all of them say (section 3.1):

.. math::
    \tilde h^{(k),l}_t = \sum_j \alpha^l_{k,j}\, h^{(j),l}_t, \quad
    h^{(j),l}_t = \mathrm{LSTM}^l_j\left(\tilde h^{(j),l-1}\right)_t, \quad \tilde h^{(j),0}_t = x_t

The head of task k reads :math:`\tilde h^{(k)}` of the last layer. As in section 3.3 a unit begins as a convex
combination, 0.9 for the task itself, the rest in equal parts for its sources, and learns faster than the other
parameters: ``--stitch-lr``, 10 times as fast, where the paper has 100 to 1000 for plain gradient descent, whose steps
are short where a gradient is small; AdamW's are not.

Departures: the paper has two tasks, and a unit for each channel; here is one number for each pair of tasks and layer,
which both directions and all dimensions have in common, so that it is the weight of an edge; and ``--topology`` says
which tasks a task may read from. The tasks' networks begin from equal weights (``--same-start``) where the paper's
begin from networks that were trained for each task alone.

The edges are the unit's numbers, j -> k, k -> k among them: :math:`|\alpha_{k,j}| / \sum_i |\alpha_{k,i}|`, the mean
over the layers. They are the same for every text. Where an edge is cut, :math:`\alpha_{k,j}` is 0 in all layers;
``renormalise`` stretches the others until :math:`\sum_j |\alpha_{k,j}|` is what it was.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from graphmtl.architectures.architecture import Architecture, Read, TopologyOptions
from graphmtl.config import MOST_PARTS, ArchitectureOptions, option
from graphmtl.layers.interaction import Ablation, EdgeWeights
from graphmtl.layers.layer import Layer
from graphmtl.layers.message_lstm import LSTM, run_side_by_side
from graphmtl.layers.packing import Packing
from graphmtl.layers.pooling import token_mask

__all__ = ["CrossStitch", "CrossStitchOptions", "CrossStitchUnit"]

_OWN = 0.9  # section 3.3: of the start, what a task reads of itself


@dataclass(frozen=True, kw_only=True)
class CrossStitchOptions(TopologyOptions, ArchitectureOptions):
    """Of ``cross-stitch``."""

    stitch_layers: int = option(
        1, "LSTMs of a task, one above the other, a cross-stitch unit behind each", low=1, high=MOST_PARTS
    )
    stitch_lr: float = option(
        10.0, "learning rate of the cross-stitch units, as a multiple of --lr", low=0, trains=True
    )


class CrossStitchUnit(Layer):
    r"""What each of K tasks says, to a linear combination of it for each: :math:`\tilde h_k = \sum_j \alpha_{k,j} h_j`.

    :math:`\alpha_{k,k}` and the rest of the matrix are parameters of their own: a task that joins as the mean of others
    (:func:`~graphmtl.models.new_tasks.add_tasks`) then takes what they read of themselves for what it reads of itself.

    Args:
        edges: (K, K) bool, whether target (row) reads from source (column) beside itself.
    """

    undecayed = ("others",)

    edges: Tensor

    def __init__(self, *, edges: Tensor):
        super().__init__()
        self.register_buffer("edges", edges, persistent=False)
        self.own = nn.Parameter(torch.empty(len(edges)))  # (K,)
        self.others = nn.Parameter(torch.empty(len(edges), len(edges)))  # (K targets, K sources)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Rows that sum to 1: 0.9 for a task itself, or 1 where it reads from no other."""
        sources = self.edges.sum(1)  # (K,)
        self.own.data.copy_(torch.where(sources > 0, _OWN, 1.0))
        self.others.data.copy_(self.edges * (1 - _OWN) / sources.clamp_min(1)[:, None])

    def forward(self, task: int, sources: Sequence[int], cut: Tensor | None = None, renormalise: bool = True) -> Tensor:
        """The row of a task over some positions, of which the task itself is one, (S,).

        Args:
            task: k.
            sources: j.
            cut: (S,) bool, the edges of an :class:`~graphmtl.layers.interaction.Ablation`.
            renormalise: its other half.
        """
        row = (self.others * self.edges + self.own.diag())[task, list(sources)]
        if cut is None or not cut.any():
            return row
        kept = row.masked_fill(cut, 0)
        return kept * (row.abs().sum() / kept.abs().sum().clamp_min(1e-12)) if renormalise else kept

    def extra_repr(self) -> str:
        return f"tasks={len(self.own)}"


class CrossStitch(Architecture):
    r"""An LSTM, or several, for each task, and behind each a linear combination of all tasks' states.

    The equations stand at the top of :mod:`graphmtl.architectures.cross_stitch` (Misra et al., CVPR 2016).

    Args:
        tasks: their names.
        input_size: dimensions of a token vector.
        **values: options by name, those of :class:`CrossStitchOptions`:

            hidden (64): LSTM units per direction.
            bidirectional (True): read every text in both directions.
            topology (None): which tasks a task may read from, by default all others; a text such as
                "[[books, dvd], [dvd, music]]", pairs of source and target, or a YAML or GraphML file of edges.
            top_k (0): with a finished run as topology, how many of the strongest edges into a task stay; 0: all.
            stitch_layers (1): LSTMs of a task, one above the other, a unit behind each.
            stitch_lr (10.0): learning rate of the units, as a multiple of that of the other parameters.

    Shapes, of ``cross_stitch(x, task, lengths=None, *, mask=None, return_edge_weights=False)``:
        - x (batch, tokens, input_size), padded on the right, the task's name or position, and lengths (batch,) int64 or
          mask (batch, tokens) bool; without both no text is padded
        - output: states (batch, tokens, output_size), 0 at padding; ``output_size`` is hidden in each direction. If
          ``return_edge_weights=True``, then (states, edges): an :class:`~graphmtl.layers.interaction.EdgeWeights` with
          ``edges.weights`` (batch, tokens, sources), which sum to 1 and are 0 at padding, and the sources' names
          ``edges.sources``, the task's own among them.

    Attributes:
        sources: the positions of the tasks that each task reads, itself among them.

    Raises:
        InputError: a task or an option does not exist, a value is not accepted, or a tensor has another shape.

    >>> import torch
    >>> from graphmtl.nn import CrossStitch
    >>> stitched = CrossStitch(tasks=["books", "dvd", "music"], input_size=5, hidden=4, stitch_layers=2)
    >>> states, edges = stitched(torch.randn(2, 7, 5), "dvd", torch.tensor([7, 3]), return_edge_weights=True)
    >>> states.shape, edges.sources
    (torch.Size([2, 7, 8]), ('books', 'dvd', 'music'))
    >>> [round(weight, 2) for weight in edges.per_instance()[0].tolist()]
    [0.05, 0.9, 0.05]
    """

    Options = CrossStitchOptions
    has_edges = True
    reads_tasks = True

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        K, sizes = len(self.tasks), self.lstm_sizes
        edges = torch.zeros(K, K, dtype=torch.bool, device="cpu")  # (K targets, K sources), looked at below
        source, target = self.topology.edge_index
        edges[target, source] = True
        read = edges | torch.eye(K, dtype=torch.bool, device="cpu")
        self.sources = [row.nonzero().flatten().tolist() for row in read]
        layers = [sizes if layer == 0 else sizes | {"input_size": self.output_size} for layer in self._layers()]
        self.layers = nn.ModuleList(nn.ModuleList(LSTM(**own) for _ in self.tasks) for own in layers)
        self.units = nn.ModuleList(CrossStitchUnit(edges=edges) for _ in self._layers())

    def _layers(self) -> range:
        return range(self.options.stitch_layers)

    def task_modules(self) -> list[nn.ModuleList]:
        return [*self.layers]

    def task_rows(self) -> list[Tensor]:
        return [row for unit in self.units for row in unit.parameters()]

    def learning_rates(self, lr: float) -> list[tuple[nn.Parameter, float]]:
        return [(parameter, lr * self.options.stitch_lr) for parameter in self.units.parameters()]

    def node_states(self, x: Tensor, lengths: Tensor, tasks: Sequence[int]) -> Tensor:
        """The states of the first layer, before its unit, of all tasks that these ones read, (D, N, read, H)."""
        packing = Packing(lengths, x.size(1), x.device)
        return self._run(0, self._read_by(tasks)[0], packing.pack(x, self.directions), packing)

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
        *read, last = self._read_by(tasks)  # of every layer, and the tasks themselves
        states = self._run(0, read[0], packing.pack(x, self.directions), packing) if nodes is None else nodes
        said: list[Tensor] = []  # of every layer |h^(j)_t|, the mean over the directions, (B, T, read)
        for layer in self._layers():
            if edges:
                said.append(packing.unpack_mean(states.detach().norm(dim=-1)))
            after = last if layer + 1 == len(self.layers) else read[layer + 1]
            mixing = torch.stack([self._row(layer, k, read[layer], ablation) for k in after])  # (after, read)
            states = torch.einsum("kj,dnjh->dnkh", mixing, states)  # (D, N, after, H)
            if after is not last:
                states = self._run(layer + 1, after, self._both_ways(states, packing), packing)
        mask = token_mask(lengths, x).unsqueeze(-1)  # (B, T, 1)
        found = zip(tasks, (packing.unpack(own) for own in states.unbind(2)), strict=True)  # (B, T, D * H)
        return [(own, self._edges(k, read, said, mask, lengths) if edges else None) for k, own in found]

    def _read_by(self, tasks: Sequence[int]) -> list[list[int]]:
        """The tasks whose LSTMs are run in each layer, the lowest first, and behind them ``tasks``."""
        found = [list(tasks)]
        for _ in self._layers():
            found.insert(0, sorted({j for k in found[0] for j in self.sources[k]}))
        return found

    def _run(self, layer: int, tasks: Sequence[int], x: Tensor, packing: Packing) -> Tensor:
        """The LSTMs of some tasks over x (D, N, I), or each over its own, (D, N, tasks, I): (D, N, tasks, H)."""
        return run_side_by_side([self.layers[layer][j] for j in tasks], x, packing)

    def _both_ways(self, states: Tensor, packing: Packing) -> Tensor:
        """What the next layer reads: (D, N, K, H), of each direction, to (D, N, K, D * H), forward beside backward."""
        D, _, K, H = states.shape
        padded = packing.unpack(states.flatten(2)).unflatten(-1, (D, K, H)).transpose(2, 3)  # (B, T, K, D, H)
        return packing.pack(padded.flatten(2), D).unflatten(-1, (K, D * H))

    def _row(self, layer: int, task: int, read: Sequence[int], ablation: Ablation | None) -> Tensor:
        """What a task's unit makes of what was run in its layer, (read,)."""
        unit: Any = self.units[layer]
        if ablation is None:
            return unit(task, read)
        cut = ablation.cut(self.tasks[task], [self.tasks[j] for j in read], unit.own.device)  # (read,)
        return unit(task, read, cut, ablation.renormalise)

    def _edges(
        self, task: int, read: Sequence[Sequence[int]], said: Sequence[Tensor], mask: Tensor, lengths: Tensor
    ) -> EdgeWeights:
        """The edges into a task.

        Args:
            task: its position.
            read: the tasks that were run in each layer.
            said: of each layer |h^(j)_t| (B, T, read).
            mask: (B, T, 1), True for tokens.
            lengths: (B,).
        """
        sources = self.sources[task]
        rows = [self.units[layer](task, sources).detach().abs() for layer in self._layers()]  # (S,) each
        shares = torch.stack([row / row.sum().clamp_min(1e-12) for row in rows]).mean(0)  # (S,)
        names = tuple(self.tasks[j] for j in sources)
        own = [[run.index(j) for j in sources] for run in read]
        contributions = [row * layer[..., places] for row, layer, places in zip(rows, said, own, strict=True)]
        weights = shares * mask  # (B, T, S)
        through = torch.stack(contributions).mean(0)  # (B, T, S)
        return EdgeWeights(self.tasks[task], names, weights, lengths, contributions=lambda: through)
