"""The forms of a wide part (:mod:`graphmtl.training.wide`), each of which learns a linear model of n-grams."""

from collections.abc import Callable, Sequence

import numpy as np
from scipy import sparse

from graphmtl.models.linear import Linear, logistic, seen_columns
from graphmtl.models.wide import BUCKETS

__all__ = ["Augmented", "Told", "learner"]

_PERMUTATIONS = 5  # fits that measure what is read by chance
_SPREAD = 0.1  # deviation of what another task says, beside features whose squares sum to 1 in a text


def learner(features: sparse.csr_matrix, labels: np.ndarray, seed: int) -> Callable[[float], list[Linear]]:
    """What learns, with a C, a logistic regression of the features that any text has."""
    there = seen_columns(features)
    seen = features[:, there]  # (texts, features that any text has)

    def learn(C: float) -> list[Linear]:
        found = logistic(seen, labels, C=C, seed=seed)
        weights = np.zeros((features.shape[1], labels.shape[1]), dtype=np.float32)
        weights[there] = found.weights
        return [Linear(weights, found.intercepts)]

    return learn


class Augmented:
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


class Told:
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
        learn = learner(self._features, labels, seed)

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
            (learned,) = learner(sparse.hstack([self._features, of_others], format="csr"), labels, seed)(C)
            squares.append(np.square(_SPREAD * learned.weights[BUCKETS:]).mean(1).reshape(2, columns))
        own, permuted = np.stack(squares, 1)  # (permutations, columns) each
        return np.sqrt(np.concatenate([own.mean(0, keepdims=True), permuted]))
