"""Scores of the probabilities that a model gives its answers; nan where some are nan, as of a failed training."""

import math

import numpy as np

from graphmtl.metrics.answered import Answered

__all__ = ["auc", "ece", "measured", "probabilities_and_right"]

_BINS = 15


def auc(answered: Answered) -> float:
    """The area under the ROC curve: how often a right example has a larger probability than a wrong one (ties half).

    It is that of the ``positive`` label against the others, where there is one; else with two classes that of the
    second, as scikit-learn has it; with more, and of label-sets, the mean over labels of each one against the others
    (its ``multi_class="ovr", average="macro"``). Labels that no example has, or all have, are left out of the mean; nan
    where none is left.
    """
    from sklearn.metrics import roc_auc_score

    probabilities, right = probabilities_and_right(answered)  # (examples, classes)
    if np.isnan(probabilities).any():
        return math.nan
    areas = [
        roc_auc_score(right[:, i], probabilities[:, i])
        for i in measured(answered)
        if right[:, i].any() and not right[:, i].all()
    ]
    return float(np.mean(areas)) if areas else math.nan


def measured(answered: Answered) -> list[int]:
    """The labels whose areas :func:`auc` is the mean of."""
    if answered.positive is not None:
        return [answered.index_of(answered.positive)]
    if answered.form == "classes" and len(answered.names) == 2:
        return [1]
    return [*range(len(answered.names))]


def ece(answered: Answered) -> float:
    r"""The expected calibration error, in 15 bins of equal width (Guo et al. 2017, equation 3); 0 is the best.

    .. math:: \mathrm{ECE} = \sum_b \frac{n_b}{n} \left| \mathrm{right}_b - \mathrm{confidence}_b \right|

    Bin b holds the n_b answers whose confidence is in ((b - 1) / 15, b / 15]; the share right_b of them is right. Of
    classes and choices the confidence is the largest probability of an example. Of label-sets every label of every
    example counts: its confidence is its probability, and it is right where the example has it.
    """
    probabilities, right = probabilities_and_right(answered)  # (examples, classes)
    if np.isnan(probabilities).any():
        return math.nan
    if answered.form != "label-sets":
        rows, top = np.arange(len(right)), probabilities.argmax(axis=1)  # (examples,)
        probabilities, right = probabilities[rows, top], right[rows, top]
    confidence, correct = probabilities.ravel(), right.ravel().astype(float)  # (answers,)
    bins = np.clip(np.ceil(confidence * _BINS).astype(int) - 1, 0, _BINS - 1)  # (answers,)
    gaps = np.bincount(bins, weights=correct - confidence, minlength=_BINS)  # (bins,), n_b times the difference
    return float(np.abs(gaps).sum() / len(confidence))


def probabilities_and_right(answered: Answered) -> tuple[np.ndarray, np.ndarray]:
    """The probabilities, (examples, classes) double, and which labels each example has, (examples, classes) bool."""
    if answered.probabilities is None:
        raise ValueError("probabilities: found None, expected those of every example")
    probabilities, labels = np.asarray(answered.probabilities, dtype=np.float64), np.asarray(answered.labels)
    right = labels.astype(bool) if labels.ndim == 2 else labels[:, None] == np.arange(probabilities.shape[1])
    return probabilities, right
