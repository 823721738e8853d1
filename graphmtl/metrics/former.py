"""Metrics as they are asked for by what still knows the kinds of tasks."""

from collections.abc import Sequence

import numpy as np

from graphmtl.data.kind import NO_LABEL
from graphmtl.data.tags import is_iob2
from graphmtl.data.task import Task
from graphmtl.metrics import named
from graphmtl.metrics.answered import Answered
from graphmtl.metrics.by_class import class_scores

__all__ = ["compute", "compute_correlations", "compute_spans", "scores_by_type"]


def compute(task: Task, answers: Sequence[int], labels: Sequence[int]) -> dict[str, float]:
    """Every metric of a task that classifies texts: answers and labels (examples,)."""
    right, given = np.asarray(labels), np.asarray(answers)  # (examples,)
    answered = Answered(form="classes", labels=right, answers=given, names=task.labels, positive=task.positive)
    return named.compute(task.metrics, answered)


def compute_correlations(task: Task, scores: Sequence[float], labels: Sequence[float]) -> dict[str, float]:
    """Every metric of a regression: scores and labels (examples,)."""
    return named.compute(task.metrics, Answered(form="numbers", labels=labels, answers=scores))


def compute_spans(task: Task, predicted: Sequence[Sequence[int]], labels: Sequence[Sequence[int]]) -> dict[str, float]:
    """Every metric of a task that tags tokens: the tags of each sentence as indices, `NO_LABEL` is left out."""
    return named.compute(task.metrics, _tags(task, predicted, labels))


def scores_by_type(
    task: Task, predicted: Sequence[Sequence[int]], labels: Sequence[Sequence[int]]
) -> dict[str, dict[str, float]]:
    """Precision, recall and F1 of the spans of each type; empty where the tags are no spans."""
    return class_scores(_tags(task, predicted, labels)) if is_iob2(task.labels) else {}


def _tags(task: Task, predicted: Sequence[Sequence[int]], labels: Sequence[Sequence[int]]) -> Answered:
    """The predicted and the right tags by name, without the tokens that have no label."""
    found: list[list[str]] = []
    right: list[list[str]] = []
    for guesses, its in zip(predicted, labels, strict=True):
        kept = [(guess, label) for guess, label in zip(guesses, its, strict=True) if label != NO_LABEL]
        found.append([task.labels[guess] for guess, _ in kept])
        right.append([task.labels[label] for _, label in kept])
    return Answered(form="tags", labels=right, answers=found, names=task.labels, spans=is_iob2(task.labels))
