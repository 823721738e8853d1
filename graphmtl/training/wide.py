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

Whom the told models read is a task graph too (:class:`LinearGraph`). Its weights are measured in a few more fits, with
each column of what others say a second time, its texts permuted: what is read of those is what is read by chance, and
how much that is depends on the task and its C, so that it is the unit.

Where tasks are separate models (``single``) each is learned alone. How much the labels weigh against the penalty, C, is
what has the smallest loss on the validation split too, and so is, once the graph is trained, the share that the wide
part has of a task's answers.
"""

import math
import textwrap
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy import sparse

from graphmtl.data.batching import EncodedSplit, EncodedTask, batches_by_length
from graphmtl.errors import note
from graphmtl.graph.edge import Edge
from graphmtl.graph.task_graph import TaskGraph
from graphmtl.kinds.head import Head
from graphmtl.models.linear import Linear, logistic, seen_columns, tfidf_rows
from graphmtl.models.model import MultiTaskModel
from graphmtl.models.wide import BUCKETS, FORMS, Ngrams, Wide, idf_of, joined, ngrams_of
from graphmtl.training.evaluation import Predictions

__all__ = ["SHARES", "STRENGTHS", "LinearGraph", "choose_shares", "fit_wide_parts"]

STRENGTHS = (0.25, 1.0, 4.0, 16.0, 64.0)  #: values of C
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)  #: of a task's answers
_SPREAD = 0.1  # deviation of what another task says, beside features whose squares sum to 1 in a text
_TEXTS_AT_ONCE = 512
_PERMUTATIONS = 5  # fits that measure what is read by chance


class LinearGraph(NamedTuple):
    """Whom the linear models of a model read that are told by others.

    A weight is the logits that a standard deviation of what the source says is worth to the target, the root mean
    square over the labels of both, divided by the same of what all sources say of other texts: 1 is chance.

    Attributes:
        graph: of what the sources say.
        permuted: of what they say of other texts.
    """

    graph: TaskGraph
    permuted: TaskGraph


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
    training = model.training
    model.eval()  # losses without the weights of classes
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
    graph = _linear_graph(model, parts, known | own, seed) if measured else None
    model.train(training)
    if parts:
        strengths = sorted({own.wide.strength.item() for own in parts.values()})
        forms = Counter(FORMS[int(own.wide.form)] for own in parts.values())
        listed = ", ".join(f"{count} {form}" for form, count in sorted(forms.items()))
        said = f"{len(parts)} linear models of words ({listed}), C {' and '.join(f'{C:g}' for C in strengths)}"
        say(f"wide: {said}, in {perf_counter() - began:.0f} s")
    return graph


def _linear_graph(
    model: MultiTaskModel, parts: Mapping[str, _Part], known: Mapping[str, Linear], seed: int
) -> LinearGraph | None:
    """Whom the parts read that are told by others.

    Args:
        model: what the parts are of.
        parts: they have learned.
        known: the models of own texts, and those from before, all of which tell each other's targets.
        seed: of the optimiser, and of what is permuted.
    """
    edges: tuple[list[Edge], list[Edge]] = ([], [])
    for target, part in parts.items():
        if FORMS[int(part.wide.form)] != "told" or not len(part.train):
            continue
        sources = {name: own for name, own in known.items() if name != target}
        told = _Told(part.features, [*sources.values()])
        ends = np.cumsum([own.weights.shape[1] for own in sources.values()])[:-1]
        squares = np.square(told.read(part.labels, part.wide.strength.item(), seed))  # (1 + permutations, columns)
        of_sources = zip(sources, np.split(squares, ends, axis=1), np.split(told.varies, ends), strict=True)
        read = {name: own[:, varies].mean(1) for name, own, varies in of_sources if varies.any()}
        by_chance = np.mean([own[1:] for own in read.values()]) if read else 0.0
        for source, own in read.items() if by_chance else ():
            for found, weight in zip(edges, np.sqrt(own[:2] / by_chance).tolist(), strict=True):
                found.append(Edge(source=source, target=target, weight=weight, std=0.0, count=len(part.train)))
    if not edges[0]:
        return None
    about: dict[str, Any] = {"arch": model.options.arch, "tasks": tuple(model.tasks), "split": "train", "seed": seed}
    return LinearGraph(*(TaskGraph(**about, edges=tuple(found)) for found in edges))


@torch.no_grad()
def choose_shares(
    model: MultiTaskModel,
    predict: Callable[[], Mapping[str, Predictions]],
    names: Iterable[str],
    *,
    say: Callable[..., Any] = lambda _: None,
) -> None:
    """Gives each wide part the share of its task's answers that has the smallest loss; equal ones where all are alike.

    Args:
        model: trained.
        predict: what it says of the validation split.
        names: the tasks whose parts choose.
        say: is told what was chosen.
    """
    parts: dict[str, Wide] = {name: model.wide_part(name) for name in names}
    parts = {name: own for name, own in parts.items() if own is not None and own.strength}
    if not parts:
        return
    losses: dict[str, dict[float, float]] = {name: {} for name in parts}
    for share in SHARES:
        for own in parts.values():
            own.share.fill_(share)
        for name, predictions in predict().items():
            if name in parts:
                losses[name][share] = predictions.losses.sum()
    for name, own in parts.items():
        own.share.fill_(min((loss, abs(share - 0.5), share) for share, loss in losses[name].items())[-1])
    for name, predictions in predict().items():
        if name in parts:
            model.choose(name, predictions)  # such as a threshold, which depends on it
    listed = ", ".join(f"{name} {own.share.item():g}" for name, own in parts.items())
    say(textwrap.fill(f"wide: its share of the answers: {listed}", 80, subsequent_indent="  ", break_long_words=False))


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
    found = {name: _chosen([part], "own", _learner(part.features, part.labels, seed)) for name, part in parts.items()}
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
    features = _Augmented([own.features for own in parts])
    labels = np.concatenate([own.labels for own in parts])  # (texts, columns)

    def learn(C: float) -> list[Linear]:
        learned = logistic(features.rows, labels, C=C, seed=seed)
        return [Linear(features.weights(learned.weights, k), learned.intercepts) for k in range(len(parts))]

    return _chosen(parts, "augmented", learn)


def _fit_told(parts: Sequence[_Part], own: Sequence[Linear], before: Sequence[Linear], seed: int) -> list[_Found]:
    """Of the models that parts have of their own texts, and of those that others have from before."""
    found = []
    for k, part in enumerate(parts):
        told = _Told(part.features, [*before, *own[:k], *own[k + 1 :]])
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


def _learner(features: sparse.csr_matrix, labels: np.ndarray, seed: int) -> Callable[[float], list[Linear]]:
    """What learns, with a C, a logistic regression of the features that any text has."""
    there = seen_columns(features)
    seen = features[:, there]  # (texts, features that any text has)

    def learn(C: float) -> list[Linear]:
        found = logistic(seen, labels, C=C, seed=seed)
        weights = np.zeros((features.shape[1], labels.shape[1]), dtype=np.float32)
        weights[there] = found.weights
        return [Linear(weights, found.intercepts)]

    return learn


class _Told:
    """Features, and what other tasks' models say of the texts, standardised and divided by 10.

    Args:
        features: (texts, BUCKETS).
        others: the models of the other tasks.

    Attributes:
        varies: whether what a column says differs between the texts, (their columns,); what does not is left out.
    """

    def __init__(self, features: sparse.csr_matrix, others: Sequence[Linear]):
        self._weights = np.concatenate([own.weights for own in others], 1)  # (BUCKETS, their columns)
        said = features @ self._weights  # (texts, their columns)
        self._mean, spread = (said.mean(0), said.std(0)) if len(said) else np.zeros((2, said.shape[1]))
        self.varies = spread > 1e-6
        self._scale = np.divide(_SPREAD, spread, out=np.zeros_like(spread), where=self.varies)
        self._said = sparse.csr_matrix((said - self._mean) * self._scale)  # (texts, their columns)
        self._features = sparse.hstack([features, self._said], format="csr")

    def learner(self, labels: np.ndarray, seed: int) -> Callable[[float], list[Linear]]:
        """What learns, with a C, the linear model of the features alone that says the same."""
        learn = _learner(self._features, labels, seed)

        def told(C: float) -> list[Linear]:
            (both,) = learn(C)
            own, others = both.weights[:BUCKETS], both.weights[BUCKETS:] * self._scale[:, None]
            return [Linear(own + self._weights @ others, both.intercepts - self._mean @ others)]

        return told

    def read(self, labels: np.ndarray, C: float, seed: int) -> np.ndarray:
        """The logits that a deviation of each column is worth, and below it of the same of other texts, a few times.

        (1 + permutations, columns), the root mean square over the columns of the labels, and in the first row over the
        fits, each of which has other texts beside the right ones.
        """
        rng, columns = np.random.default_rng(seed), self._said.shape[1]
        squares = []
        for _ in range(_PERMUTATIONS):
            of_others = sparse.csr_matrix(rng.permuted(self._said.toarray(), axis=0))  # each column by itself
            (learned,) = _learner(sparse.hstack([self._features, of_others], format="csr"), labels, seed)(C)
            squares.append(np.square(_SPREAD * learned.weights[BUCKETS:]).mean(1).reshape(2, columns))
        own, permuted = np.stack(squares, 1)  # (permutations, columns) each
        return np.sqrt(np.concatenate([own.mean(0, keepdims=True), permuted]))


class _Augmented:
    """The features of each task's texts below one another, and behind them for each of several tasks a copy of its own.

    Args:
        features: of each task, (texts, BUCKETS).

    Attributes:
        rows: (texts of all tasks, features); what no text has is none of them.
    """

    def __init__(self, features: Sequence[sparse.csr_matrix]):
        stacked = sparse.vstack(features, format="csr")  # (texts of all tasks, BUCKETS)
        self._common = seen_columns(stacked)
        self._own = [np.flatnonzero(each.getnnz(0)) for each in features] if len(features) > 1 else []
        copies = [each[:, own] for each, own in zip(features, self._own, strict=False)]
        self.rows = sparse.hstack([stacked[:, self._common], *_diagonal(copies)], format="csr")

    def weights(self, learned: np.ndarray, task: int) -> np.ndarray:
        """Those of a task's n-grams, (BUCKETS, columns), of those of all features, (features, columns)."""
        found = np.zeros((BUCKETS, learned.shape[1]), dtype=np.float32)
        found[self._common] = learned[: len(self._common)]
        if self._own:
            begin = len(self._common) + sum(map(len, self._own[:task]))
            found[self._own[task]] += learned[begin : begin + len(self._own[task])]
        return found


def _diagonal(blocks: Sequence[sparse.csr_matrix]) -> list[sparse.csr_matrix]:
    return [sparse.block_diag(blocks)] if blocks else []
