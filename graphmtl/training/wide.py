"""Learns the wide parts of a model (:mod:`graphmtl.models.wide`), before the graph is trained.

Tasks with the same labels are learned together, with every feature once for all of them and once for each, so that the
penalty decides what of a weight is common (Daume III, Frustratingly easy domain adaptation, ACL 2007, section 3); where
tasks are separate models (``single``) each is learned alone. How much the labels weigh against the penalty, C, is what
has the smallest loss on the validation split.
"""

from collections.abc import Callable, Mapping, Sequence
from time import perf_counter
from typing import Any

import numpy as np
import torch
from scipy import sparse

from graphmtl.data.batching import EncodedSplit, EncodedTask, batches_by_length
from graphmtl.errors import note
from graphmtl.kinds.head import Head
from graphmtl.models.linear import Linear, logistic, tfidf_rows
from graphmtl.models.model import MultiTaskModel
from graphmtl.models.wide import BUCKETS, Ngrams, Wide, idf_of, joined, ngrams_of

__all__ = ["STRENGTHS", "fit_wide_parts"]

STRENGTHS = (0.25, 1.0, 4.0, 16.0, 64.0)  #: values of C
_TEXTS_AT_ONCE = 512


class _Texts:
    """The labelled texts of a split of a task: their n-grams, and their labels (texts, ...)."""

    def __init__(self, split: EncodedSplit, task: str, special: Sequence[int]):
        rows = np.flatnonzero(split.counts[task])  # (texts,)
        found: list[Ngrams] = []
        labels = []
        for places in batches_by_length(split.lengths[rows], _TEXTS_AT_ONCE):
            batch = split.batch(rows[places], tasks=[task])
            found.append(ngrams_of(batch, special))
            labels.append(batch.labels[task])
        self.labels = torch.cat(labels) if labels else torch.empty(0, dtype=torch.int64)
        self.ngrams = joined(found)

    def __len__(self) -> int:
        return self.ngrams.texts

    def columns(self, part: Wide) -> np.ndarray:
        """Which of the part's scores should be high, (texts, columns) bool."""
        if part.separate:
            return self.labels.numpy() == 1
        columns = part.weight.size(1)
        return self.labels.numpy()[:, None] == (np.arange(columns) if columns > 1 else np.array([1]))

    def loss(self, part: Wide, head: Head) -> float:
        """The sum over the texts of the losses of the part's own answers."""
        if not len(self):
            return 0.0
        return float(head.losses(part(self.ngrams), self.labels, torch.ones(len(self))).sum())


@torch.no_grad()
def fit_wide_parts(
    model: MultiTaskModel, data: Mapping[str, EncodedTask], *, seed: int, say: Callable[..., Any] = lambda _: None
) -> None:
    """Learns the wide parts of the tasks of ``data``, where the model has any; a task that has none is named.

    Where no task of a group has a validation example, the C is the one that its part has already, or else 1.

    Args:
        model: on the CPU.
        data: the tasks, with the labels of ``train`` and ``valid``.
        seed: of the order in which the optimiser goes through the examples.
        say: is told what was learned.
    """
    if not model.options.wide:
        return
    began = perf_counter()
    parts = {name: model.wide_part(name) for name in data}
    without = [name for name, part in parts.items() if part is None]
    if without:
        note(f"--wide: no wide part for {', '.join(without)}: it is for tasks that label single texts")
    training = model.training
    model.eval()  # losses without the weights of classes
    for group in _groups(model, [name for name in data if name not in without]):
        _fit(model, group, data, seed)
    model.train(training)
    strengths = sorted({part.strength.item() for part in parts.values() if part is not None})
    if strengths:
        said = f"{len(parts) - len(without)} linear models of words, C {' and '.join(f'{C:g}' for C in strengths)}"
        say(f"wide: {said}, in {perf_counter() - began:.0f} s")


def _groups(model: MultiTaskModel, names: Sequence[str]) -> list[list[str]]:
    """The tasks that are learned together."""
    if model.architecture.own_encoder_per_task:
        return [[name] for name in names]
    every = [*model.tasks]
    groups = [[every[k] for k in group if every[k] in names] for group in model.same_labels()]
    return [group for group in groups if group]


def _fit(model: MultiTaskModel, tasks: Sequence[str], data: Mapping[str, EncodedTask], seed: int) -> None:
    parts: dict[str, Wide] = {name: model.wide_part(name) for name in tasks}
    heads: dict[str, Any] = dict(zip(model.tasks, model.heads, strict=True))
    special = model.vocabulary.special_ids
    train, valid = (
        {name: _Texts(getattr(data[name], split), name, special) for name in tasks} for split in ("train", "valid")
    )
    idf = idf_of([own.ngrams for own in train.values()])
    for part in parts.values():
        part.idf.copy_(idf)
    features = _Augmented([tfidf_rows(parts[name], own.ngrams) for name, own in train.items()])
    labels = np.concatenate([own.columns(parts[name]) for name, own in train.items()])  # (texts, columns)
    chosen = next(iter(parts.values())).strength.item()
    best: tuple[float, float, Linear] | None = None
    for C in STRENGTHS if any(map(len, valid.values())) else (chosen or 1.0,):
        learned = logistic(features.rows, labels, C=C, seed=seed)
        _take(parts, features, learned, C)
        loss = sum(own.loss(parts[name], heads[name]) for name, own in valid.items())
        if best is None or loss < best[0]:
            best = loss, C, learned
    assert best is not None
    _take(parts, features, best[2], best[1])


class _Augmented:
    """The features of each task's texts below one another, and behind them for each of several tasks a copy of its own.

    Args:
        features: of each task, (texts, BUCKETS).

    Attributes:
        rows: (texts of all tasks, features); what no text has is none of them.
    """

    def __init__(self, features: Sequence[sparse.csr_matrix]):
        stacked = sparse.vstack(features, format="csr")  # (texts of all tasks, BUCKETS)
        self._common = np.flatnonzero(stacked.getnnz(0))
        self._own = [np.flatnonzero(each.getnnz(0)) for each in features] if len(features) > 1 else []
        copies = [each[:, own] for each, own in zip(features, self._own, strict=False)]
        self.rows = sparse.hstack([stacked[:, self._common], *_diagonal(copies)], format="csr")

    def weights(self, learned: np.ndarray, task: int) -> np.ndarray:
        """Those of a task's n-grams, (BUCKETS, columns), of those of all features, (features, columns)."""
        found = np.zeros((BUCKETS, learned.shape[1]))
        found[self._common] = learned[: len(self._common)]
        if self._own:
            begin = len(self._common) + sum(map(len, self._own[:task]))
            found[self._own[task]] += learned[begin : begin + len(self._own[task])]
        return found


def _diagonal(blocks: Sequence[sparse.csr_matrix]) -> list[sparse.csr_matrix]:
    return [sparse.block_diag(blocks)] if blocks else []


def _take(parts: Mapping[str, Wide], features: _Augmented, learned: Linear, strength: float) -> None:
    """Gives each task's part its weights."""
    for k, part in enumerate(parts.values()):
        part.weight.copy_(torch.from_numpy(features.weights(learned.weights, k)))
        part.bias.copy_(torch.from_numpy(learned.intercepts))
        part.strength.fill_(strength)
