r"""Task affinity of the star graph: do two tasks use the virtual node in the same way on the same text?

The spokes say how much each task reads from the virtual node, not what two tasks have in common. With
:math:`\mu_k` the margin of the winning label of task k's head (its logit minus the next one's; of tags the mean over
the tokens),

.. math::
    A(k, j) = \mathrm{mean}_{\text{probe texts}} \;
    \cos\left(\frac{\partial \mu_k}{\partial h^{(s)}}, \frac{\partial \mu_j}{\partial h^{(s)}}\right)

over an equal number of texts of every task, each read by all tasks; gradients are flattened over positions and
dimensions. This is graphmtl's own measure: it is in neither paper.
"""

from collections.abc import Iterable, Mapping

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from graphmtl.data.batching import Batch, EncodedSplit
from graphmtl.graph.recorder import EdgeRecorder
from graphmtl.graph.task_graph import TaskGraph
from graphmtl.models.heads import token_mask
from graphmtl.models.model import MultiTaskModel
from graphmtl.models.recurrence import Packing

__all__ = ["probe_batches", "task_affinity"]


def probe_batches(splits: Mapping[str, EncodedSplit], *, per_task: int, seed: int) -> Iterable[Batch]:
    """A batch of ``per_task`` texts of every task, or of as many as its split has."""
    rng = np.random.default_rng(seed)
    for split in splits.values():
        yield split.batch(rng.permutation(len(split))[:per_task])


def _hub_gradients(model: MultiTaskModel, batch: Batch) -> Tensor:
    """How each task's margin depends on the virtual node's states: (tasks, batch, flattened), of length 1."""
    star = model.architecture
    with torch.no_grad():
        x = model.encode(batch)  # (batch, tokens, dim)
        packing = Packing(batch.lengths, x.size(1), x.device)
        nodes = star.hub_states(packing.pack(x, star.directions), packing)  # (D, N, H)
    nodes.requires_grad_()
    gradients = []
    for position, name in enumerate(model.tasks):
        states, _ = star(x, batch.lengths, position, nodes=nodes)
        best = model.classify(states, batch.lengths, name).topk(2, -1).values  # (batch, 2), of tags (batch, tokens, 2)
        margin = _mean_over_tokens(best[..., 0] - best[..., 1], batch.lengths).sum()
        (gradient,) = torch.autograd.grad(margin, nodes)
        gradients.append(packing.unpack(gradient).flatten(1))  # (batch, tokens * D * H)
    return F.normalize(torch.stack(gradients), dim=-1)


def _mean_over_tokens(margins: Tensor, lengths: Tensor) -> Tensor:
    """(batch, tokens) to (batch,); (batch,) as it is."""
    if margins.ndim == 1:
        return margins
    return (margins * token_mask(lengths, margins)).sum(1) / lengths.to(margins.device)


def task_affinity(model: MultiTaskModel, batches: Iterable[Batch], *, split: str, seed: int) -> TaskGraph:
    """The affinity of every pair of tasks, as a symmetric task graph with both directions listed.

    Args:
        model: a model whose architecture is ``star``.
        batches: probe texts; the task a batch comes from plays no part, all tasks read it.
        split: the split that the texts come from, for the record.
        seed: the run's seed, for the record.
    """
    model.eval()
    names = tuple(model.tasks)
    recorder = EdgeRecorder()
    for batch in batches:
        gradients = _hub_gradients(model, batch)
        cosines = torch.einsum("kbf,jbf->bkj", gradients, gradients)  # (batch, targets, sources)
        for k, target in enumerate(names):
            others = [j for j in range(len(names)) if j != k]
            recorder.add(target, [names[j] for j in others], cosines[:, k, others])
    return recorder.graph(arch=model.options.arch, tasks=names, split=split, seed=seed)
