r"""One of several labels that have an order, for every text: stars, grades, levels.

The head gives a text one score s, and learns thresholds :math:`b_1 < \dots < b_{C-1}` between the C labels (the
proportional odds model, McCullagh, Regression models for ordinal data, 1980, section 2):

.. math:: P(y \le c) = \sigma(b_c - s), \qquad p(c) = P(y \le c) - P(y \le c - 1)

The loss is :math:`-\log p(y)`, and the answer the label with the largest p, as in a classification.
"""

from collections.abc import Collection, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from graphmtl.data.label_set import are_numbers
from graphmtl.data.table import Table
from graphmtl.errors import InputError
from graphmtl.kinds.classification import Classification, ClassificationHead
from graphmtl.kinds.head import at_least_single

__all__ = ["Ordinal", "OrdinalHead"]


class OrdinalHead(ClassificationHead):
    """Dropout, a linear layer to a score and thresholds: (batch, input_size) to log-probabilities (batch, classes).

    The thresholds begin where every label is as probable at the score 0. They are kept as the first one and the
    logarithms of the distances from each to the next.
    """

    is_exported = False

    def __init__(self, *, input_size: int, classes: int, dropout: float):
        super().__init__(input_size=input_size, classes=1, dropout=dropout)
        thresholds = torch.arange(1, classes).div(classes).logit()  # (classes - 1,)
        self.first = nn.Parameter(thresholds[:1].clone())  # (1,)
        self.log_distances = nn.Parameter(thresholds.diff().log())  # (classes - 2,)

    def forward(self, pooled: Tensor, common: nn.Linear | None = None) -> Tensor:
        score = at_least_single(super().forward(pooled, common))  # (batch, 1)
        thresholds = torch.cat([self.first, self.first + self.log_distances.exp().cumsum(0)])  # (classes - 1,)
        below = thresholds - score  # (batch, classes - 1)
        above = F.pad(below, (0, 1), value=torch.inf)  # (batch, classes)
        # log p = log sigmoid(a) + log sigmoid(-b) + log(1 - exp(b - a)), where a is the upper end and b the lower one
        inner = torch.log(-torch.expm1(thresholds[:-1] - thresholds[1:]))  # (classes - 2,)
        log_p = F.logsigmoid(above) + F.pad(F.logsigmoid(-below), (1, 0))  # (batch, classes)
        return log_p + F.pad(inner, (1, 1))


class Ordinal(Classification):
    """``ordinal``: one of several labels that have an order, the lowest first, for every text."""

    labels_ordered = True

    def read(self, source: Any, splits: Mapping[str, Table], training: Collection[str]) -> tuple[Any, dict[str, list]]:
        task, values = super().read(source, splits, training)
        if not source.task.labels and not are_numbers(task.labels):
            raise InputError(
                f"{splits['train'].source}: task {task.name!r} of kind {task.kind} has the labels "
                f"{', '.join(task.labels)}, whose order nobody says; list them under the key `labels`, the lowest first"
            )
        return task, values

    def head(self, *, input_size: int, dropout: float, tag_head: str) -> OrdinalHead:
        return OrdinalHead(input_size=input_size, classes=len(self.task.labels), dropout=dropout)
