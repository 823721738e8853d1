"""Scores of a task's predictions, by the names that ``metrics.json`` uses."""

from collections.abc import Callable

import torch
from torch import Tensor

from graphmtl.data.task import Task

__all__ = ["METRIC_FUNCTIONS", "compute"]

# torchmetrics is imported where it is used: importing it takes seconds that verbs without metrics need not spend.


def _accuracy(predictions: Tensor, labels: Tensor, classes: int) -> Tensor:
    from torchmetrics.functional.classification import multiclass_accuracy

    return multiclass_accuracy(predictions, labels, num_classes=classes, average="micro")


def _f1(predictions: Tensor, labels: Tensor, classes: int) -> Tensor:
    from torchmetrics.functional.classification import multiclass_f1_score

    return multiclass_f1_score(predictions, labels, num_classes=classes, average="macro")


def _matthews(predictions: Tensor, labels: Tensor, classes: int) -> Tensor:
    from torchmetrics.functional.classification import multiclass_matthews_corrcoef

    if predictions.unique().numel() == 1 or labels.unique().numel() == 1:  # torchmetrics gives other values here
        return torch.tensor(0.0)
    return multiclass_matthews_corrcoef(predictions, labels, num_classes=classes)


METRIC_FUNCTIONS: dict[str, Callable[[Tensor, Tensor, int], Tensor]] = {
    "accuracy": _accuracy,
    "f1": _f1,
    "matthews": _matthews,
}
"""Predicted labels (examples,), right labels (examples,) and the number of classes to a value, ()."""


def compute(task: Task, logits: Tensor, labels: Tensor) -> dict[str, float]:
    r"""Every metric of a task, in the task's order.

    - ``accuracy``: share of examples whose predicted label is the right one.
    - ``f1``: unweighted mean over the labels of :math:`2PR / (P + R)` (macro F1), with two labels as with more: no
      label is "the positive one". A label that is neither predicted nor right anywhere is left out of the mean.
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
    predictions = torch.as_tensor(logits).argmax(dim=-1)  # (examples,)
    labels = torch.as_tensor(labels)  # (examples,)
    values = {name: METRIC_FUNCTIONS[name](predictions, labels, len(task.labels)) for name in task.metrics}
    return {name: round(float(value), 7) for name, value in values.items()}  # 0.85, not float32's 0.8500000238
