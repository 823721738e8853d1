"""An architecture of one's own: a matrix says how much of what one task makes of a text another task reads.

Every task j makes z_j = tanh(L_j h) of h, what a shared LSTM says of a text. The head of task k sees h + z_k + sum_j
a_kj z_j, a_k = softmax_j(sharpness * s_kj) over the sources j of k, and the edge j -> k weighs a_kj. Run this file, or,
with its folder in PYTHONPATH: graphmtl run --arch own_architecture:TaskMatrix --sharpness 5
"""

from dataclasses import dataclass

import torch
from torch import nn

import graphmtl
from graphmtl.architectures.architecture import HeadInput, TopologyOptions
from graphmtl.architectures.shared import Shared
from graphmtl.config import ArchitectureOptions, option
from graphmtl.layers.pooling import pooled_size
from graphmtl.layers.stacked import StackedLinear


@dataclass(frozen=True, kw_only=True)
class TaskMatrixOptions(TopologyOptions, ArchitectureOptions):
    """``--hidden``, ``--bidirectional``, ``--topology``, ``--top-k``, and one more."""

    sharpness: float = option(10.0, "how fast the edge weights learn", low=0)


class TaskMatrix(Shared):
    """What ``shared`` has, then a layer for each task and the matrix; see the top of the file."""

    Options = TaskMatrixOptions
    has_edges = True
    reads_tasks = True
    acts_after_pooling = True

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        K, size = len(self.tasks), pooled_size(self.output_size, self.pooling)
        self.sources = [[self.tasks.index(j) for j in self.topology.sources[k]] for k in self.tasks]
        self.layers = StackedLinear(layers=K, input_size=size, output_size=size)
        self.scores = nn.Parameter(torch.zeros(K, K))  # (targets, sources)

    def task_rows(self):
        return [*self.layers.parameters(), self.scores]

    def interact(self, h, lengths, task, edges=False, ablation=None):
        own, z = self.sources[task], self.layers(h.unsqueeze(-2)).tanh().flatten(0, -3)  # (N, K, size)
        weights = (self.options.sharpness * self.scores[task, own]).softmax(-1).expand(len(z), -1)  # (N, S)
        if ablation is not None:
            weights = ablation.apply(weights, self.tasks[task], [self.tasks[j] for j in own])
        read = (weights.unsqueeze(-2) @ z[:, own]).squeeze(-2)  # (N, size)
        seen = HeadInput(h + (z[:, task] + read).view_as(h))
        seen.edges = self.edge_weights(weights, z[:, own], own, h, lengths, task) if edges else None
        return seen


if __name__ == "__main__":
    run = graphmtl.train("planted", arch="own_architecture:TaskMatrix", epochs=4, overwrite=True)
    print(*sorted(run.task_graph.edges, key=lambda edge: -edge.weight)[:8], sep="\n")
