"""Scores of a task's predictions, by the names that ``metrics.json`` uses."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from graphmtl.data.kind import NO_LABEL
from graphmtl.data.tags import is_iob2, spans
from graphmtl.data.task import Task

__all__ = ["METRIC_FUNCTIONS", "compute", "compute_correlations", "compute_spans", "scores_by_type"]

# torchmetrics and seqeval are imported where they are used: it takes seconds that verbs without metrics need not spend.


def _accuracy(predictions: Tensor, labels: Tensor, task: Task) -> Tensor:
    from torchmetrics.functional.classification import multiclass_accuracy

    return multiclass_accuracy(predictions, labels, num_classes=len(task.labels), average="micro")


def _f1(predictions: Tensor, labels: Tensor, task: Task) -> Tensor:
    from torchmetrics.functional.classification import multiclass_f1_score

    classes = len(task.labels)
    if task.positive is None:
        return multiclass_f1_score(predictions, labels, num_classes=classes, average="macro")
    by_label = multiclass_f1_score(predictions, labels, num_classes=classes, average="none")  # (classes,)
    return by_label[task.labels.index(task.positive)]


def _matthews(predictions: Tensor, labels: Tensor, task: Task) -> Tensor:
    from torchmetrics.functional.classification import multiclass_matthews_corrcoef

    if predictions.unique().numel() == 1 or labels.unique().numel() == 1:  # torchmetrics gives other values here
        return torch.tensor(0.0)
    return multiclass_matthews_corrcoef(predictions, labels, num_classes=len(task.labels))


METRIC_FUNCTIONS: dict[str, Callable[[Tensor, Tensor, Task], Tensor]] = {
    "accuracy": _accuracy,
    "f1": _f1,
    "matthews": _matthews,
}
"""Predicted labels (examples,), right labels (examples,) and the task to a value, ()."""


def compute(task: Task, logits: Tensor, labels: Tensor) -> dict[str, float]:
    r"""Every metric of a task, in the task's order.

    - ``accuracy``: share of examples whose predicted label is the right one.
    - ``f1``: of a task that has a ``positive`` label :math:`2PR / (P + R)` of that label alone, 0 where it is neither
      predicted nor right anywhere (the F1 of the GLUE benchmark); else the unweighted mean over the labels (macro F1),
      with two labels as with more, without those that are neither predicted nor right anywhere.
    - ``matthews``: correlation of predicted and right labels (Gorodkin 2004; with two labels Matthews 1975), from -1
      to 1; 0 where all predictions or all labels are the same, as scikit-learn and the GLUE benchmark have it.

    Args:
        task: the task; ``task.metrics`` says what is computed, ``task.labels`` how many classes there are.
        logits: (examples, classes), float.
        labels: (examples,), int64.

    Returns:
        ``{METRIC: value}``; every value is ``nan`` where there is no example at all.
    """
    if len(labels) == 0:
        return dict.fromkeys(task.metrics, float("nan"))
    predictions = torch.as_tensor(logits)  # (examples,)
    labels = torch.as_tensor(labels)  # (examples,)
    values = {name: METRIC_FUNCTIONS[name](predictions, labels, task) for name in task.metrics}
    return {name: _rounded(value) for name, value in values.items()}


def compute_correlations(task: Task, scores: Tensor, labels: Tensor) -> dict[str, float]:
    """Every metric of a regression, in the task's order.

    - ``pearson``: the linear correlation of predicted and right scores.
    - ``spearman``: the same of their ranks; equal scores have the mean of their ranks.

    Both are from -1 to 1, and 0 where all predictions or all labels are the same.

    Args:
        task: the task; ``task.metrics`` says what is computed.
        scores: (examples,), float, the predicted scores.
        labels: (examples,), float, the right ones.

    Returns:
        ``{METRIC: value}``; every value is ``nan`` where there is no example at all.
    """
    from torchmetrics.functional.regression import pearson_corrcoef

    if len(labels) == 0:
        return dict.fromkeys(task.metrics, math.nan)
    scores, labels = torch.as_tensor(scores), torch.as_tensor(labels)
    if scores.unique().numel() == 1 or labels.unique().numel() == 1:
        return dict.fromkeys(task.metrics, 0.0)
    pairs = {"pearson": (scores.double(), labels.double()), "spearman": (_ranks(scores), _ranks(labels))}
    return {name: _rounded(pearson_corrcoef(*map(_standardised, pairs[name]))) for name in task.metrics}


def _ranks(values: Tensor) -> Tensor:
    """The rank of each value (examples,), equal ones with their mean (torchmetrics' own Spearman is off by 1e-6)."""
    _, place, counts = values.unique(return_inverse=True, return_counts=True)
    return (counts.cumsum(0) - (counts.double() - 1) / 2)[place]


def _standardised(values: Tensor) -> Tensor:
    """With mean 0 and standard deviation 1, which changes no correlation: torchmetrics warns of small variances."""
    return (values - values.mean()) / values.std()


def compute_spans(task: Task, predicted: Sequence[Sequence[int]], labels: Sequence[Sequence[int]]) -> dict[str, float]:
    """Every metric of a task that tags tokens, in the task's order.

    - ``span_precision``, ``span_recall``, ``span_f1``: of spans over all types, a span is right where its type and both
      ends are (seqeval's default mode; the scores of conlleval). 0 where there is nothing to divide by.
    - ``accuracy``: share of tokens whose tag is the right one.

    Args:
        task: the task; ``task.metrics`` says what is computed, ``task.labels`` are the tags.
        predicted: the predicted tag of each token of each sentence, an index into ``task.labels``.
        labels: the right ones; a token whose label is -100 is left out.

    Returns:
        ``{METRIC: value}``; every value is ``nan`` where no token has a label.
    """
    found, right = _tags(task, predicted, labels)
    pairs = [pair for sentence in zip(found, right, strict=True) for pair in zip(*sentence, strict=True)]
    if not pairs:
        return dict.fromkeys(task.metrics, math.nan)
    values = {"accuracy": sum(tag == expected for tag, expected in pairs) / len(pairs)}
    if is_iob2(task.labels):
        from seqeval.metrics.sequence_labeling import precision_recall_fscore_support

        scores = precision_recall_fscore_support(right, found, average="micro", zero_division=0)
        values |= dict(zip(("span_precision", "span_recall", "span_f1"), scores, strict=False))
    return {name: _rounded(values[name]) for name in task.metrics}


def scores_by_type(
    task: Task, predicted: Sequence[Sequence[int]], labels: Sequence[Sequence[int]]
) -> dict[str, dict[str, float]]:
    """Precision, recall and F1 of the spans of each type; arguments as of `compute_spans`.

    Returns:
        ``{TYPE: {"precision", "recall", "f1", "spans"}}`` in alphabetical order, for every type that is predicted or
        right somewhere; ``spans`` is how many right ones there are. Empty where the tags are no spans.
    """
    if not is_iob2(task.labels):
        return {}
    from seqeval.metrics.sequence_labeling import precision_recall_fscore_support

    found, right = _tags(task, predicted, labels)
    types = sorted({kind for tags in (*found, *right) for kind, _, _ in spans(tags)})
    columns = precision_recall_fscore_support(right, found, average=None, zero_division=0)
    return {
        kind: {"precision": _rounded(p), "recall": _rounded(r), "f1": _rounded(f), "spans": int(n)}
        for kind, p, r, f, n in zip(types, *columns, strict=True)
    }


def _rounded(value: float | Tensor) -> float:
    """0.85, not float32's 0.8500000238."""
    return round(float(value), 7)


def _tags(task: Task, predicted: Sequence, labels: Sequence) -> tuple[list[list[str]], list[list[str]]]:
    """The predicted and the right tags by name, without the tokens that have no label."""
    found: list[list[str]] = []
    right: list[list[str]] = []
    for guesses, its in zip(predicted, labels, strict=True):
        kept = [(guess, label) for guess, label in zip(guesses, its, strict=True) if label != NO_LABEL]
        found.append([task.labels[guess] for guess, _ in kept])
        right.append([task.labels[label] for _, label in kept])
    return found, right
