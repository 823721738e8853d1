r"""Collaborative multi-task representation, CMTR (Yang, Cao, Zeng, Yu, Ren, Tong, Wang, IJCNN 2024).

Only the paper's abstract was at hand: the parts are the paper's, the equations are our reading of them. For an instance
of task k, h is what the encoder makes of it, one vector of a text, or one of each token where tokens are tagged:

.. math::
    z_j &= \mathrm{Up}_j\, \mathrm{gelu}(\mathrm{Down}_j\, \mathrm{LayerNorm}(h)) \\
    g_k &= \mathrm{softmax}_j\left(4 b_{k,j} + \rho \cos(q(\mathrm{LayerNorm}(h)), k(e_j))\right) \\
    y_k &= \mathrm{head}_k\left(h + \textstyle\sum_j g_{k,j} z_j\right)

z_j is the task-oriented representation of task j, by an adaptation layer of its own, and e_j a learned embedding of the
task; b is a learned matrix, the part of the gates that all texts of a task have in common, and :math:`\rho`
(``--gate-range``) bounds how far a text may move them; q and k are linear layers; j runs over the sources of k in the
topology, and k itself. The gates g_k are the edges of the task graph, k -> k among them.

With ``--interaction`` the tasks' representations read each other, :math:`Z' = \mathrm{TaskInteraction}(Z + E)`, and
what comes out for k asks with the text, :math:`q(\mathrm{LayerNorm}(h) + z'_k)`. With ``--fusion-values interacted``
the head reads z'_j in the place of z_j, and the edges are :math:`\sum_i g_{k,i} \alpha_{i,j}`, with the interaction's
weights :math:`\alpha`; without an interaction :math:`Z' = Z + E`, and the edges are the gates.

In training the head must answer from two further views of the text too (:class:`~graphmtl.training.views.Views`), from
what its own task says alone and from what it reads of the others:

.. math::
    L = \ell(y_k) + \ell(\mathrm{head}_k(z_k))
        + \ell\left(\mathrm{head}_k\left(\sum_{j \ne k} g_{k,j} z_j / \sum_{j \ne k} g_{k,j}\right)\right)

Four things make the gates say who helps whom, which no abstract tells, and which were found by measuring
(``benchmarks/results/planted-graph.md``). z_j belongs to task j: it holds nothing of h but what the adaptation layer
lets through, and k's loss does not train it (``--train-sources`` lets it). The gates must choose: where an own path is
there that knows few examples by heart, nothing pulls them open, so the others have to answer without it. b starts at
``--gate-prior`` for the task itself, which is a start and no penalty. And the text itself asks: where z' does, which no
loss keeps anything in of what a text is about, a text's gates are those of its task.

Where an edge j -> k is cut (:class:`~graphmtl.layers.interaction.Ablation`), k's gate for z_j is 0, and an interaction
that k sees is computed without j; whether the other gates then sum to 1 is ``renormalise``.
"""

from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from graphmtl.architectures.architecture import HeadInput, TopologyOptions
from graphmtl.architectures.shared import Shared
from graphmtl.config import MOST_PARTS, WIDEST, ArchitectureOptions, option
from graphmtl.layers.devices import moved
from graphmtl.layers.gate_regularisation import GateReg, gate_penalty
from graphmtl.layers.interaction import Ablation
from graphmtl.layers.pooling import mean_over_tokens, pooled_size
from graphmtl.layers.recordings import Recordings
from graphmtl.layers.stacked import Adapters
from graphmtl.layers.task_interaction import TaskInteraction

__all__ = ["CMTR", "CMTROptions"]

_VIEWS = ("own", "others")
_UNIFORM = ("uniform_gates", "which are not learned")
_SLOPE = 4  # of the gates' scores by b, which then moves as fast as it must where few examples are learned from


@dataclass(frozen=True, kw_only=True)
class CMTROptions(TopologyOptions, ArchitectureOptions):
    """Of ``cmtr``."""

    attention: int = option(64, "dimensions of the attention's keys and queries", low=1, high=WIDEST)
    adapter_size: int = option(64, "dimensions inside a task's adaptation layer", low=1, high=WIDEST)
    interaction: Literal["attention", "transformer", "gatv2", "none"] = option(
        "none", "how tasks' representations read each other, if they do; two are torch_geometric's convolutions"
    )
    interaction_heads: int = option(
        4,
        "heads of the interaction, each of --attention dimensions",
        low=1,
        high=MOST_PARTS,
        needs="interaction",
    )
    fusion_values: Literal["raw", "interacted"] = option(
        "raw", "what the gates sum up, the tasks' representations before or after the interaction"
    )
    residual: bool = option(True, "the head also reads the text itself, h, beside what the gates let through")
    train_sources: bool = option(False, "a task's loss also trains the representations of the tasks that it reads")
    gate_bias: bool = option(
        True, "the scores of the gates that all texts of a task have in common are learned", unless=_UNIFORM
    )
    gate_range: float = option(
        1.0,
        "how far a text may move the scores of the gates, up or down; 0: all texts of a task have the same",
        low=0,
        unless=_UNIFORM,
    )
    uniform_gates: bool = option(False, "equal gates for all tasks (ablation)")
    gate_prior: float = option(
        0.5,
        "the own task's share at the start, and in --gate-reg prior for good",
        low=0,
        high=1,
        unless=_UNIFORM,
    )
    gate_reg: GateReg = option(
        "none",
        "what the gates are pulled towards: prior, mostly the own task; entropy, few tasks; balance, all alike",
        unless=_UNIFORM,
    )
    gate_reg_weight: float = option(0.1, "weight of --gate-reg in the loss", low=0, needs="gate_reg", trains=True)
    gate_ramp: float = option(
        0.1, "share of all steps in which that weight rises from 0", low=0, high=1, needs="gate_reg", trains=True
    )


class CMTR(Shared):
    r"""What the tasks' adaptation layers make of a text, fused by the target's gates.

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
            interaction (none): how tasks' representations read each other; attention, transformer or gatv2.
            interaction_heads (4): heads of the interaction, each of ``attention`` dimensions.
            fusion_values (raw): what the gates sum up, representations before the interaction; or interacted, after it.
            residual (True): the head also reads h, beside what the gates let through.
            train_sources (False): a task's loss also trains the representations of the tasks that it reads.
            gate_bias (True): b is learned.
            gate_range (1.0): how far a text may move the scores of the gates; 0: all texts of a task have the same.
            uniform_gates (False): equal gates for all tasks.
            gate_prior (0.5): the own task's share at the start, and in ``gate_reg="prior"``.
            gate_reg (none): what the gates are pulled towards, by the penalty that ``interact`` gives in training:
                prior, entropy or balance.
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

    In a loop of one's own ``seen = cmtr.interact(h, lengths, position)`` has what ``cmtr(...)`` leaves out:
    ``seen.views``, which the head reads in training too, and with ``gate_reg`` ``seen.penalty``, (batch,), to be added
    times ``cmtr.penalty_weight(step, steps)``.

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
    revision = 2
    undecayed = ("task_embedding", "gate_bias")
    has_edges = True
    reads_tasks = True
    has_nodes = True
    has_views = True
    auto_pooling = "mean"  # by far the truer gates, see the results of benchmarks/planted_graph.py
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
        self.adapters = Adapters(tasks=K, size=size, bottleneck=options.adapter_size, residual=False)
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
        self.gate_bias: nn.Parameter | None = None  # b
        self.query: nn.Linear | None = None
        self.key: nn.Linear | None = None
        self.penalty: nn.Module | None = None
        self._recordings = Recordings()
        if options.uniform_gates:
            return
        self.gate_bias = nn.Parameter(_start(edges, options.gate_prior), requires_grad=options.gate_bias)
        if options.gate_range > 0:
            self.query, self.key = nn.Linear(size, options.attention), nn.Linear(size, options.attention)
        self.penalty = gate_penalty(options.gate_reg, own=options.gate_prior, edges=edges)

    def task_rows(self) -> list[Tensor]:
        averages = [] if self.penalty is None else [*self.penalty.buffers()]
        bias = [] if self.gate_bias is None else [self.gate_bias]
        return [*self.adapters.task_rows(), self.task_embedding, *bias, *averages]

    def interact(
        self, h: Tensor, lengths: Tensor, task: int, edges: bool = False, ablation: Ablation | None = None
    ) -> HeadInput:
        if self.training and not edges and ablation is None and self.options.interaction in ("none", "attention"):
            said = partial(self._said, task=task)
            nodes, gates, fused, *views = self._recordings.run(task, said, h, self._read_parameters())
        else:
            nodes, z, gates, fused, views, alpha = self._fuse(h, task, ablation)
        seen = HeadInput(fused, nodes=nodes, views=dict(zip(_VIEWS, views, strict=False)))
        if self.training and self.penalty is not None:
            per_text = mean_over_tokens(gates.view(*h.shape[:-1], -1), lengths)  # (batch, S)
            seen.penalty = self.penalty(per_text, self.sources[task], task)  # (batch,)
        if edges:
            reached = self.reached[task]
            if self.interacted and alpha is not None:
                alpha = alpha[:, self.sources[task]][..., reached]  # (N, S, reached)
                gates = (gates.unsqueeze(-2) @ alpha).squeeze(-2)  # (N, reached)
            seen.edges = self.edge_weights(gates, _chosen(z, 1, reached), reached, h, lengths, task)
        return seen

    def _fuse(
        self, h: Tensor, task: int, ablation: Ablation | None = None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, list[Tensor], Tensor | None]:
        """What the head sees, and what that is made of.

        Returns:
            Nodes (batch, K, dim), of tags (batch, tokens, K, dim); z (N, K, dim), of which a task trains its own alone;
            gates (N, S); what the head sees and, in training, its views, in the shape of h; and of an interaction the
            weights (N, K, K).
        """
        nodes = self.adapters(h)  # (batch, K, dim), of tags (batch, tokens, K, dim)
        z = nodes.flatten(0, -3)  # (N, K, dim)
        if not self.options.train_sources:
            own = torch.arange(len(self.tasks), device=z.device) == task  # (K,)
            z = torch.where(own.unsqueeze(-1), z, z.detach())
        asked = self.adapters.norm(h).flatten(0, -2)  # (N, dim)
        values, alpha = z + self.task_embedding if self.interacted else z, None  # (N, K, dim)
        if self.interaction is not None:
            cut = None if ablation is None else ablation.cut(self.tasks[task], self.tasks, h.device)  # (K,)
            read, alpha = self.interaction(z + self.task_embedding, cut, return_edge_weights=True)
            values, asked = read if self.interacted else z, asked + read[:, task]
        sources = self.sources[task]
        gates = self._gates(asked, task)  # (N, S)
        if ablation is not None:
            gates = ablation.apply(gates, self.tasks[task], [self.tasks[j] for j in sources])
        values = _chosen(values, 1, sources)  # (N, S, dim)
        fused = (gates.unsqueeze(-2) @ values).squeeze(-2).view_as(h)
        views = _views(gates, values, sources.index(task)) if self.training else []
        fused = h + fused if self.options.residual else fused
        return nodes, z, gates, fused, [view.view_as(h) for view in views], alpha

    def _said(self, h: Tensor, task: int) -> tuple[Tensor, ...]:
        """What training looks at: nodes, gates, what the head sees and its views."""
        nodes, _, gates, fused, views, _ = self._fuse(h, task)
        return nodes, gates, fused, *views

    def _read_parameters(self) -> list[nn.Parameter]:
        """All that :meth:`_fuse` reads."""
        parts = (part for part in (self.adapters, self.interaction, self.query, self.key) if part is not None)
        own = [self.task_embedding, *((self.gate_bias,) if self.gate_bias is not None else ())]
        return [*own, *(parameter for part in parts for parameter in part.parameters())]

    def penalty_weight(self, step: int, steps: int) -> float:
        """``--gate-reg-weight``, to which it rises over the first ``--gate-ramp`` of all steps."""
        return self.options.gate_reg_weight * min(1.0, step / max(self.options.gate_ramp * steps, 1))

    def _gates(self, asked: Tensor, task: int) -> Tensor:
        """g_k over k's S sources, (N, S), from what asks, (N, dim)."""
        sources = self.sources[task]
        if self.gate_bias is None:
            return asked.new_full((len(asked), len(sources)), 1 / len(sources))
        scores = _SLOPE * _chosen(self.gate_bias[task], 0, sources).expand(len(asked), -1)  # (N, S)
        if self.query is not None and self.key is not None:
            query = F.normalize(self.query(asked), dim=-1)  # (N, A)
            key = F.normalize(self.key(_chosen(self.task_embedding, 0, sources)), dim=-1)  # (S, A)
            scores = scores + self.options.gate_range * query @ key.mT
        return scores.softmax(-1)


def _start(edges: Tensor, own: float) -> Tensor:
    """b (K, K) with which every gate of a task for itself is ``own``, and those for its other sources are equal."""
    own = min(max(own, 1e-3), 1 - 1e-3)  # a gate of 0 or 1 would never move
    others = (edges.sum(1) - 1).clamp_min(1)  # (K,)
    return torch.diag(torch.log(others * own / (1 - own)) / _SLOPE)


def _views(gates: Tensor, values: Tensor, own: int) -> list[Tensor]:
    """What the place ``own`` of the values (N, S, dim) says alone, and what the gates let through of the others."""
    views = [values[:, own]]  # (N, dim)
    if values.size(1) > 1:
        others = torch.cat([gates[:, :own], gates[:, own + 1 :]], 1)  # (N, S - 1)
        others = others / others.sum(1, keepdim=True).clamp_min(1e-6)
        rest = torch.cat([values[:, :own], values[:, own + 1 :]], 1)  # (N, S - 1, dim)
        views.append((others.unsqueeze(-2) @ rest).squeeze(-2))
    return views


def _chosen(values: Tensor, dim: int, places: list[int]) -> Tensor:
    """Those at some places of a dimension; all of them as they stand."""
    if len(places) == values.size(dim):
        return values
    return values.index_select(dim, _on_device(tuple(places), values.device))


@lru_cache(maxsize=1024)
def _on_device(places: tuple[int, ...], device: torch.device) -> Tensor:
    """Places on a device, where they are wanted at every step, without a wait for it."""
    with torch.inference_mode(False):
        return moved(torch.tensor(places), device)
