r"""The wide part of a model: a linear model of words and of pairs of neighbours, beside the graph (``--wide``).

Over a transformer the words are its pieces.

A graph of LSTMs and a linear model of n-grams make different errors, and together make fewer than either. As in wide
and deep learning (Cheng et al., Wide & Deep Learning for Recommender Systems, DLRS 2016) both answer; but each learns
on its own: a linear model knows a small training split by heart at once, and would leave the graph nothing to learn.

An n-gram that stands :math:`c` times in a text, and in :math:`d` of n training texts, has the value
:math:`(1 + \ln c) (1 + \ln \frac{1 + n}{1 + d})`, the values of a text are divided by the root of the sum of their
squares, and the logits of task k are :math:`W_k x + b_k`. Where it pays, the other tasks' models tell a task's,

.. math:: W_k = V_k + \sum_{j \ne k} m_{k,j} W_j

which is a graph of linear models; how they learn stands in :mod:`graphmtl.training.wide`. The answers of the wide part
and of the graph are pooled (a logarithmic opinion pool: the weighted geometric mean of their probabilities),

.. math:: z_k = (1 - s_k) z_k^{\text{graph}} / T_k + s_k z_k^{\text{wide}}

in equal parts while the graph is trained (:math:`s_k = 1/2`, :math:`T_k = 1`), and then by the share s and the
temperature T that the validation split prefers (:mod:`graphmtl.training.wide_shares`). A graph that is too sure of its
answers would else lose its share to the wide part for no other reason (Guo et al., On calibration of modern neural
networks, ICML 2017, section 4.2).

n-grams are hashed into :data:`BUCKETS` places (Weinberger et al., Feature hashing for large scale multitask learning,
ICML 2009), so that none has to be kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from graphmtl.data.batching import Batch
from graphmtl.data.task import Task
from graphmtl.kinds.head import Head, at_least_single

__all__ = [
    "APART",
    "BITS",
    "BUCKETS",
    "FORMS",
    "GOLDEN",
    "Ngrams",
    "Wide",
    "count_ngrams",
    "has_wide_part",
    "idf_of",
    "joined",
    "ngrams_of",
]

BITS = 18  #: of a place
BUCKETS = 1 << BITS  #: places of n-grams
FORMS = ("augmented", "own", "told")
"""What a wide part learns from: the texts of all tasks with its labels, its own, or its own and the other parts."""
GOLDEN = 0x9E3779B97F4A7C15 - (1 << 64)  #: 2^64 over the golden ratio (Knuth, volume 3, section 6.4), as int64
APART = 1 << 31  #: more than there are words
_LEAST, _MOST = torch.finfo(torch.float32).tiny, 1 - 2**-24  # of a probability in 32 bits, neither 0 nor 1


@dataclass(frozen=True)
class Ngrams:
    """How often each text has each n-gram it has; one entry for each, those of a text together.

    Attributes:
        texts: how many there are.
        rows: (entries,) int64, the text.
        buckets: (entries,) int64, the place of the n-gram.
        counts: (entries,) int64.
    """

    texts: int
    rows: Tensor
    buckets: Tensor
    counts: Tensor


def ngrams_of(batch: Batch, special: Sequence[int]) -> Ngrams:
    """Those of the texts of a batch, of a transformer those of its pieces.

    What stands in two windows of a long text, which overlap, counts twice.

    Args:
        batch: the texts.
        special: ids that are no words: padding, what is unknown, what stands between texts.
    """
    windows = batch.windows
    if windows is None:
        return count_ngrams(batch.tokens, batch.lengths, special=special)
    return count_ngrams(batch.tokens, windows.lengths, special=special, texts=windows.texts)


def count_ngrams(tokens: Tensor, lengths: Tensor, *, special: Sequence[int], texts: Tensor | None = None) -> Ngrams:
    """The words and pairs of neighbours of texts.

    Args:
        tokens: (rows, tokens) int64, ids of words.
        lengths: (rows,), tokens of each row.
        special: ids that are no words.
        texts: (rows,) int64, the text that each row is of, in order and none left out; None: each is a text.
    """
    device = tokens.device
    texts = torch.arange(len(tokens)) if texts is None else texts  # (rows,)
    known = torch.arange(tokens.size(1), device=device) < lengths.to(device)[:, None]  # (rows, tokens)
    for own in special:
        known &= tokens != own
    pairs = (tokens[:, :-1] + 1) * APART + tokens[:, 1:]  # (rows, tokens - 1)
    of_text = texts.to(device)[:, None] * BUCKETS  # (rows, 1)
    found = torch.cat(
        [
            (of_text + _bucket(tokens))[known],
            (of_text + _bucket(pairs))[known[:, :-1] & known[:, 1:]],
        ]
    )
    places, counts = found.unique(return_counts=True)
    return Ngrams(int(texts[-1]) + 1, places // BUCKETS, places % BUCKETS, counts)


def joined(parts: Sequence[Ngrams]) -> Ngrams:
    """Those of several groups of texts, one group after the other."""
    starts = np.cumsum([0, *(own.texts for own in parts)])
    none = torch.empty(0, dtype=torch.int64)
    return Ngrams(
        int(starts[-1]),
        torch.cat([none, *(own.rows + start for own, start in zip(parts, starts, strict=False))]),
        torch.cat([none, *(own.buckets for own in parts)]),
        torch.cat([none, *(own.counts for own in parts)]),
    )


def idf_of(parts: Sequence[Ngrams]) -> Tensor:
    """What an n-gram counts for, by how many of the texts have it, (BUCKETS,); 0 where none has."""
    d = torch.stack([torch.bincount(own.buckets, minlength=BUCKETS) for own in parts]).sum(0)  # (BUCKETS,)
    n = sum(own.texts for own in parts)
    return torch.where(d > 0, 1 + ((1 + n) / (1 + d)).log(), 0).float()


def _bucket(keys: Tensor) -> Tensor:
    """Keys to places; products of int64 are those modulo 2^64, of which the upper bits are well mixed."""
    return (keys * GOLDEN >> (64 - BITS)) & (BUCKETS - 1)


def has_wide_part(task: Task, head: Head) -> bool:
    """Whether a task labels single texts, by a head whose logits are those of its labels."""
    return head.labels_apply is not None and not task.is_pair and not task.choices


class Wide(nn.Module):
    """The linear model of one task. It is not trained by gradients: see :mod:`graphmtl.training.wide`.

    Args:
        columns: scores of a text: of two labels 1, else one for each label.
        separate: whether any of the labels may apply, so that a score is the logit of its own label; else one does.
    """

    weight: Tensor  # (BUCKETS, columns)
    bias: Tensor  # (columns,)
    idf: Tensor  # (BUCKETS,), 0 where no training text has the n-gram
    strength: Tensor  # (), the C that the validation split has chosen; 0: nothing is learned yet
    share: Tensor  # (), of the answer, from 0 to 1; chosen too
    temperature: Tensor  # (), what the graph's logits are divided by; chosen too
    form: Tensor  # () int64, the place in FORMS of what it has learned from, chosen too
    added_later: ClassVar[dict[str, float]] = {"form": 0, "share": 0.5, "temperature": 1.0}
    """What of these models of earlier versions do not have, with the values that they were used with."""

    def __init__(self, *, columns: int, separate: bool):
        super().__init__()
        self.separate = separate
        self.register_buffer("weight", torch.zeros(BUCKETS, columns))
        self.register_buffer("bias", torch.zeros(columns))
        self.register_buffer("idf", torch.zeros(BUCKETS))
        self.register_buffer("strength", torch.tensor(0.0))
        self.register_buffer("share", torch.tensor(0.5))
        self.register_buffer("temperature", torch.tensor(1.0))
        self.register_buffer("form", torch.tensor(0))

    def _load_from_state_dict(self, state_dict, prefix, *args) -> None:
        for name, value in self.added_later.items():
            state_dict.setdefault(prefix + name, torch.tensor(value))
        super()._load_from_state_dict(state_dict, prefix, *args)

    def values(self, ngrams: Ngrams) -> Tensor:
        """TF-IDF of the entries, (entries,)."""
        values = (1 + ngrams.counts.float().log()) * self.idf[ngrams.buckets]  # (entries,)
        squares = values.new_zeros(ngrams.texts).index_add(0, ngrams.rows, values.square())  # (batch,)
        return values / squares.sqrt().clamp_min(1e-12)[ngrams.rows]

    def forward(self, ngrams: Ngrams) -> Tensor:
        """Logits of the labels, (batch, labels)."""
        products = self.values(ngrams)[:, None] * self.weight[ngrams.buckets]  # (entries, columns)
        scores = products.new_zeros(ngrams.texts, products.size(1)).index_add(0, ngrams.rows, products) + self.bias
        return self.logits(scores)

    def logits(self, scores: Tensor) -> Tensor:
        """Scores (batch, columns), each the logit of its own label against all others, to logits (batch, labels)."""
        if self.separate:
            return scores
        if scores.size(1) == 1:
            return torch.cat([-scores, scores], 1) / 2
        return F.logsigmoid(scores)

    def logits_of(self, probabilities: Tensor) -> Tensor:
        """Logits that the probabilities of the labels, (batch, labels), are those of; of one of them but for a sum."""
        p = probabilities.clamp(_LEAST, _MOST if self.separate else 1)  # (batch, labels)
        return p.logit() if self.separate else p.log()

    def pool(self, logits: Tensor, own: Tensor) -> Tensor:
        """The graph's logits and this part's own, (batch, labels) each, as one."""
        logits = at_least_single(logits)
        return torch.lerp(logits / self.temperature.to(logits), own.to(logits), self.share.to(logits))

    def pooled(self, logits: Tensor, ngrams: Ngrams) -> Tensor:
        """The graph's logits, (batch, labels), with these; alone before this part has learned."""
        return self.pool(logits, self(ngrams)) if self.strength else logits
