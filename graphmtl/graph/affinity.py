r"""Task affinity of the star graph: do two tasks use the virtual node in the same way on the same text?

The spokes say how much each task reads from the virtual node, not what two tasks have in common. With
:math:`\mu_k` the margin of the winning label of task k's head (its logit minus the next one's; of tags the mean over
the tokens; of a regression the score itself),

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
from graphmtl.models.packing import Packing
from graphmtl.training.evaluation import batches_by_length

__all__ = ["logit_correlation", "probe_batches", "task_affinity"]

_TEXTS_AT_ONCE = 50  # a gradient at every state of every text is held for every task


def probe_batches(splits: Mapping[str, EncodedSplit], *, per_task: int, seed: int) -> Iterable[Batch]:
    """``per_task`` texts of every task, or as many as its split has; texts of like length together."""
    rng = np.random.default_rng(seed)
    for split in splits.values():
        chosen = rng.permutation(len(split))[:per_task]
        for rows in batches_by_length(split.lengths[chosen], _TEXTS_AT_ONCE):
            yield split.batch(chosen[rows])


def _hub_gradients(model: MultiTaskModel, batch: Batch) -> Tensor:
    """How each task's margin depends on the virtual node's states: (tasks, batch, flattened), of length 1."""
    star = model.architecture
    with torch.no_grad():
        encoded = model.encode(batch)
        x = encoded.states  # (batch, tokens, dim)
        packing = Packing(batch.lengths, x.size(1), x.device)
        nodes = star.node_states(x, batch.lengths)  # (D, N, H)
    nodes.requires_grad_()
    gradients = []
    for position, name in enumerate(model.tasks):
        states, _ = star(x, batch.lengths, position, nodes=nodes)
        margins = model.classify(model.represent(states, encoded, name), name)  # (batch,) of a regression
        if not model.tasks[name].is_regression:
            best = margins.topk(2, -1).values  # (batch, 2), of tags (batch, tokens, 2)
            margins = _mean_over_tokens(best[..., 0] - best[..., 1], batch.lengths)  # (batch,)
        (gradient,) = torch.autograd.grad(margins.sum(), nodes)
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


@torch.no_grad()
def logit_correlation(model: MultiTaskModel, batches: Iterable[Batch], *, split: str, seed: int) -> TaskGraph:
    """The control of the affinity, which needs no graph: do two tasks answer alike on the same texts?

    Pearson's correlation of the two heads' logits over all texts and labels (of tags their means over a text), each
    label's logits centred; for tasks with the same labels only. Arguments as for :func:`task_affinity`.
    """
    model.eval()
    names = tuple(model.tasks)
    answers: dict[str, list[Tensor]] = {name: [] for name in names}
    for batch in batches:
        encoded = model.encode(batch)  # states (batch, tokens, dim)
        read = model.architecture.read(encoded.states, encoded.lengths, range(len(names)))
        for name, (states, _) in zip(names, read, strict=True):
            logits = model.classify(model.represent(states, encoded, name), name)  # (batch, classes), of tags by token
            if logits.ndim == 3:
                mask = token_mask(encoded.lengths, logits[..., 0]).unsqueeze(-1)  # (batch, tokens, 1)
                logits = (logits * mask).sum(1) / encoded.lengths.to(logits.device)[:, None]
            answers[name].append(logits.view(len(logits), -1))  # of a regression (batch, 1)
    standard = {}
    for name, parts in answers.items():
        centred = torch.cat(parts).double()  # (texts, classes)
        centred = centred - centred.mean(0)
        standard[name] = centred / centred.square().mean().sqrt().clamp_min(1e-12)
    recorder = EdgeRecorder()
    for target in names:
        others = [j for j in names if j != target and model.tasks[j].labels == model.tasks[target].labels]
        if others:
            products = [(standard[target] * standard[j]).mean(-1) for j in others]  # (texts,), whose mean is Pearson's
            recorder.add(target, others, torch.stack(products, -1))
    return recorder.graph(arch=model.options.arch, tasks=names, split=split, seed=seed)
