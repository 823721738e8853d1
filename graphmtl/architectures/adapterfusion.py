r"""AdapterFusion (Pfeiffer, Kamath, Rücklé, Cho, Gurevych, EACL 2021, section 3.2).

Each task's adapter is trained first (``--arch adapters``). Then body and adapters stay as they are, and every task k
learns to fuse all adapters by attention:

.. math::
    z_j = h + \mathrm{Up}_j\, \mathrm{gelu}(\mathrm{Down}_j\, \mathrm{LayerNorm}(h)), \quad
    g_{k,j} = \mathrm{softmax}_j(Q_k h \cdot K_k z_j / \sqrt A), \quad
    y_k = \mathrm{head}_k\left(V_k \textstyle\sum_j g_{k,j} z_j\right)

Q_k and K_k have a bias each, and V_k starts as the identity. It departs from the paper in that the adapters stand after
the encoder alone, and in the :math:`\sqrt A`. ``--adapters RUN`` gives the finished run of the first stage; without it
the adapters are trained at the same time as the fusion. What task k reads from task j's adapter is the edge j -> k of
the task graph, k -> k among them.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from graphmtl.architectures.adapters import AdapterOptions, TaskAdapters
from graphmtl.architectures.architecture import HeadInput
from graphmtl.config import WIDEST, option
from graphmtl.layers.interaction import Ablation, attend
from graphmtl.layers.stacked import StackedLinear

__all__ = ["AdapterFusion", "AdapterFusionOptions"]


@dataclass(frozen=True, kw_only=True)
class AdapterFusionOptions(AdapterOptions):
    """Of ``adapter-fusion``."""

    attention: int = option(64, "dimensions of the attention's keys and queries", low=1, high=WIDEST)
    adapters: str | None = option(
        None, "folder of a finished run of --arch adapters, whose body and adapters stay as they are", shown="RUN"
    )


class AdapterFusion(TaskAdapters):
    r"""The adapters of all tasks, fused for each task by attention.

    The equations stand at the top of :mod:`graphmtl.architectures.adapterfusion` (Pfeiffer et al., EACL 2021). It comes
    after what :class:`~graphmtl.architectures.shared.Shared` has.

    Args:
        tasks: their names.
        input_size: dimensions of a token vector.
        contextual: token vectors come from an encoder in which tokens have read each other, such as a transformer, and
            no LSTM reads them again; ``contextual=False`` puts an LSTM before.
        pooling: how vectors of texts are made of token states; it says their size alone, twice as much for
            ``max-mean``.
        **values: options by name, those of :class:`AdapterFusionOptions`:

            hidden (64): LSTM units per direction.
            bidirectional (True): read every text in both directions.
            adapter_size (64): dimensions inside a task's adaptation layer.
            attention (64): dimensions of the attention's keys and queries.
            adapters (None): folder of a finished run whose body and adapters ``graphmtl run`` loads, and which then
                stay as they are.

    Shapes:
        - x (batch, tokens, input_size), padded on the right, the task's name or position, and lengths (batch,) int64 or
          mask (batch, tokens) bool; without both no text is padded
        - or x (batch, output_size), vectors of texts, and the task
        - output: states (batch, tokens, output_size), 0 at padding, or (batch, output_size). If
          ``return_edge_weights=True``, then (states, edges): :class:`~graphmtl.layers.interaction.EdgeWeights` with the
          weights of the tasks' adapters ``edges.weights``, (batch, tokens, tasks) or (batch, 1, tasks)

    Raises:
        InputError: a task or an option does not exist, a value is not accepted, or a tensor has another shape.

    >>> import torch
    >>> from graphmtl.nn import AdapterFusion
    >>> fusion = AdapterFusion(tasks=["books", "dvd"], input_size=6, adapter_size=4, attention=3)
    >>> h, edges = fusion(torch.randn(5, 6), "dvd", return_edge_weights=True)
    >>> h.shape, edges.sources, edges.per_instance().shape
    (torch.Size([5, 6]), ('books', 'dvd'), torch.Size([5, 2]))
    """

    Options = AdapterFusionOptions
    has_edges = True
    reads_new_tasks = True
    first_stage = "adapters"

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        options = self.options
        K, size = len(self.tasks), self.adapters.norm.normalized_shape[0]
        self.query = StackedLinear(layers=K, input_size=size, output_size=options.attention)
        self.key = StackedLinear(layers=K, input_size=size, output_size=options.attention)
        self.value = nn.Parameter(torch.eye(size).repeat(K, 1, 1))  # (K, size, size)

    def task_rows(self) -> list[Tensor]:
        return [*super().task_rows(), *self.query.parameters(), *self.key.parameters(), self.value]

    def frozen_parts(self) -> list[nn.Module]:
        return [self.lstm, self.adapters]

    def interact(
        self, h: Tensor, lengths: Tensor, task: int, edges: bool = False, ablation: Ablation | None = None
    ) -> HeadInput:
        own = slice(task, task + 1)
        z = self.adapters(h).flatten(0, -3)  # (N, K, size)
        query = self.query(h.flatten(0, -2).unsqueeze(1), own).squeeze(1)  # (N, A)
        key = self.key(z.unsqueeze(-2), own).squeeze(-2)  # (N, K, A)
        equal = z.new_zeros(1, len(self.tasks))  # (1, K)
        fused, gates = attend(query.unsqueeze(0), key.unsqueeze(0), z.unsqueeze(0), None, equal)
        fused, gates = fused.squeeze(0), gates.squeeze(0)  # (N, size), (N, K)
        if ablation is not None:
            gates = ablation.apply(gates, self.tasks[task], self.tasks)
            fused = (gates.unsqueeze(-2) @ z).squeeze(-2)
        seen = HeadInput((fused @ self.value[task]).view_as(h))
        if edges:
            seen.edges = self.edge_weights(gates, z, range(len(self.tasks)), h, lengths, task)
        return seen
