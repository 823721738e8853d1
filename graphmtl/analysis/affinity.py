r"""Task affinity of the star graph: do two tasks use the virtual node in the same way on the same text?

The spokes say how much each task reads from the virtual node, not what two tasks have in common. With
:math:`\mu_k` the margin of the winning label of task k's head (its logit minus the next one's; of tags the mean over
the tokens; of a regression the score itself),

.. math::
    A(k, j) = \mathrm{mean}_{\text{texts of k and of j}} \; \cos(a_k, a_j), \quad
    a_k = h^{(s)} \odot \frac{\partial \mu_k}{\partial h^{(s)}} \text{ at } h^{(s)} / 2

over an equal number of texts of every task. a_k, flattened over positions and dimensions, is what every number of the
virtual node's states contributes to the margin: integrated gradients (Sundararajan et al., ICML 2017) from no states to
these, the integral taken at its midpoint. Texts of third tasks are left out: what they have to say to k or j is mostly
noise. This is graphmtl's own measure: it is in neither paper.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import permutations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from graphmtl.analysis.answers import answers_of_tasks
from graphmtl.config import OptionGroup, option
from graphmtl.data.batching import Batch, EncodedSplit, batches_by_length
from graphmtl.errors import InputError
from graphmtl.graph.recorder import EdgeRecorder
from graphmtl.graph.task_graph import TaskGraph
from graphmtl.layers.modes import evaluating
from graphmtl.layers.packing import Packing
from graphmtl.models.model import MultiTaskModel

__all__ = ["AffinityOptions", "logit_correlation", "probe_batches", "task_affinity"]

_TEXTS_AT_ONCE = 50  # a number for every state of every text is held for every task


@dataclass(frozen=True, kw_only=True)
class AffinityOptions(OptionGroup):
    """Of architectures with a virtual node."""

    affinity_probe: int = option(
        50, "validation texts per task on which the task affinity is measured", low=1, trains=True
    )


def probe_batches(splits: Mapping[str, EncodedSplit], *, per_task: int, seed: int) -> Iterable[Batch]:
    """``per_task`` texts of every task, or as many as its split has; texts of like length together."""
    rng = np.random.default_rng(seed)
    for split in splits.values():
        chosen = rng.permutation(len(split))[:per_task]
        for rows in batches_by_length(split.lengths[chosen], _TEXTS_AT_ONCE):
            yield split.batch(chosen[rows])


def _hub_attributions(model: MultiTaskModel, batch: Batch) -> Tensor:
    """What the virtual node's states contribute to each task's margin: (tasks, batch, flattened), of length 1."""
    star = model.architecture
    with torch.no_grad():
        encoded = model.encode(batch)
        x = encoded.states  # (batch, tokens, dim)
        packing = Packing(batch.lengths, x.size(1), x.device)
        nodes = star.node_states(x, batch.lengths, range(len(model.tasks)))  # (D, N, H)
    if nodes is None:
        raise InputError(f"--arch {model.options.arch}: the affinity of tasks needs node_states() of the virtual node")
    midpoint = (nodes / 2).requires_grad_()
    attributions = []
    for position, name in enumerate(model.tasks):
        states, _ = star.read(x, batch.lengths, [position], nodes=midpoint)[0]
        logits = model.classify(model.represent(states, encoded, name), name)
        margins = model.heads[position].margins(logits, batch.lengths)  # (batch,)
        (gradient,) = torch.autograd.grad(margins.sum(), midpoint)
        attributions.append(packing.unpack(nodes * gradient).flatten(1))  # (batch, tokens * D * H)
    return F.normalize(torch.stack(attributions), dim=-1)


def task_affinity(model: MultiTaskModel, batches: Iterable[Batch], *, split: str, seed: int) -> TaskGraph:
    """The affinity of every pair of tasks, as a symmetric task graph with both directions listed.

    Args:
        model: a model whose architecture is ``star``.
        batches: probe texts, those of a batch all of the same tasks; a pair of tasks without texts has no edge.
        split: the split that the texts come from, for the record.
        seed: the run's seed, for the record.
    """
    recorders = {source: EdgeRecorder() for source in model.tasks}
    with evaluating(model):
        for batch in batches:
            attributions = _hub_attributions(model, batch)
            cosines = torch.einsum("kbf,jbf->bkj", attributions, attributions)  # (batch, targets, sources)
            for k, target in enumerate(model.tasks):
                for j, source in enumerate(model.tasks):
                    if k != j and (target in batch.tasks or source in batch.tasks):
                        recorders[source].add(target, (source,), cosines[:, k, j : j + 1])
    return _graph(recorders, model, split=split, seed=seed)


def _graph(recorders: Mapping[str, EdgeRecorder], model: MultiTaskModel, *, split: str, seed: int) -> TaskGraph:
    """The edges that one recorder for each source has seen."""
    edges = tuple(edge for recorder in recorders.values() for edge in recorder.edges())
    return TaskGraph(arch=model.options.arch, tasks=tuple(model.tasks), split=split, seed=seed, edges=edges)


@torch.no_grad()
def logit_correlation(model: MultiTaskModel, batches: Iterable[Batch], *, split: str, seed: int) -> TaskGraph:
    """The control of the affinity, which needs no graph: do two tasks answer alike on the same texts?

    Pearson's correlation of the two heads' logits over the texts of both tasks and all labels (of tags their means over
    a text), each label's logits centred; for tasks with the same labels only. Arguments as for :func:`task_affinity`.
    """
    answers: dict[str, list[Tensor]] = {name: [] for name in model.tasks}
    owners: list[tuple[str, ...]] = []
    with evaluating(model):
        for batch in batches:
            owners += [batch.tasks] * len(batch.lengths)
            for name, answer in answers_of_tasks(model, batch, [*model.tasks]).items():
                answers[name].append(answer)
    logits = {name: torch.cat(parts) for name, parts in answers.items()}  # (texts, classes)
    recorders = {source: EdgeRecorder() for source in model.tasks}
    for target, source in permutations(model.tasks, 2):
        own = torch.tensor([target in tasks or source in tasks for tasks in owners])  # (texts,)
        alike = [(own.kind, own.labels) for own in (model.tasks[source], model.tasks[target])]
        if own.any() and alike[0] == alike[1]:
            ours, theirs = (_standard(logits[name][own]) for name in (target, source))
            products = (ours * theirs).mean(-1, keepdim=True)  # (texts, 1), whose mean is Pearson's
            recorders[source].add(target, (source,), products)
    return _graph(recorders, model, split=split, seed=seed)


def _standard(logits: Tensor) -> Tensor:
    """Logits (texts, classes), each label's centred, all of them divided by their root mean square."""
    centred = logits.double() - logits.double().mean(0)
    return centred / centred.square().mean().sqrt().clamp_min(1e-12)
