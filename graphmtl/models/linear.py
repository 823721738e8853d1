r"""Linear models of sparse features.

A column of labels, of which :math:`y_i` is 1 or -1, is learned by logistic regression,

.. math:: \min_w \tfrac12 \|w\|^2 + C \sum_i \ln(1 + e^{-y_i w^\top x_i})

where :math:`x_i` ends in a 1, and a column of numbers by ridge regression,

.. math:: \min_{w, b} \|w\|^2 + C \sum_i (y_i - w^\top x_i - b)^2

That takes minutes where there are hundreds of thousands of examples and dozens of classes, as of tokens and tags. There
the logistic regression is one of all classes, :math:`p(c) \propto e^{w_c^\top x + b_c}`, learned by AdaGrad (Duchi,
Hazan and Singer, JMLR 2011) in a few passes; in place of a penalty it is stopped early.
"""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.special import softmax

from graphmtl.errors import note
from graphmtl.models.wide import BUCKETS, Ngrams, Wide

__all__ = ["Linear", "logistic", "ridge", "seen_columns", "softmax_passes", "tfidf_rows"]

_MOST = 2000  # passes over the examples, up to the optimum
_RATE, _AT_ONCE = 0.1, 256  # of AdaGrad: learning rate, and examples of a step
_TINY = 1e-12


@dataclass(frozen=True)
class Linear:
    """A linear function of features.

    Attributes:
        weights: (features, columns).
        intercepts: (columns,).
    """

    weights: np.ndarray
    intercepts: np.ndarray

    def __call__(self, features: sparse.csr_matrix) -> np.ndarray:
        """Features (examples, features) to scores (examples, columns)."""
        return features @ self.weights + self.intercepts


def logistic(features: sparse.csr_matrix, labels: np.ndarray, *, C: float, seed: int) -> Linear:
    """A logistic regression of each column of labels, (examples, columns) bool, whose scores are logits.

    A column that is always or never true has the constant logit of Laplace's rule.
    """
    from sklearn.exceptions import ConvergenceWarning  # takes a second, which verbs without it need not spend
    from sklearn.linear_model import LogisticRegression

    weights = np.zeros((features.shape[1], labels.shape[1]))
    intercepts = np.zeros(labels.shape[1])
    for column, own in enumerate(labels.T):
        count = int(own.sum())
        if not 0 < count < len(own):
            intercepts[column] = np.log((count + 1) / (len(own) - count + 1))
            continue
        model = LogisticRegression(C=C, solver="liblinear", dual=True, max_iter=_MOST, random_state=seed)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ConvergenceWarning)
            model.fit(features, own)
        if caught:
            note(f"logistic regression with C = {C:g}: stopped after {_MOST} passes before its optimum")
        weights[:, column], intercepts[column] = model.coef_[0], model.intercept_[0]
    return Linear(weights, intercepts)


def ridge(features: sparse.csr_matrix, values: np.ndarray, *, C: float) -> Linear:
    """A ridge regression of each column of numbers, (examples, columns)."""
    from sklearn.linear_model import Ridge

    model = Ridge(alpha=1 / C, solver="sparse_cg").fit(features, values)
    return Linear(np.atleast_2d(model.coef_).T, np.atleast_1d(model.intercept_))


def seen_columns(features: sparse.csr_matrix) -> np.ndarray:
    """The columns of the features that any example has, and the first where none has any, since a model needs one."""
    found = np.flatnonzero(features.getnnz(0))
    return found if len(found) else np.zeros(1, dtype=np.int64)


def tfidf_rows(part: Wide, ngrams: Ngrams) -> sparse.csr_matrix:
    """What a wide part reads of texts, as the features of a linear model, (texts, BUCKETS)."""
    places = (ngrams.rows.numpy(), ngrams.buckets.numpy())
    return sparse.csr_matrix((part.values(ngrams).numpy(), places), shape=(ngrams.texts, BUCKETS))


def softmax_passes(
    features: sparse.csr_matrix, labels: np.ndarray, *, classes: int, passes: int, seed: int
) -> Iterator[Linear]:
    """A logistic regression of several classes after each pass over the examples, whose scores are logits.

    Args:
        features: (examples, features), each 1 or 0.
        labels: (examples,), the class of each.
        classes: how many there are.
        passes: how many passes.
        seed: of the order of the examples.
    """
    weights, intercepts = np.zeros((features.shape[1], classes)), np.zeros(classes)
    squares = (
        np.full(weights.shape, _TINY),
        np.full(classes, _TINY),
    )  # sums of squared gradients, as weights, intercepts
    rng, targets = np.random.default_rng(seed), np.eye(classes)[labels]  # (examples, classes)
    for _ in range(passes):
        order = rng.permutation(len(labels))
        for rows in np.split(order, range(_AT_ONCE, len(order), _AT_ONCE)):
            batch = features[rows]
            own, places = np.unique(batch.indices, return_inverse=True)  # the features that are seen
            seen = sparse.csr_matrix((batch.data, places, batch.indptr), shape=(len(rows), len(own)))
            p = softmax(seen @ weights[own] + intercepts, axis=1)  # (batch, classes)
            errors = p - targets[rows]  # (batch, classes)
            gradient = seen.T @ errors  # (features that are seen, classes)
            squares[0][own] += gradient**2
            weights[own] -= _RATE * gradient / np.sqrt(squares[0][own])
            squares[1][:] += errors.sum(0) ** 2
            intercepts -= _RATE * errors.sum(0) / np.sqrt(squares[1])
        yield Linear(weights.copy(), intercepts.copy())
