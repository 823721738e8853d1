r"""Tasks that read each other's representations, all at once: one step of attention over the task graph.

.. math::
    Z' = \mathrm{LayerNorm}(Z + W_o A(Z))

A is one of

- ``attention``: scaled dot-product attention with several heads (Vaswani et al., NeurIPS 2017, section 3.2) over the K
  tasks, in which an edge that the topology lacks has weight 0;
- ``transformer``: torch_geometric's ``TransformerConv`` (Shi et al., IJCAI 2021), the same formula edge by edge;
- ``gatv2``: torch_geometric's ``GATv2Conv`` (Brody et al., ICLR 2022).

A task always reads from itself too.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn

from graphmtl.errors import unknown_name

__all__ = ["Attention", "TaskInteraction"]

_KINDS = ("attention", "transformer", "gatv2")


class Attention(nn.Module):
    r"""Scaled dot-product attention over K nodes, in dense matrices.

    For each head :math:`\alpha_{ij} = \mathrm{softmax}_j(q_i \cdot k_j / \sqrt{C})` over the edges j -> i, and
    :math:`y_i = \sum_j \alpha_{ij} v_j`; the heads' y stand side by side. The parameters have the names that
    ``TransformerConv`` gives them.

    Args:
        size: dimensions of a node.
        channels: C, of each head.
        heads: their number.
        edges: (K, K) bool, whether target (row) reads from source (column).

    Shapes:
        nodes (N, K, size) to (N, K, heads * C), and the mean weights over the heads (N, K, K); ``cut`` (K,) bool are
        the nodes that no other node reads, None if there are none
    """

    def __init__(self, *, size: int, channels: int, heads: int, edges: Tensor):
        super().__init__()
        self.heads, self.channels = heads, channels
        self.lin_query = nn.Linear(size, heads * channels)
        self.lin_key = nn.Linear(size, heads * channels)
        self.lin_value = nn.Linear(size, heads * channels)
        self.register_buffer("missing", ~edges, persistent=False)

    def forward(self, nodes: Tensor, cut: Tensor | None) -> tuple[Tensor, Tensor]:
        query, key, value = (
            layer(nodes).unflatten(-1, (self.heads, self.channels)).transpose(1, 2)
            for layer in (self.lin_query, self.lin_key, self.lin_value)
        )  # (N, heads, K, C)
        scores = query @ key.mT / math.sqrt(self.channels)  # (N, heads, K, K)
        missing = self.missing  # (K, K)
        if cut is not None:
            missing = missing | (cut & ~torch.eye(len(cut), dtype=torch.bool, device=cut.device))
        weights = scores.masked_fill(missing, -torch.inf).softmax(-1)
        return (weights @ value).transpose(1, 2).flatten(2), weights.mean(1)


class _Convolution(nn.Module):
    """A convolution of torch_geometric on N copies of the task graph at once; arguments and shapes as `Attention`."""

    edge_index: Tensor  # (2, E)

    def __init__(self, *, kind: str, size: int, channels: int, heads: int, edges: Tensor):
        from torch_geometric.nn import GATv2Conv, TransformerConv

        super().__init__()
        if kind == "gatv2":
            self.convolution = GATv2Conv(size, channels, heads, add_self_loops=False)
        else:
            self.convolution = TransformerConv(size, channels, heads, root_weight=False)
            del self.convolution.lin_skip  # made all the same, and never used
        self.register_buffer("edge_index", edges.nonzero().T.flip(0).contiguous(), persistent=False)  # (2, E)

    def forward(self, nodes: Tensor, cut: Tensor | None) -> tuple[Tensor, Tensor]:
        copies, tasks, _ = nodes.shape
        starts = torch.arange(copies, device=nodes.device) * tasks  # (N,), of the copies' nodes
        edges = self.edge_index  # (2, E)
        if cut is not None:
            source, target = edges
            edges = edges[:, ~cut[source] | (source == target)]  # (2, those that are left)
        edge_index = (edges[:, None] + starts[:, None]).flatten(1)  # (2, N * E)
        y, (_, alpha) = self.convolution(nodes.flatten(0, 1), edge_index, return_attention_weights=True)
        weights = alpha.new_zeros(copies, tasks, tasks)
        source, target = edges
        weights[:, target, source] = alpha.mean(-1).view(copies, -1)
        return y.view(copies, tasks, -1), weights


class TaskInteraction(nn.Module):
    """One step of message passing between the representations of K tasks; the equation stands at the top of the file.

    Args:
        kind: ``attention``, ``transformer`` or ``gatv2``.
        size: dimensions of a representation.
        channels: dimensions of each head's queries, keys and values.
        heads: their number.
        edges: (K, K) bool, whether target (row) reads from source (column).

    Raises:
        InputError: the kind does not exist.

    Shapes:
        representations (N, K, size) to (N, K, size), and the weights (N, K targets, K sources), which sum to 1; ``cut``
        (K,) bool are the tasks that no other task reads, by default none
    """

    def __init__(self, *, kind: str, size: int, channels: int, heads: int, edges: Tensor):
        super().__init__()
        if kind not in _KINDS:
            raise unknown_name("kind", kind, _KINDS)
        sizes: dict[str, Any] = {"size": size, "channels": channels, "heads": heads, "edges": edges}
        self.read = Attention(**sizes) if kind == "attention" else _Convolution(kind=kind, **sizes)
        self.output = nn.Linear(heads * channels, size)
        self.norm = nn.LayerNorm(size)

    def forward(self, z: Tensor, cut: Tensor | None = None) -> tuple[Tensor, Tensor]:
        message, weights = self.read(z, cut)  # (N, K, heads * channels), (N, K, K)
        return self.norm(z + self.output(message)), weights
