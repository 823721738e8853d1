"""From the probabilities of classes to what is said of examples: answers, probabilities and losses.

Answers and losses are a model's: those of the head of the same kind of task.
"""

import numpy as np

from graphmtl.baselines.examples import Examples, Said
from graphmtl.data.kind import NO_LABEL

__all__ = ["by_example", "of_choices", "of_classes", "of_label_sets", "of_numbers", "of_tags"]

_LEAST = np.finfo(np.float64).tiny  # so that every label has a loss


def of_classes(p: np.ndarray, examples: Examples) -> Said:
    """One of several classes, ``p`` (examples, classes)."""
    return Said(p.argmax(1), p.astype(np.float32), _losses(p, examples.values))


def of_tags(p: np.ndarray, examples: Examples) -> Said:
    """One of several tags for every token, ``p`` (tokens of all examples, tags)."""
    known = examples.values != NO_LABEL  # (tokens,)
    losses = np.zeros(len(known))
    losses[known] = _losses(p[known], examples.values[known])
    return Said(p.argmax(1), None, by_example(losses, examples.lengths))


def of_choices(scores: np.ndarray, examples: Examples) -> Said:
    """One of an example's own choices, by the logit of each, ``scores`` (choices of all examples,)."""
    counts = np.array([*map(len, examples.rows["choices"])])  # (examples,)
    inside = np.arange(counts.max(initial=0)) < counts[:, None]  # (examples, most choices)
    logits = np.full(inside.shape, -np.inf)
    logits[inside] = scores
    p = np.exp(logits - logits.max(1, keepdims=True, initial=-np.inf))  # (examples, most choices)
    return of_classes(p / p.sum(1, keepdims=True), examples)


def of_label_sets(p: np.ndarray, examples: Examples, *, threshold: float) -> Said:
    """Those of several labels whose probability, ``p`` (examples, classes), is at least a threshold."""
    p = p.astype(np.float32)
    right = np.where(examples.values == 1, p, 1 - p).astype(np.float64)  # (examples, classes)
    losses = -np.log(np.maximum(right, _LEAST)).mean(1)  # (examples,)
    return Said((p >= np.float32(threshold)).astype(np.int64), p, losses)


def of_numbers(scores: np.ndarray, examples: Examples, *, std: float) -> Said:
    """A number, ``scores`` (examples,), within the task's scale.

    Args:
        scores: what is said, which the loss takes as it is.
        examples: of which.
        std: the standard deviation of the training labels, which is the unit of a loss.
    """
    losses = np.square((scores - examples.values) / std)  # (examples,)
    scale = examples.task.scale
    return Said((scores if scale is None else scores.clip(*scale)).astype(np.float32), None, losses)


def by_example(values: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The sums over the tokens of each example, (examples,), of what tokens have, (tokens of all examples,)."""
    return np.bincount(np.repeat(np.arange(len(lengths)), lengths), weights=values, minlength=len(lengths))


def _losses(p: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Minus the logarithm of the labels' probability, (labels,), given ``p`` (labels, classes)."""
    right = np.take_along_axis(p, labels.astype(np.int64)[:, None], axis=1)[:, 0]  # (labels,)
    return -np.log(np.maximum(right, _LEAST))
