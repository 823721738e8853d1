"""The labels of a split as arrays, of which batches are cut."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from graphmtl.data.flat import one_after_the_other

__all__ = ["TextLabels", "TokenLabels"]


class TextLabels:
    """A label, or a row of labels, for every text.

    Args:
        values: (examples, ...).
        known: (examples,) bool, whether the text has one.

    Attributes:
        counts: how many labels each text has, (examples,).
    """

    def __init__(self, values: np.ndarray, *, known: np.ndarray):
        self.values = values
        self.counts = known.astype(np.int64)

    def batch(self, rows: np.ndarray, inside: np.ndarray) -> Tensor:
        """Those of some texts, (batch, ...)."""
        return torch.from_numpy(self.values[rows])

    def rows(self) -> np.ndarray:
        """That of every text, (examples, ...)."""
        return self.values

    def as_rows(self, answers: np.ndarray) -> np.ndarray:
        """The answers to all texts, (examples, ...), in the form of :meth:`rows`."""
        return answers


class TokenLabels:
    """A label for every token.

    Args:
        labels: of each text its tokens'.
        lengths: (examples,), tokens of each text.
        missing: what stands at a token that has none, and at padding.

    Attributes:
        values: (tokens of all texts,) int64.
        counts: how many labels each text has, (examples,).
    """

    def __init__(self, labels: Sequence[Sequence[int]], lengths: np.ndarray, *, missing: int):
        ((self.values, own),) = one_after_the_other(((each,) for each in labels), 1)
        if not np.array_equal(own, lengths):
            raise ValueError("as many labels as tokens are expected in every text")
        self._ends, self._lengths, self._missing = np.cumsum(lengths), lengths, missing
        before = np.concatenate([[0], np.cumsum(self.values != missing)])  # labels before each token
        self.counts = before[self._ends] - before[self._ends - lengths]

    def batch(self, rows: np.ndarray, inside: np.ndarray) -> Tensor:
        """Those of some texts, (batch, tokens); ``inside`` (batch, tokens) says where a token is."""
        padded = np.full(inside.shape, self._missing, dtype=np.int64)  # (batch, tokens)
        where = (self._ends - self._lengths)[rows][:, None] + np.arange(inside.shape[1])  # (batch, tokens)
        padded[inside] = self.values[where[inside]]
        return torch.from_numpy(padded)

    def rows(self) -> np.ndarray:
        """Those of every text, (examples,) of (tokens,)."""
        found = np.empty(len(self._lengths), dtype=object)
        for i, (end, length) in enumerate(zip(self._ends, self._lengths, strict=True)):
            found[i] = self.values[end - length : end]
        return found

    def as_rows(self, answers: np.ndarray) -> np.ndarray:
        """The answers to all texts, as :meth:`rows` gives labels."""
        return answers
