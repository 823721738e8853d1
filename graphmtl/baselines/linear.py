r"""Linear models of sparse features.

A column of labels, of which :math:`y_i` is 1 or -1, is learned by logistic regression,

.. math:: \min_w \tfrac12 \|w\|^2 + C \sum_i \ln(1 + e^{-y_i w^\top x_i})

where :math:`x_i` ends in a 1, and a column of numbers by ridge regression,

.. math:: \min_{w, b} \|w\|^2 + C \sum_i (y_i - w^\top x_i - b)^2
"""

import warnings
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge

from graphmtl.errors import note

__all__ = ["Linear", "logistic", "ridge"]

_MOST = 2000  # passes over the examples


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
    """A ridge regression of numbers, (examples,)."""
    model = Ridge(alpha=1 / C, solver="sparse_cg").fit(features, values)
    return Linear(model.coef_[:, None], np.array([model.intercept_]))
