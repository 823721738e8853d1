"""What a step minimises: the loss of every text's labels, and its mean over a batch."""

from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from graphmtl.data.task import NO_LABEL

__all__ = ["Output", "task_loss", "text_losses"]


class Output(Protocol):
    """What a model says of a batch: ``logits``, and ``losses`` (batch,) if its head has its own, else None."""

    logits: Tensor
    losses: Tensor | None


def text_losses(output: Output, labels: Tensor, *, label_smoothing: float = 0.0) -> Tensor:
    r"""The loss of every text, (batch,): of tags the sum over its tokens; what has no label has no loss.

    It is the head's own (minus the log-likelihood of a CRF, the squared error of a standardised score), or else the
    cross-entropy; with label smoothing
    :math:`\epsilon` its target is :math:`1 - \epsilon` on the label plus :math:`\epsilon / C` on each of the C labels
    (Szegedy et al., 2016, section 7).

    Args:
        output: ``logits`` (batch, classes), of tags (batch, tokens, classes).
        labels: (batch,), of tags (batch, tokens) int64, -100 where there is none; of scores float, nan likewise.
        label_smoothing: :math:`\epsilon`; plays no part in a head's own losses.
    """
    if output.losses is not None:
        return output.losses
    logits = output.logits
    if logits.dtype in (torch.float16, torch.bfloat16):
        logits = logits.float()
    if labels.ndim == 1:
        return F.cross_entropy(logits, labels, reduction="none", label_smoothing=label_smoothing)  # (batch,)
    losses = F.cross_entropy(logits.mT, labels, reduction="none", label_smoothing=label_smoothing)  # (batch, tokens)
    return losses.sum(1)


def task_loss(
    output: Output, labels: Tensor, weights: Tensor, *, label_smoothing: float = 0.0, total: float | None = None
) -> Tensor:
    r"""The loss of a task in a batch: :math:`\frac{1}{N} \sum_i w_i \ell_i`, a mean over what has a label.

    Args:
        output: see :func:`text_losses`, as for ``labels`` and ``label_smoothing``.
        weights: (batch,), 0 for a filler example.
        total: N; by default the number of labels, each with its text's weight. Where a batch is cut over P processes,
            every process gives N = labels of the whole batch / P: the mean over processes (of losses and of gradients,
            which is what DDP takes) is then that of the whole batch.

    Returns:
        The loss, ().
    """
    losses = text_losses(output, labels, label_smoothing=label_smoothing)  # (batch,)
    if total is None:
        known = ~labels.isnan() if labels.is_floating_point() else labels != NO_LABEL  # as labels
        counts = known.flatten(1).sum(1) if labels.ndim > 1 else known  # (batch,)
        return (losses * weights).sum() / (counts * weights).sum()  # ()
    return (losses * weights).sum() / total  # ()
