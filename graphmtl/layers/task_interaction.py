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

from graphmtl.errors import InputError, unknown_name
from graphmtl.layers.pooling import token_mask
from graphmtl.layers.shapes import check_alike, check_shape, check_sizes, text_lengths

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

    def reset_parameters(self) -> None:
        """Each layer as ``nn.Linear`` begins."""
        for layer in (self.lin_query, self.lin_key, self.lin_value):
            layer.reset_parameters()

    def extra_repr(self) -> str:
        return f"channels={self.channels}, heads={self.heads}"

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

    def reset_parameters(self) -> None:
        """As torch_geometric begins; ``TransformerConv`` as a whole would ask for the layer that it lost above."""
        own = self.convolution
        for part in (own.lin_query, own.lin_key, own.lin_value) if hasattr(own, "lin_query") else (own,):
            part.reset_parameters()

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
    r"""One step of message passing between the representations of K tasks.

    .. math::
        z'_k = \mathrm{LayerNorm}(z_k + W_o y_k), \quad y_k = \sum_j \alpha_{k,j} v_j

    For ``attention`` (Vaswani et al., NeurIPS 2017, section 3.2) and ``transformer`` (Shi et al., IJCAI 2021), for each
    head, :math:`\alpha_{k,j} = \mathrm{softmax}_j(q_k \cdot k_j / \sqrt C)` over the sources j of k, where q, k and v
    are linear layers; for ``gatv2`` see Brody et al., ICLR 2022. ``attention`` is computed in dense matrices, the other
    two edge by edge by torch_geometric. The heads' y stand side by side.

    Args:
        kind: ``attention``, ``transformer`` or ``gatv2``.
        size: dimensions of a representation.
        channels: C, dimensions of each head's queries, keys and values.
        heads: their number.
        edges: (K, K) bool, whether target (row) reads from source (column); a task always reads from itself too.

    Shapes:
        - z (B, K, size), the representations of a text; or (B, T, K, size), of each token, with lengths (B,) int64 or
          mask (B, T) bool as in :class:`~graphmtl.layers.message_lstm.LSTM`
        - cut (K,) bool: the tasks that no other task reads; by default none
        - output: z' in the shape of z, 0 at padding. If ``return_edge_weights=True``, then (z', weights): the weights
          (B, K targets, K sources) or (B, T, K, K), the mean over the heads, 0 at padding; each row sums to 1.

    Raises:
        InputError: the kind does not exist, a size is below 1, or what is read has other shapes.

    Three tasks in a chain a -> b -> c; each reads itself and the one before it:

    >>> import torch
    >>> from graphmtl.nn import TaskInteraction
    >>> edges = torch.tensor([[1, 0, 0], [1, 1, 0], [0, 1, 1]]).bool()
    >>> layer = TaskInteraction(kind="attention", size=6, channels=4, heads=2, edges=edges)
    >>> z, weights = layer(torch.randn(5, 3, 6), return_edge_weights=True)
    >>> z.shape, weights.shape, weights[0, 0].tolist()
    (torch.Size([5, 3, 6]), torch.Size([5, 3, 3]), [1.0, 0.0, 0.0])
    """

    def __init__(self, *, kind: str, size: int, channels: int, heads: int, edges: Tensor):
        super().__init__()
        if kind not in _KINDS:
            raise unknown_name("kind", kind, _KINDS)
        check_sizes(size=size, channels=channels, heads=heads)
        check_shape("edges", edges, "K", len(edges) if isinstance(edges, Tensor) and edges.ndim else "K")
        if edges.dtype != torch.bool:
            raise InputError(f"edges: found {edges.dtype}, expected torch.bool")
        edges = edges | torch.eye(len(edges), dtype=torch.bool, device=edges.device)  # (K, K)
        self.kind, self.size, self.tasks = kind, size, len(edges)
        sizes: dict[str, Any] = {"size": size, "channels": channels, "heads": heads, "edges": edges}
        self.read = Attention(**sizes) if kind == "attention" else _Convolution(kind=kind, **sizes)
        self.output = nn.Linear(heads * channels, size)
        self.norm = nn.LayerNorm(size)

    def reset_parameters(self) -> None:
        """Every part as torch and torch_geometric begin it."""
        for part in (self.read, self.output, self.norm):
            part.reset_parameters()

    def forward(
        self,
        z: Tensor,
        cut: Tensor | None = None,
        *,
        lengths: Tensor | None = None,
        mask: Tensor | None = None,
        return_edge_weights: bool = False,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Lets the tasks read each other; see Shapes above."""
        of_tokens = isinstance(z, Tensor) and z.ndim == 4
        check_shape("z", z, "B", *(("T",) if of_tokens else ()), self.tasks, self.size)
        check_alike("z", z, self.norm.weight)
        if not of_tokens and not (lengths is None is mask):
            raise InputError(
                f"z: found shape {tuple(z.shape)} with lengths or mask, expected (B, T, {self.tasks}, {self.size})"
            )
        if cut is not None:
            check_shape("cut", cut, self.tasks)
        outside: Tensor | None = None
        if of_tokens:
            outside = ~token_mask(text_lengths("z", z, lengths, mask), z)[..., None, None]  # (B, T, 1, 1)
            z = z.masked_fill(outside, 0)
        message, weights = self.read(z.flatten(0, -3), cut)  # (N, K, heads * channels), (N, K, K)
        after = self.norm(z + self.output(message).view_as(z))
        weights = weights.view(*z.shape[:-1], -1)
        if outside is not None:
            after, weights = after.masked_fill(outside, 0), weights.masked_fill(outside, 0)
        return (after, weights) if return_edge_weights else after

    def extra_repr(self) -> str:
        return f"{self.kind}, tasks={self.tasks}, size={self.size}"
