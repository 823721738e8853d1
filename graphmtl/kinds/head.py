"""What every head is: from what was pooled, or a token's state, to a task's answer and to its loss."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from graphmtl.data.batching import Batch
from graphmtl.data.kind import NO_LABEL
from graphmtl.errors import InputError

__all__ = ["Head", "LinearHead", "Units", "at_least_single"]


@dataclass(frozen=True)
class Units:
    r"""The units of scores: a head's logit z means the score :math:`\mu + \sigma z`.

    Attributes:
        mean, std: :math:`\mu` and :math:`\sigma`, ().
        scale: the lowest and the highest score, which no answer leaves; None: any number.
    """

    mean: Tensor
    std: Tensor
    scale: tuple[float, float] | None

    def scores(self, logits: Tensor) -> Tensor:
        """Standardised scores (batch,) to scores in the label's units (batch,)."""
        scores = self.mean + self.std * logits
        return scores if self.scale is None else scores.clamp(*self.scale)


class Head(nn.Module):
    """What was pooled, or a token's state, to a task's answer."""

    class_weights: Tensor | None
    chosen: tuple[str, ...] = ()  #: the buffers that :meth:`choose` sets, which are kept with the epoch's weights
    labels_apply: ClassVar[Literal["one", "any"] | None] = None
    """Where the logits are one for each label of a text: whether one of the labels applies, or any of them do."""
    is_exported = False  #: True where it is no more than one linear layer on a text's vector, as ONNX files have it

    def __init__(self):
        super().__init__()
        self.register_buffer("class_weights", None, persistent=False)  # the task knows them

    def units(self) -> Units | None:
        """Those of scores, whose logits are standardised; None where answers have none."""
        return None

    def forward(self, h: Tensor, common: nn.Linear | None = None) -> Tensor:
        """What the architecture gives, (batch, input_size), or of tokens (batch, tokens, input_size), to logits.

        Args:
            h: what the architecture gives.
            common: the :meth:`common_layer` that this task has in common with others, of which this head's own is then
                a deviation.
        """
        raise NotImplementedError

    def within(self, logits: Tensor, batch: Batch) -> Tensor:
        """The logits as the methods below take them: minus infinity where in a text no answer can stand."""
        return logits

    def common_layer(self) -> nn.Linear | None:
        """The layer that tasks with the same labels may have in common (``--common-head``), or None."""
        return None

    def reset_to_zero(self) -> None:
        """No deviation from the common layer; asked of heads that have one."""

    def learn_from(self, labels: Any) -> None:
        """Take what the head needs to know of the training labels, a column of a data set, before it is trained."""

    def choose(self, predictions: Any) -> Any:
        """Take what is chosen on the validation split, of which there is an example.

        Args:
            predictions: for it (:class:`~graphmtl.training.evaluation.Predictions`).

        Returns:
            The predictions, with the answers that follow from the choice.
        """
        return predictions

    def exported_with(self) -> dict[str, float]:
        """What a reader of an ONNX file needs beside the logits, by name."""
        return {}

    def weigh(self, class_weights: Tensor, task: str = "") -> None:
        """Take the weight of each class in the loss, (classes,), for a task of that name.

        Raises:
            InputError: the head's loss has no such weights.
        """
        raise InputError(f"class_weights of task {task!r}: the loss of its head, {type(self).__name__}, has none")

    def losses(self, logits: Tensor, labels: Tensor, lengths: Tensor, *, label_smoothing: float = 0.0) -> Tensor:
        """The loss of every text, (batch,): the sum over its labels, 0 without any.

        Args:
            logits: what :meth:`within` gave.
            labels: those of the batch.
            lengths: (batch,), tokens of each text.
            label_smoothing: where the loss is a cross-entropy.
        """
        raise NotImplementedError

    def counts(self, labels: Tensor) -> Tensor:
        """How many labels every text has, (batch,)."""
        return (labels != NO_LABEL).flatten(1).sum(1) if labels.ndim > 1 else labels != NO_LABEL

    def answers(self, logits: Tensor, lengths: Tensor) -> Tensor:
        """The answer to every text, of the form of the labels."""
        return logits.argmax(-1)

    def probabilities(self, logits: Tensor) -> Tensor | None:
        """Those of the classes of every text, (batch, classes); None where an answer has none."""
        return None

    def right(self, answers: Tensor, labels: Tensor) -> Tensor:
        """How many labels of every text are answered right, (batch,); nan where an answer is not right or wrong."""
        right = (answers == labels) & (labels != NO_LABEL)  # as labels
        return right.flatten(1).sum(1) if labels.ndim > 1 else right.long()

    def margins(self, logits: Tensor, lengths: Tensor) -> Tensor:
        """How clearly every text is answered, (batch,): of classes the best one's logit minus the next one's."""
        best = at_least_single(logits).topk(2, -1).values  # (batch, 2)
        return best[:, 0] - best[:, 1]


class LinearHead(Head):
    r"""Dropout and a linear layer: (..., input_size) to logits (..., classes).

    With a common head the task's own one is a deviation from it, :math:`(W + W_k) x + b + b_k`: the common part learns
    from every task's texts (Evgeniou and Pontil, Regularized multi-task learning, KDD 2004).
    """

    def __init__(self, *, input_size: int, classes: int, dropout: float):
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(input_size, classes)

    def common_layer(self) -> nn.Linear:
        return self.linear

    def reset_to_zero(self) -> None:
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, pooled: Tensor, common: nn.Linear | None = None) -> Tensor:
        pooled = self.dropout(pooled)
        return self.linear(pooled) if common is None else self.linear(pooled) + common(pooled)

    def weigh(self, class_weights: Tensor, task: str = "") -> None:
        self.class_weights = class_weights


def at_least_single(logits: Tensor) -> Tensor:
    """Logits in half precision as float32, all others as they are."""
    return logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits
