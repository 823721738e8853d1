r"""Scores of classes: one label an example, any number of them, or one for every token.

With :math:`P` the share of a label's answers that are right, and :math:`R` the share of its examples that are answered
so, :math:`F_1 = 2PR / (P + R)`; each is 0 where there is nothing to divide by. The values are scikit-learn's.

Of one label an example (or a token) the mean over labels ("macro") leaves out those that are neither answered nor
right anywhere; of label-sets it is over all labels, as scikit-learn has it.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from graphmtl.metrics.answered import Answered

__all__ = [
    "SCORES",
    "accuracy",
    "averaged",
    "balanced_accuracy",
    "matthews",
    "of_each_label",
    "of_label",
    "right_and_answered",
]

SCORES = ("precision", "recall", "f1")

# scikit-learn is imported where it is used: it takes a second that verbs without metrics need not spend.


def accuracy(answered: Answered) -> float:
    """The share of examples, or of tokens, that have the right answer; of label-sets the whole set must be right."""
    right, given = right_and_answered(answered)
    same = right == given  # (examples,), of label-sets (examples, classes)
    return _single((same if same.ndim == 1 else same.all(axis=1)).mean())


def balanced_accuracy(answered: Answered) -> float:
    """The mean over the labels that are right somewhere of the share of their examples that is answered so."""
    from sklearn.metrics import recall_score

    right, given = right_and_answered(answered)
    return _single(recall_score(right, given, labels=np.unique(right), average="macro", zero_division=0))


def matthews(answered: Answered) -> float:
    """The correlation of answers and labels (Gorodkin 2004; with two labels Matthews 1975), from -1 to 1.

    It is 0 where all answers or all labels are the same, as scikit-learn and the GLUE benchmark have it.
    """
    from sklearn.metrics import matthews_corrcoef

    right, given = right_and_answered(answered)
    if np.ptp(right) == 0 or np.ptp(given) == 0:  # scikit-learn says the same, and warns of a single class
        return 0.0
    return _single(matthews_corrcoef(right, given))


def averaged(score: str, average: str | None = None) -> Callable[[Answered], float]:
    """One of `SCORES`, averaged over labels.

    Args:
        score: which.
        average: ``macro``: the mean over labels; ``weighted``: each label counts as often as it is right; ``micro``:
            of all answers at once, which of one label an example is the accuracy. None: that of the ``positive`` label
            alone, where there is one (of two labels the F1 of the GLUE benchmark), else ``macro``.
    """

    def value(answered: Answered) -> float:
        if average is None and answered.positive is not None:
            return of_label(score, answered.positive)(answered)
        if average in ("micro", "weighted"):
            return _single(_scores(answered, average=average)[SCORES.index(score)])
        by_label = np.array([scores[SCORES.index(score)] for scores in of_each_label(answered).values()], np.float32)
        return float((by_label / np.float32(len(by_label))).sum())  # as `_single`

    return value


def of_label(score: str, label: str) -> Callable[[Answered], float]:
    """One of `SCORES`, of a label alone: 0 where it is neither answered nor right anywhere."""

    def value(answered: Answered) -> float:
        scores = _scores(answered, labels=[answered.index_of(label)], average=None)
        return _single(scores[SCORES.index(score)][0])

    return value


def of_each_label(answered: Answered) -> dict[str, tuple[float, float, float, int]]:
    """Precision, recall, F1 and the number of right examples of the labels that "macro" is the mean of, in order."""
    right, given = right_and_answered(answered)
    every = range(len(answered.names))
    labels = [*every] if right.ndim == 2 else sorted({*right.tolist(), *given.tolist()})
    if not labels or not len(right):
        return {}
    columns = _scores(answered, labels=labels, average=None)
    rows = zip(*columns, strict=True)
    return {
        answered.names[label]: (_single(p), _single(r), _single(f), int(n))
        for label, (p, r, f, n) in zip(labels, rows, strict=True)
    }


def right_and_answered(answered: Answered) -> tuple[np.ndarray, np.ndarray]:
    """Labels and answers as indices, (examples,) or (tokens,), or of label-sets (examples, classes) bool."""
    if answered.form != "tags":
        return np.asarray(answered.labels), np.asarray(answered.answers)
    place = {name: i for i, name in enumerate(answered.names)}
    right, given = ([place[tag] for tags in side for tag in tags] for side in (answered.labels, answered.answers))
    return np.array(right, dtype=np.int64), np.array(given, dtype=np.int64)


def _scores(answered: Answered, *, average: str | None, labels: Sequence[int] | None = None) -> tuple[Any, ...]:
    """scikit-learn's precision, recall, F1 and support."""
    from sklearn.metrics import precision_recall_fscore_support

    right, given = right_and_answered(answered)
    if right.ndim == 2:
        labels = range(right.shape[1]) if labels is None else labels
        empty = np.zeros((len(right), 1), dtype=bool)  # scikit-learn takes a single column for two classes
        right, given = np.hstack([right, empty]), np.hstack([given, empty])
    return precision_recall_fscore_support(right, given, labels=labels, average=average, zero_division=0)


def _single(value: float) -> float:
    """In single precision: so the scores were that finished runs chose their epochs by, and a repeated run must too."""
    return float(np.float32(value))
