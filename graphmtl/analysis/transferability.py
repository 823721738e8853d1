r"""Transferability between the tasks of one model: whose answers say of a task what its own texts do not?

The heads of all tasks answer the texts of task k. With :math:`a_j` what task j answers (its logits; of tags their mean
over a text) and y the labels of k as numbers (1 for the right class and 0 for the others; of tags each one's share of a
text; or the scores), all centred, what a linear model of k's own training texts says of them,
:math:`a_0` (:mod:`graphmtl.analysis.alone`), is taken away first, and what is left open is told by the other tasks'
answers together, both by ridge regression,

.. math::
    e = y - B_0 a_0, \quad \hat e = \sum_{j \ne k} B_j a_j, \quad
    T_{j \to k} = \frac{\sum_i \langle B_j a_j^{(i)}, e^{(i)} \rangle}{\sum_i |y^{(i)}|^2}

over texts i that were left out when B was fitted, each once. So T is the share of the variance of k's labels that j's
answers account for, beside k's own texts and the answers of all others (Pratt, Dividing the indivisible, 1987). Answers
that say nothing of k have T = 0 on the average, so a model that knows nothing has a map of zeros. T is not symmetric: a
task with few examples may be told by one with many; the one with many knows by itself what the other could tell.

That answers of a source say how well it transfers is the idea of LEEP (Nguyen et al., ICML 2020) and LogME (You et al.,
ICML 2021), which look at one source at a time. Here they are weighed together, since tasks that share a part of a model
all know something of what one of them has learned. It is asked of the answers, not of what tasks read from each other,
so it needs no graph; it is what the spokes of a star cannot say, which lead to the virtual node alone.
"""

from collections.abc import Iterable, Mapping

import numpy as np
import torch
from torch import Tensor

from graphmtl.analysis.alone import Alone, label_numbers
from graphmtl.analysis.answers import answers_of_tasks
from graphmtl.data.batching import Batch, EncodedTask
from graphmtl.graph.edge import Edge
from graphmtl.graph.task_graph import TaskGraph
from graphmtl.layers.modes import evaluating
from graphmtl.models.model import MultiTaskModel

__all__ = ["MOST_TEXTS", "transferability"]

MOST_TEXTS = 200
"""Texts of a task that are enough: all tasks read them, and of more the order of the sources hardly changes."""

_FOLDS = 10
_FEWEST = 20  # texts with a label of a task, below which nothing is fitted
_PENALTIES = [1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0, 10000.0]  # answers have variance 1
_ROUNDING = 1e-24  # what is left of the square of a double, less itself
_FORMS = ("classes", "numbers", "label-sets", "tags")  # of kinds whose answers have the same width for every text


@torch.no_grad()
def transferability(
    model: MultiTaskModel, batches: Iterable[Batch], data: Mapping[str, EncodedTask], *, split: str, seed: int
) -> TaskGraph:
    """T of every ordered pair of tasks, as a directed task graph; ``std`` and ``count`` are those over texts.

    A task with fewer than 20 labelled texts, or whose labels are all the same, has no edges; nor has one whose answers
    are places in a text, or one of several texts.

    Args:
        model: its heads answer.
        batches: texts with labels, none of them training texts.
        data: the tasks, whose training texts say what each knows alone; that of a model on shuffled labels with the
            right ones, so that both are told of the same.
        split: the split that the texts come from, for the record.
        seed: the run's seed, for the record; it draws the folds.
    """
    names = [name for name, task in model.tasks.items() if task.of_kind.form in _FORMS]
    answers: dict[str, list[dict[str, Tensor]]] = {}
    labels: dict[str, list[Tensor]] = {}
    alone: dict[str, list[Tensor]] = {}
    knows = {name: Alone(model, data[name].train, name, seed=seed) for name in names}
    with evaluating(model):
        for batch in batches:
            found = answers_of_tasks(model, batch, names)  # each (batch, classes)
            for target in (name for name in batch.tasks if name in names):
                wanted, known = label_numbers(model, batch, target)  # (batch, targets), (batch,)
                labels.setdefault(target, []).append(wanted[known])
                alone.setdefault(target, []).append(knows[target](batch)[known.cpu()])
                answers.setdefault(target, []).append(
                    {name: own[known] for name, own in found.items() if name != target}
                )
    edges = []
    for target, own in answers.items():
        y = torch.cat(labels[target]).double().cpu().numpy()  # (texts, numbers)
        by_itself = torch.cat(alone[target]).double().numpy()  # (texts, numbers)
        said = {name: torch.cat([part[name] for part in own]).double().cpu().numpy() for name in own[0]}
        edges += [
            Edge(source=source, target=target, weight=shares.mean(), std=shares.std(), count=len(shares))
            for source, shares in _shares(said, by_itself, y, seed).items()
        ]
    return TaskGraph(arch=model.options.arch, tasks=tuple(model.tasks), split=split, seed=seed, edges=tuple(edges))


def _shares(said: Mapping[str, np.ndarray], alone: np.ndarray, y: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """What each source contributes to T, text by text: (texts,); none where nothing can be fitted.

    Args:
        said: the answers of each source, (texts, classes).
        alone: what the target's own training texts say, (texts, numbers).
        y: the target's labels, (texts, numbers).
        seed: draws the folds.
    """
    size, y = np.square(y).sum(1).mean(), y - y.mean(0)
    variance = np.square(y).sum(1).mean()
    if not said or len(y) < _FEWEST or variance <= _ROUNDING * size:
        return {}
    blocks = [_standard(own) for own in said.values()]  # each (texts, classes)
    x, ends = np.concatenate(blocks, 1), np.cumsum([block.shape[1] for block in blocks])[:-1]
    alone = _standard(alone)
    fold = np.random.default_rng(seed).permutation(len(y)) % _FOLDS  # (texts,)
    parts = np.zeros((len(blocks), len(y)))
    for out in range(_FOLDS):
        left = y - _fitted(alone, y, fold != out)[1]  # (texts, numbers), what is left open
        weights = _fitted(x, left, fold != out)[0]  # (classes of all sources, numbers)
        for part, block, own in zip(parts, blocks, np.split(weights, ends), strict=True):
            part[fold == out] = ((block[fold == out] @ own) * left[fold == out]).sum(1)
    return {name: part / variance for name, part in zip(said, parts, strict=True)}


def _fitted(x: np.ndarray, y: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What a ridge regression of y (texts, numbers) on x (texts, features) learns from some of the texts.

    Returns:
        Its weights (features, numbers), and what it says of all texts, (texts, numbers).
    """
    from sklearn.linear_model import RidgeCV  # takes a second, which runs without it need not spend

    found = RidgeCV(alphas=_PENALTIES).fit(x[rows], y[rows])
    return found.coef_.reshape(y.shape[1], -1).T, found.predict(x).reshape(y.shape)


def _standard(answers: np.ndarray) -> np.ndarray:
    """Answers (texts, classes), each class's centred, all of them divided by their root mean square."""
    centred = answers - answers.mean(0)
    return centred / max(np.sqrt(np.square(centred).mean()), 1e-12)
