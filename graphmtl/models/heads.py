r"""What was pooled, or a token's state, to an answer: a linear layer for a text, a linear layer or a CRF for tags.

The linear-chain CRF (Lafferty et al. 2001) gives a sequence of tags y the score and the probability

.. math::
    s(y) = b_{y_1} + \sum_t \mathrm{logits}_{t, y_t} + \sum_{t > 1} A_{y_{t-1}, y_t} + e_{y_T}, \qquad
    p(y) = \exp(s(y) - \log Z)
"""

from collections.abc import Sequence
from copy import copy

import torch
from torch import Tensor, nn
from torchcrf import CRF

from graphmtl.layers.pooling import token_mask
from graphmtl.registry import HEADS, find_class

__all__ = [
    "CRFHead",
    "ClassificationHead",
    "Head",
    "LinearTagHead",
    "RegressionHead",
    "TagHead",
    "forbidden_in_iob2",
    "tag_head_class",
]

_FORBIDDEN = -1e4  # not -inf, which has no derivative


class Head(nn.Module):
    """What was pooled, or a token's state, to a task's answer."""

    def forward(self, h: Tensor, common: nn.Linear | None = None) -> Tensor:
        """What the architecture gives, (batch, input_size), of tags (batch, tokens, input_size), to logits.

        Args:
            h: what the architecture gives.
            common: the :meth:`common_layer` that this task has in common with others, of which this head's own is then
                a deviation.
        """
        raise NotImplementedError

    def common_layer(self) -> nn.Linear | None:
        """The layer that tasks with the same labels may have in common (``--common-head``), or None."""
        return None

    def reset_to_zero(self) -> None:
        """No deviation from the common layer; asked of heads that have one."""

    def losses(self, logits: Tensor, labels: Tensor, lengths: Tensor) -> Tensor | None:
        """The loss of every text (batch,); None where it is the cross-entropy of every label."""
        return None


class TagHead(Head):
    """A head that tags tokens; it is made with ``input_size``, ``labels``, ``spans`` and ``dropout``, as `CRFHead`."""

    def decode(self, logits: Tensor, lengths: Tensor) -> Tensor:
        """Logits (batch, tokens, tags) to the tags (batch, tokens); those at padding mean nothing."""
        return logits.argmax(-1)


class ClassificationHead(Head):
    r"""Dropout and a linear layer: pooled vectors (batch, input_size) to logits (batch, classes).

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


class RegressionHead(ClassificationHead):
    r"""Dropout and a linear layer: pooled vectors (batch, input_size) to standardised scores z (batch,).

    The score itself is :math:`\mu + \sigma z`, with the mean and the standard deviation of the training labels, which
    are buffers of the head, so that a saved model answers in the label's own units.

    Args:
        input_size: dimensions of a pooled vector.
        scale: the lowest and the highest score, which no answer leaves; None: any number.
        dropout: on the pooled vectors.
    """

    mean: Tensor  # ()
    std: Tensor  # ()

    def __init__(self, *, input_size: int, scale: tuple[float, float] | None, dropout: float):
        super().__init__(input_size=input_size, classes=1, dropout=dropout)
        self.scale = scale
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("std", torch.ones(()))

    def standardise(self, labels: Tensor) -> None:
        """Take mean and standard deviation from the training labels (examples,), nan where there is none."""
        known = labels[~labels.isnan()].double()
        self.mean.fill_(known.mean().item())
        self.std.fill_(known.std(correction=0).item())

    def forward(self, pooled: Tensor, common: nn.Linear | None = None) -> Tensor:
        return super().forward(pooled, common).squeeze(-1)  # (batch,)

    def scores(self, logits: Tensor) -> Tensor:
        """Standardised scores (batch,) to scores in the label's units (batch,)."""
        scores = self.mean + self.std * logits
        return scores if self.scale is None else scores.clamp(*self.scale)

    def losses(self, logits: Tensor, labels: Tensor, lengths: Tensor) -> Tensor | None:
        r"""The squared error :math:`(z - (y - \mu) / \sigma)^2` of every text: (batch,), 0 without a label."""
        errors = _at_least_single(logits) - (labels - self.mean) / self.std  # (batch,)
        return errors.where(~labels.isnan(), 0).square()


class LinearTagHead(ClassificationHead, TagHead):
    """Dropout and a linear layer for every token: (batch, tokens, input_size) to logits (batch, tokens, tags)."""

    def __init__(self, *, input_size: int, labels: Sequence[str], spans: bool, dropout: float):
        super().__init__(input_size=input_size, classes=len(labels), dropout=dropout)


def forbidden_in_iob2(labels: Sequence[str]) -> tuple[Tensor, Tensor]:
    """The tags that cannot begin a sentence (tags,), and those that cannot follow a tag (tags before, tags after).

    >>> starts, transitions = forbidden_in_iob2(["O", "B-X", "I-X"])
    >>> starts.tolist(), transitions[0].tolist(), transitions[1].any().item()
    ([False, False, True], [False, False, True], False)
    """
    inside = torch.tensor([label.startswith("I-") for label in labels])  # (tags,)
    same = torch.tensor([[a != "O" and a[2:] == b[2:] for b in labels] for a in labels])  # (tags, tags)
    return inside, inside & ~same


class CRFHead(LinearTagHead):
    """A linear layer and a CRF (pytorch-crf); the tags of spans are always valid IOB2.

    Args:
        input_size: dimensions of a token state.
        labels: names of the tags.
        spans: they are IOB2: what it forbids gets the score -1e4, whatever was learned.
        dropout: on the token states.
    """

    forbidden_starts: Tensor  # (tags,)
    forbidden: Tensor  # (tags, tags)

    def __init__(self, *, input_size: int, labels: Sequence[str], spans: bool, dropout: float):
        super().__init__(input_size=input_size, labels=labels, spans=spans, dropout=dropout)
        crf = CRF(len(labels), batch_first=True)
        self.starts, self.ends, self.transitions = crf.start_transitions, crf.end_transitions, crf.transitions
        del crf.start_transitions, crf.end_transitions, crf.transitions
        self._crf = (crf,)  # in a tuple: no submodule, it has no parameters of its own
        starts, transitions = forbidden_in_iob2(labels if spans else ["O"] * len(labels))
        self.register_buffer("forbidden_starts", starts, persistent=False)
        self.register_buffer("forbidden", transitions, persistent=False)

    def _scored(self) -> CRF:
        """pytorch-crf with this head's scores for its own."""
        crf = copy(self._crf[0])
        crf.start_transitions = self.starts.masked_fill(self.forbidden_starts, _FORBIDDEN)
        crf.end_transitions = self.ends.clone()
        crf.transitions = self.transitions.masked_fill(self.forbidden, _FORBIDDEN)
        return crf

    def losses(self, logits: Tensor, labels: Tensor, lengths: Tensor) -> Tensor | None:
        r"""Minus the log-likelihood of every sentence's labels: (batch,).

        A token without a label may have any: :math:`-\log \sum_y p(y)` over all y that agree with the labels there are.

        Args:
            logits: (batch, tokens, tags).
            labels: (batch, tokens) int64, -100 where there is none.
            lengths: (batch,).
        """
        with torch.autocast(logits.device.type, enabled=False):
            crf, scores = self._scored(), _at_least_single(logits)  # (batch, tokens, tags)
            mask, known = token_mask(lengths, logits), labels >= 0  # (batch, tokens)
            tags = labels.clamp_min(0)  # (batch, tokens)
            if bool((known | ~mask).all()):
                return -crf(scores, tags, mask, reduction="none")
            other = torch.ones_like(scores, dtype=torch.bool).scatter(2, tags.unsqueeze(-1), False)
            agreeing = scores.masked_fill(known.unsqueeze(-1) & other, _FORBIDDEN)  # (batch, tokens, tags)
            total, part = (
                crf._compute_normalizer(each.transpose(0, 1), mask.transpose(0, 1)) for each in (scores, agreeing)
            )  # (batch,)
            return total - part

    @torch.no_grad()
    def decode(self, logits: Tensor, lengths: Tensor) -> Tensor:
        """The best tags (batch, tokens) by Viterbi's algorithm; 0 at padding."""
        mask = token_mask(lengths, logits)  # (batch, tokens)
        with torch.autocast(logits.device.type, enabled=False):
            paths = self._scored().decode(_at_least_single(logits), mask)
        tags = torch.zeros(mask.shape, dtype=torch.int64)  # (batch, tokens)
        tags[mask.cpu()] = torch.tensor([tag for path in paths for tag in path])
        return tags.to(logits.device)


def _at_least_single(logits: Tensor) -> Tensor:
    return logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits


def tag_head_class(name: str) -> type[TagHead]:
    """The class of a head that tags tokens: one of the table, or ``module:Class``.

    Raises:
        InputError: there is none, or it is no such head.
    """
    return find_class("tag_head", name, HEADS, TagHead)
