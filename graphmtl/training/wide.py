r"""Learns the wide parts of a model (:mod:`graphmtl.models.wide`), before the graph is trained.

Three forms are learned of each, and the one is kept that has the smallest loss on the task's validation split:

- **augmented**: tasks with the same labels are learned together, with every feature once for all of them and once for
  each, so that the penalty decides what of a weight is common (Daume III, Frustratingly easy domain adaptation, ACL
  2007, section 3);
- **own**: a model of the task's own texts, :math:`W_j x + b_j`;
- **told**: a task, whatever its labels, is learned from the features and from what the own models of all others say of
  the text, standardised and divided by 10, so that the penalty decides from whom it reads. That is stacked
  generalisation (Wolpert, Neural Networks 1992) from task to task, as of targets in Spyromitros-Xioufis et al.,
  Multi-target regression via input space expansion, Machine Learning 2016. What the others say is linear in the
  features too, so that it is one linear model in the end.

Each form's features stand in :mod:`graphmtl.training.wide_forms`. Whom the told models read is a task graph too
(:mod:`graphmtl.training.linear_graph`).

Where tasks are separate models (``single``) each is learned alone. How much the labels weigh against the penalty, C, is
what has the smallest loss on the validation split too. What share the wide part has of the answers is chosen once the
graph is trained (:mod:`graphmtl.training.wide_shares`).
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy import sparse

from graphmtl.data.batching import EncodedSplit, EncodedTask, batches_by_length
from graphmtl.errors import note
from graphmtl.kinds.head import Head
from graphmtl.layers.modes import evaluating
from graphmtl.models.linear import Linear, logistic, tfidf_rows
from graphmtl.models.model import MultiTaskModel
from graphmtl.models.wide import FORMS, Ngrams, Wide, idf_of, joined, ngrams_of
from graphmtl.training.linear_graph import LinearGraph, ToldTask, linear_graph
from graphmtl.training.wide_forms import Augmented, Told, learner

__all__ = ["STRENGTHS", "fit_wide_parts"]

STRENGTHS = (0.25, 1.0, 4.0, 16.0, 64.0)  #: values of C
_TOLD = FORMS.index("told")
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


class _Found(NamedTuple):
    """What a part has learned in one form, and its loss."""

    learned: Linear
    strength: float
    form: str
    loss: float = math.inf


class _Part:
    """The wide part of a task, and what it learns from.

    Attributes:
        features: TF-IDF of the training texts, (texts, BUCKETS).
        labels: which of the scores should be high, (texts, columns) bool.
        strength: the C that an earlier training has chosen; 0: none has.
        form: the form that it has chosen.
        chooses: whether form and C are to be chosen on the validation split; after an earlier training, which the
            validation examples may be in, they are not.
    """

    features: sparse.csr_matrix
    labels: np.ndarray

    def __init__(self, model: MultiTaskModel, name: str, data: EncodedTask):
        special = model.vocabulary.special_ids
        self.wide: Wide = model.wide_part(name)
        self.head: Head = dict(zip(model.tasks, model.heads, strict=True))[name]  # type: ignore[assignment]
        self.train, self.valid = _Texts(data.train, name, special), _Texts(data.valid, name, special)
        self.strength, self.form = self.wide.strength.item(), FORMS[int(self.wide.form)]
        self.chooses = not self.strength and len(self.valid) > 0

    def reads(self, idf: torch.Tensor) -> None:
        """Says what an n-gram counts for, (BUCKETS,)."""
        self.wide.idf.copy_(idf)
        self.features = tfidf_rows(self.wide, self.train.ngrams)
        self.labels = self.train.columns(self.wide)

    def take(self, found: _Found) -> None:
        self.wide.weight.copy_(torch.from_numpy(found.learned.weights))
        self.wide.bias.copy_(torch.from_numpy(found.learned.intercepts))
        self.wide.strength.fill_(found.strength)
        self.wide.form.fill_(FORMS.index(found.form))

    def best(self, found: Sequence[_Found]) -> _Found:
        """What has the smallest loss; where that is not asked for the form of before, or else the first one."""
        if self.chooses:
            return min(found, key=lambda each: each.loss)
        return min(found, key=lambda each: (each.form != self.form, FORMS.index(each.form)))

    @property
    def loss(self) -> float:
        """On the validation split."""
        return self.valid.loss(self.wide, self.head)


@torch.no_grad()
def fit_wide_parts(
    model: MultiTaskModel,
    data: Mapping[str, EncodedTask],
    *,
    seed: int,
    say: Callable[..., Any] = lambda _: None,
    measured: bool = False,
) -> LinearGraph | None:
    """Learns the wide parts of the tasks of ``data``, where the model has any; a task that has none is named.

    Tasks of the model that are not in ``data`` tell the others what they have learned before. Form and C that a part
    has already are kept. A task without validation examples learns in the augmented form, with the C of the tasks with
    its labels that have some, or else 1; where there are no such tasks, of its own texts.

    Args:
        model: on the CPU.
        data: the tasks, with the labels of ``train`` and ``valid``.
        seed: of the order in which the optimiser goes through the examples.
        say: is told what was learned.
        measured: whether it is measured whom the parts read, which takes a few fits of each that is told.

    Returns:
        Whom the parts read; None where none is told by others, or where that is not measured.
    """
    if not model.options.wide:
        return None
    began = perf_counter()
    without = [name for name in data if model.wide_part(name) is None]
    if without:
        note(f"--wide: no wide part for {', '.join(without)}: it is for tasks that label single texts")
    with evaluating(model):  # losses without the weights of classes
        parts = {name: _Part(model, name, own) for name, own in data.items() if name not in without}
        apart: bool = model.architecture.own_encoder_per_task
        before = {name: model.wide_part(name) for name in model.tasks if name not in data and not apart}
        before = {name: wide for name, wide in before.items() if wide is not None and wide.strength}
        for together in [[own] for own in parts.values()] if apart else [[*parts.values()]]:
            _count(together, [*before.values()])
        groups = [] if apart else _groups(model, [*parts])
        known = {name: Linear(wide.weight.numpy(), wide.bias.numpy()) for name, wide in before.items()}
        learned = _learned_forms(parts, groups, [*known.values()], seed)
        for name, found in learned.items():
            parts[name].take(parts[name].best(found))
        own = {name: found[0].learned for name, found in learned.items()}
        told = {
            name: ToldTask(part.features, part.labels, part.wide.strength.item())
            for name, part in parts.items()
            if len(part.train) and part.wide.form == _TOLD
        }
        about = {"arch": model.options.arch, "tasks": tuple(model.tasks)}
        graph = linear_graph(told, known | own, seed=seed, **about) if measured else None
    if parts:
        strengths = sorted({own.wide.strength.item() for own in parts.values()})
        forms = Counter(FORMS[int(own.wide.form)] for own in parts.values())
        listed = ", ".join(f"{count} {form}" for form, count in sorted(forms.items()))
        said = f"{len(parts)} linear models of words ({listed}), C {' and '.join(f'{C:g}' for C in strengths)}"
        say(f"wide: {said}, in {perf_counter() - began:.0f} s")
    return graph


def _learned_forms(
    parts: Mapping[str, _Part], groups: Sequence[Sequence[str]], before: Sequence[Linear], seed: int
) -> dict[str, list[_Found]]:
    """What each part has learned in each form.

    Args:
        parts: the parts.
        groups: those that are learned together; none where tasks are separate models.
        before: models of other tasks.
        seed: of the optimiser.
    """
    found = {name: _chosen([part], "own", learner(part.features, part.labels, seed)) for name, part in parts.items()}
    own = [each[0].learned for each in found.values()]
    told = _fit_told([*parts.values()], own, before, seed) if groups and len(parts) + len(before) > 1 else []
    augmented = [(group, _fit_augmented([parts[name] for name in group], seed)) for group in groups if len(group) > 1]
    for names, more in [(parts, told), *augmented]:
        for name, each in zip(names, more, strict=False):
            found[name].append(each)
    return found


def _groups(model: MultiTaskModel, names: Sequence[str]) -> list[list[str]]:
    """The tasks that have the same labels."""
    every = [*model.tasks]
    groups = [[every[k] for k in group if every[k] in names] for group in model.same_labels()]
    return [group for group in groups if group]


def _count(parts: Sequence[_Part], before: Sequence[Wide]) -> None:
    """Says what an n-gram counts for: what the texts of some parts say, and of others those of before."""
    if not parts:
        return
    idf = idf_of([own.train.ngrams for own in parts])  # (BUCKETS,)
    for wide in before:
        idf = torch.where(idf > 0, idf, wide.idf)
    for own in parts:
        own.reads(idf)


def _fit_augmented(parts: Sequence[_Part], seed: int) -> list[_Found]:
    features = Augmented([own.features for own in parts])
    labels = np.concatenate([own.labels for own in parts])  # (texts, columns)

    def learn(C: float) -> list[Linear]:
        learned = logistic(features.rows, labels, C=C, seed=seed)
        return [Linear(features.weights(learned.weights, k), learned.intercepts) for k in range(len(parts))]

    return _chosen(parts, "augmented", learn)


def _fit_told(parts: Sequence[_Part], own: Sequence[Linear], before: Sequence[Linear], seed: int) -> list[_Found]:
    """Of the models that parts have of their own texts, and of those that others have from before."""
    found = []
    for k, part in enumerate(parts):
        told = Told(part.features, [*before, *own[:k], *own[k + 1 :]])
        found += _chosen([part], "told", told.learner(part.labels, seed))
    return found


def _chosen(parts: Sequence[_Part], form: str, learn: Callable[[float], Sequence[Linear]]) -> list[_Found]:
    """What parts learn with the C that has the smallest loss of them together.

    Where it is not to be chosen it is the one that was chosen before for that form, or else 1; for models of own texts,
    which the others read, the one that was chosen for any.

    Args:
        parts: which learn together.
        form: in which form.
        learn: learns with a C, a linear model for each part.
    """
    before = next((own.strength for own in parts if form in (own.form, "own")), 0.0)
    best: list[_Found] = []
    for C in STRENGTHS if any(own.chooses for own in parts) else (before or 1.0,):
        found = []
        for own, learned in zip(parts, learn(C), strict=True):
            own.take(_Found(learned, C, form))
            found.append(_Found(learned, C, form, own.loss))
        if not best or sum(each.loss for each in found) < sum(each.loss for each in best):
            best = found
    return best
