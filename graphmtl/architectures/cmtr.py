r"""Collaborative multi-task representation, CMTR (Yang, Cao, Zeng, Yu, Ren, Tong, Wang, IJCNN 2024).

Only the paper's abstract was at hand: the parts are the paper's, the equations are our reading of them. For an instance
of task k, h is what the encoder makes of it, one vector of a text, or one of each token where tokens are tagged:

.. math::
    z_j &= h + \mathrm{Up}_j\, \mathrm{gelu}(\mathrm{Down}_j\, \mathrm{LayerNorm}(h)) \\
    Z' &= \mathrm{TaskInteraction}(Z + E) \\
    g_k &= \mathrm{softmax}_j(q(z'_k) \cdot k(z'_j) / \sqrt d) \\
    y_k &= \mathrm{head}_k\left(\textstyle\sum_j g_{k,j} z_j\right)

z_j is the task-oriented representation of task j, by an adaptation layer of its own; E holds a learned embedding of
each task; q and k are linear layers; j runs over the sources of k in the topology, and k itself. The gates g_k are the
edges of the task graph, k -> k among them. With ``--fusion-values interacted`` the head reads z'_j in the place of z_j,
and the edges are :math:`\sum_i g_{k,i} \alpha_{i,j}`, with the interaction's weights :math:`\alpha`.

Where an edge j -> k is cut (:class:`~graphmtl.layers.interaction.Ablation`), the interaction that k sees is computed
without j, and k's gate for z_j is 0; whether the other gates then sum to 1 is ``renormalise``.
"""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from graphmtl.architectures.architecture import HeadInput, TopologyOptions
from graphmtl.architectures.shared import Shared
from graphmtl.config import MOST_PARTS, WIDEST, ArchitectureOptions, option
from graphmtl.layers.gate_regularisation import GateReg, gate_penalty
from graphmtl.layers.interaction import Ablation, attend
from graphmtl.layers.pooling import mean_over_tokens, pooled_size
from graphmtl.layers.stacked import Adapters
from graphmtl.layers.task_interaction import TaskInteraction

__all__ = ["CMTR", "CMTROptions"]


@dataclass(frozen=True, kw_only=True)
class CMTROptions(TopologyOptions, ArchitectureOptions):
    """Of ``cmtr``."""

    attention: int = option(64, "dimensions of the attention's keys and queries", low=1, high=WIDEST)
    adapter_size: int = option(64, "dimensions inside a task's adaptation layer", low=1, high=WIDEST)
    interaction: Literal["attention", "transformer", "gatv2", "none"] = option(
        "attention", "how tasks' representations read each other; two are torch_geometric's convolutions"
    )
    interaction_heads: int = option(
        4, "heads of the interaction, each of --attention dimensions", low=1, high=MOST_PARTS
    )
    fusion_values: Literal["raw", "interacted"] = option(
        "raw", "what the gates sum up, the tasks' representations before or after the interaction"
    )
    uniform_gates: bool = option(False, "equal gates for all tasks (ablation)")
    gate_reg: GateReg = option(
        "prior", "what the gates are pulled towards: mostly the own task, few tasks, all tasks alike"
    )
    gate_prior: float = option(0.5, "the own task's share in --gate-reg prior", low=0, high=1)
    gate_reg_weight: float = option(0.1, "weight of --gate-reg in the loss", low=0, trains=True)
    gate_ramp: float = option(0.1, "share of all steps in which that weight rises from 0", low=0, high=1, trains=True)


class CMTR(Shared):
    r"""Adaptation layers for each task, which read each other, and are fused by the target's gates.

    The equations stand at the top of :mod:`graphmtl.architectures.cmtr` (our reading of Yang et al., IJCNN 2024). It
    comes after an encoder: h is one vector of a text, or one of each token.

    Args:
        tasks: their names.
        input_size: dimensions of a token vector.
        contextual: token vectors come from an encoder in which tokens have read each other, such as a transformer, and
            no LSTM reads them again; ``contextual=False`` puts one before.
        pooling: how vectors of texts are made of token states; it says their size alone, twice as much for
            ``max-mean``.
        **values: options by name, those of :class:`CMTROptions`:

            hidden (64): LSTM units per direction.
            bidirectional (True): read every text in both directions.
            topology (None): which tasks a task may read from, by default all others; a text such as
                "[[books, dvd], [dvd, music]]", pairs of source and target, or a YAML or GraphML file of edges.
            top_k (0): with a finished run as topology, how many of the strongest edges into a task stay; 0: all.
            attention (64): dimensions of the attention's keys and queries.
            adapter_size (64): dimensions inside a task's adaptation layer.
            interaction (attention): how tasks' representations read each other; or transformer, gatv2, none.
            interaction_heads (4): heads of the interaction, each of ``attention`` dimensions.
            fusion_values (raw): what the gates sum up, representations before the interaction; or interacted, after it.
            uniform_gates (False): equal gates for all tasks.
            gate_reg (prior): what the gates are pulled towards, by the penalty that ``interact`` gives in training; or
                entropy, balance, none.
            gate_prior (0.5): the own task's share in ``prior``.
            gate_reg_weight (0.1): weight of the penalty in the loss (``penalty_weight``).
            gate_ramp (0.1): share of all steps in which that weight rises from 0.

    Shapes, of ``cmtr(h, task, lengths=None, *, mask=None, return_edge_weights=False)``:
        - h (batch, dim), vectors of texts, and the task's name or position; dim is input_size, or with
          ``contextual=False`` that of the LSTM's states
        - or h (batch, tokens, input_size), padded on the right, and lengths (batch,) int64 or mask (batch, tokens)
          bool; without both no text is padded
        - output: what the task's head reads, (batch, dim) or (batch, tokens, dim), 0 at padding. If
          ``return_edge_weights=True``, then (states, edges): an
          :class:`~graphmtl.layers.interaction.EdgeWeights` with the gates ``edges.weights``, (batch, 1, sources) or
          (batch, tokens, sources), and the sources' names ``edges.sources``, the task's own among them. The weights are
          part of the graph of gradients: detach what is kept.

    In a loop of one's own the penalty of ``gate_reg`` is ``cmtr.interact(h, lengths, position).penalty``, (batch,) in
    training, times ``cmtr.penalty_weight(step, steps)``; ``cmtr(...)`` leaves it out.

    Attributes:
        sources: the positions of the tasks that each task has gates for, itself among them.
        reached: those of the tasks that its edges come from; with ``fusion_values="interacted"`` the sources' sources.

    Raises:
        InputError: a task or an option does not exist, a value is not accepted, or a tensor has another shape.

    >>> import torch
    >>> from graphmtl.nn import CMTR
    >>> cmtr = CMTR(tasks=["books", "dvd", "music"], input_size=6, adapter_size=4, attention=3)
    >>> h, edges = cmtr(torch.randn(5, 6), "dvd", return_edge_weights=True)
    >>> h.shape, edges.sources, edges.per_instance().shape
    (torch.Size([5, 6]), ('books', 'dvd', 'music'), torch.Size([5, 3]))
    >>> cmtr(torch.randn(5, 7, 6), "dvd", torch.tensor([7, 3, 1, 2, 7])).shape
    torch.Size([5, 7, 6])
    """

    Options = CMTROptions
    undecayed = ("task_embedding",)
    has_edges = True
    reads_tasks = True
    has_nodes = True
    acts_after_pooling = True

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        options = self.options
        K = len(self.tasks)
        self.node_size = size = pooled_size(self.output_size, self.pooling)
        edges = torch.eye(K, dtype=torch.bool, device="cpu")  # (K targets, K sources), looked at below
        source, target = self.topology.edge_index
        edges[target, source] = True
        self.sources = [row.nonzero().flatten().tolist() for row in edges]
        self.interacted = options.fusion_values == "interacted"
        two_steps = self.interacted and options.interaction != "none"  # what is fused was itself read from tasks
        reached = edges.float() @ edges.float() > 0 if two_steps else edges  # (K, K)
        self.reached = [row.nonzero().flatten().tolist() for row in reached]
        self.adapters = Adapters(tasks=K, size=size, bottleneck=options.adapter_size)
        self.task_embedding = nn.Parameter(torch.empty(K, size))
        nn.init.normal_(self.task_embedding)  # as nn.Embedding: tasks that look alike would keep equal gates
        self.interaction: TaskInteraction | None = None
        if options.interaction != "none":
            self.interaction = TaskInteraction(
                kind=options.interaction,
                size=size,
                channels=options.attention,
                heads=options.interaction_heads,
                edges=edges,
            )
        self.query: nn.Linear | None = None
        self.key: nn.Linear | None = None
        self.penalty: nn.Module | None = None
        if not options.uniform_gates:
            self.query, self.key = nn.Linear(size, options.attention), nn.Linear(size, options.attention)
            self.penalty = gate_penalty(options.gate_reg, own=options.gate_prior, edges=edges)

    def task_rows(self) -> list[Tensor]:
        averages = [] if self.penalty is None else [*self.penalty.buffers()]
        return [*self.adapters.task_rows(), self.task_embedding, *averages]

    def interact(
        self, h: Tensor, lengths: Tensor, task: int, edges: bool = False, ablation: Ablation | None = None
    ) -> HeadInput:
        nodes = self.adapters(h)  # (batch, K, dim), of tags (batch, tokens, K, dim)
        z = nodes.flatten(0, -3)  # (N, K, dim)
        interacted, alpha = z + self.task_embedding, None  # (N, K, dim)
        if self.interaction is not None:
            cut = None if ablation is None else ablation.cut(self.tasks[task], self.tasks, h.device)  # (K,)
            interacted, alpha = self.interaction(interacted, cut, return_edge_weights=True)
        values = interacted if self.interacted else z  # (N, K, dim)
        fused, gates = self._fuse(values, interacted, task, ablation)  # (N, dim), (N, S)
        seen = HeadInput(fused.view_as(h), nodes=nodes)
        if self.training and self.penalty is not None:
            per_text = mean_over_tokens(gates.view(*h.shape[:-1], -1), lengths)  # (batch, S)
            seen.penalty = self.penalty(per_text, self.sources[task], task)  # (batch,)
        if edges:
            own = self.reached[task]
            if self.interacted and alpha is not None:
                gates = (gates.unsqueeze(-2) @ alpha[:, self.sources[task]][..., own]).squeeze(-2)  # (N, S)
            seen.edges = self.edge_weights(gates, z[:, own], own, h, lengths, task)
        return seen

    def penalty_weight(self, step: int, steps: int) -> float:
        """``--gate-reg-weight``, to which it rises over the first ``--gate-ramp`` of all steps."""
        return self.options.gate_reg_weight * min(1.0, step / max(self.options.gate_ramp * steps, 1))

    def _fuse(self, values: Tensor, interacted: Tensor, task: int, ablation: Ablation | None) -> tuple[Tensor, Tensor]:
        """The sum of the values (N, K, dim) of k's S sources, weighted by the gates: (N, dim), and gates (N, S)."""
        own = self.sources[task]
        equal = values.new_zeros(1, len(own))  # (1, S)
        query = key = None
        if self.query is not None and self.key is not None:
            query = self.query(interacted[:, task]).unsqueeze(0)  # (1, N, A)
            key = self.key(interacted[:, own]).unsqueeze(0)  # (1, N, S, A)
        fused, gates = attend(query, key, values[:, own].unsqueeze(0), None, equal)
        fused, gates = fused.squeeze(0), gates.squeeze(0)
        if ablation is not None:
            gates = ablation.apply(gates, self.tasks[task], [self.tasks[j] for j in own])
            fused = (gates.unsqueeze(-2) @ values[:, own]).squeeze(-2)
        return fused, gates
