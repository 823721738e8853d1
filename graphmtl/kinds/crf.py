r"""Tags by a linear-chain conditional random field.

The CRF (Lafferty et al. 2001) gives a sequence of tags y the score and the probability

.. math::
    s(y) = b_{y_1} + \sum_t \mathrm{logits}_{t, y_t} + \sum_{t > 1} A_{y_{t-1}, y_t} + e_{y_T}, \qquad
    p(y) = \exp(s(y) - \log Z)
"""

from collections.abc import Sequence
from copy import copy

import torch
from torch import Tensor
from torchcrf import CRF

from graphmtl.errors import InputError
from graphmtl.kinds.head import at_least_single
from graphmtl.kinds.tagging import LinearTagHead
from graphmtl.layers.pooling import token_mask

__all__ = ["CRFHead", "forbidden_in_iob2"]

_FORBIDDEN = -1e4  # not -inf, which has no derivative


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

    def weigh(self, class_weights: Tensor, task: str = "") -> None:
        raise InputError(
            f"class_weights of task {task!r}: a CRF's loss is of whole sequences, which have no class; the key "
            "`head: linear` gives the task another head"
        )

    def losses(self, logits: Tensor, labels: Tensor, lengths: Tensor, *, label_smoothing: float = 0.0) -> Tensor:
        r"""Minus the log-likelihood of every sentence's labels: (batch,).

        A token without a label may have any: :math:`-\log \sum_y p(y)` over all y that agree with the labels there are.

        Args:
            logits: (batch, tokens, tags).
            labels: (batch, tokens) int64, -100 where there is none.
            lengths: (batch,).
            label_smoothing: plays no part.
        """
        with torch.autocast(logits.device.type, enabled=False):
            crf, scores = self._scored(), at_least_single(logits)  # (batch, tokens, tags)
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
            paths = self._scored().decode(at_least_single(logits), mask)
        tags = torch.zeros(mask.shape, dtype=torch.int64)  # (batch, tokens)
        tags[mask.cpu()] = torch.tensor([tag for path in paths for tag in path])
        return tags.to(logits.device)
