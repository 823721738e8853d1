"""What a task's own training texts say of its labels when no other task is at hand: a linear model of words.

Labels as numbers are learned by ridge regression from TF-IDF of words and of pairs of neighbours, those of
:mod:`graphmtl.models.wide`; of a transformer from its pieces. It takes a second where there are a few thousand texts
and two labels, and where texts are few it is hard to beat by anything that learns from them alone.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from graphmtl.data.batching import Batch, EncodedSplit, batches_by_length
from graphmtl.data.kind import NO_LABEL
from graphmtl.layers.pooling import token_mask
from graphmtl.models.model import MultiTaskModel
from graphmtl.models.wide import Ngrams, Wide, idf_of, joined, ngrams_of

__all__ = ["Alone", "label_numbers"]

_MOST = 10_000  # training texts: of more it hardly learns more
_STRENGTHS = (0.25, 1.0, 4.0, 16.0, 64.0)
_CHOSEN_ON = 500  # training texts: the time grows with the cube of their number, and more choose the same
_AT_ONCE = 512


class Alone:
    """What the training texts of one task say of its labels.

    How much the labels weigh against the penalty is what has the smallest squared error on texts that are left out one
    at a time. Of a task without labelled training texts nothing is said, which is zeros.

    Args:
        model: whose words are read, and whose task it is; its weights play no part.
        train: the training split.
        task: the task's name.
        seed: draws 10,000 texts where there are more, and the 500 by which the penalty is chosen.
    """

    def __init__(self, model: MultiTaskModel, train: EncodedSplit, task: str, *, seed: int):
        self._special = model.vocabulary.special_ids
        ngrams, y = self._texts(model, train, task, seed)
        self._part = Wide(columns=y.shape[1], separate=True)
        if len(y):
            self._learn(ngrams, y, seed)

    def __call__(self, batch: Batch) -> Tensor:
        """What is said of the labels of texts, as `label_numbers` has them: (batch, numbers), on the CPU."""
        return self._part(ngrams_of(batch.to("cpu"), self._special))

    def _texts(self, model: MultiTaskModel, train: EncodedSplit, task: str, seed: int) -> tuple[Ngrams, np.ndarray]:
        """The labelled training texts, and their labels (texts, numbers)."""
        rows = np.random.default_rng(seed).permutation(np.flatnonzero(train.counts[task]))[:_MOST]
        found, y = list[Ngrams](), list[Tensor]()
        for places in batches_by_length(train.lengths[rows], _AT_ONCE):
            batch = train.batch(rows[places], tasks=[task])
            found.append(ngrams_of(batch, self._special))
            y.append(label_numbers(model, batch, task)[0])
        none = torch.zeros(0, max(1, len(model.tasks[task].labels)))
        return joined(found), torch.cat([*y] or [none]).double().numpy()

    @torch.no_grad()
    def _learn(self, ngrams: Ngrams, y: np.ndarray, seed: int) -> None:
        # take a second, which runs without it need not spend
        from sklearn.linear_model import RidgeCV
        from threadpoolctl import threadpool_limits

        from graphmtl.models.linear import ridge, seen_columns, tfidf_rows

        self._part.idf.copy_(idf_of([ngrams]))
        features = tfidf_rows(self._part, ngrams)  # (texts, places)
        there = seen_columns(features)
        features = features[:, there]
        some = np.random.default_rng(seed).permutation(len(y))[:_CHOSEN_ON]
        penalties = [1 / C for C in _STRENGTHS]
        with threadpool_limits(1):  # where others work too, a second thread costs many times what it brings
            # of one text none can be left out
            penalty = RidgeCV(penalties).fit(features[some], y[some]).alpha_ if len(y) > 1 else max(penalties)
        learned = ridge(features, y, C=1 / penalty)
        self._part.weight[there] = torch.from_numpy(learned.weights).float()
        self._part.bias.copy_(torch.from_numpy(learned.intercepts))


def label_numbers(model: MultiTaskModel, batch: Batch, task: str) -> tuple[Tensor, Tensor]:
    """A task's labels as numbers, (batch, numbers), and which texts have one, (batch,).

    1 for the right class and 0 for the others; of tags each one's share of a text; scores as they are.
    """
    assert batch.labels is not None
    labels, own = batch.labels[task], model.tasks[task]
    position = [*model.tasks].index(task)
    known = model.heads[position].counts(labels) > 0  # (batch,)
    if own.of_kind.form == "numbers":
        return labels.unsqueeze(-1), known
    if own.of_kind.form == "label-sets":
        return labels.double(), known
    one_hot = F.one_hot(labels.clamp_min(0), len(own.labels)).double()  # (batch, classes), of tags (batch, tokens, ...)
    if not own.of_kind.labels_tokens:
        return one_hot, known
    there = (labels != NO_LABEL) & token_mask(batch.lengths, labels)  # (batch, tokens)
    counts = there.sum(1, keepdim=True).clamp_min(1)  # (batch, 1)
    return (one_hot * there.unsqueeze(-1)).sum(1) / counts, known
