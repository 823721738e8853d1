r"""The wide parts of a model (:mod:`graphmtl.models.wide`) in an ONNX file: they count words and pairs of neighbours.

An n-gram stands once for each of its :math:`c` places in a text, so each place counts for :math:`1 / c` of it.

Shapes: B examples, T tokens, N = 2 T - 1 places of words and pairs.
"""

from collections.abc import Iterable
from functools import cache
from typing import Any

import numpy as np
from onnx import TensorProto
from torch import Tensor

from graphmtl.models.wide import APART, BITS, BUCKETS, GOLDEN, Wide

__all__ = ["OnnxNgrams"]


class OnnxNgrams:
    """The words and pairs of the texts that stand in an ONNX graph as ``tokens`` (B, T) and ``lengths`` (B,).

    Args:
        op: the graph.
        mask: (B, T), True for tokens.
        special: ids that are no words.
    """

    def __init__(self, op: Any, mask: str, special: Iterable[int]):
        self._op = op
        known = op.And(mask, op.Not(_any_of(op, "tokens", special)))  # (B, T)
        first, second = (_without_column(op, "tokens", last) for last in (True, False))  # (B, T - 1)
        pairs = op.Add(op.Mul(op.Add(first, np.int64(1)), np.int64(APART)), second)  # (B, T - 1)
        known_pairs = op.And(*(_without_column(op, known, last) for last in (True, False)))  # (B, T - 1)
        keys, are_known = op.Concat("tokens", pairs, axis=1), op.Concat(known, known_pairs, axis=1)  # (B, N)
        self._buckets = op.Where(are_known, _bucket(op, keys), np.int64(BUCKETS))  # (B, N); the last: none
        texts = op.Range(np.int64(0), op.Squeeze(op.Shape("tokens", end=1)), np.int64(1))  # (B,)
        of_text = op.Add(op.Mul(op.Unsqueeze(texts, [1]), np.int64(BUCKETS + 1)), self._buckets)  # (B, N)
        _, _, places, counts = op.Unique(op.Reshape(of_text, [-1]), outputs=4)  # (B * N,), (n-grams of all texts,)
        counts = op.Cast(op.Gather(counts, places), to=TensorProto.FLOAT)  # (B * N,)
        self._counts = op.Reshape(counts, op.Shape(keys))  # (B, N)
        self._values = cache(self._values_of)  # parts that have learned together read the same

    def pooled(self, logits: str, wide: Wide) -> str:
        """Logits (B, labels) as :meth:`Wide.pooled` makes them with a part that has learned."""
        op, share, T = self._op, wide.share.item(), wide.temperature.item()
        values = op.Unsqueeze(self._values(_with_none(wide.idf).tobytes()), [1])  # (B, 1, N)
        weights = op.Gather(_with_none(wide.weight), self._buckets)  # (B, N, columns)
        scores = op.Add(op.Squeeze(op.MatMul(values, weights), [1]), wide.bias.float().cpu().numpy())  # (B, columns)
        own = self._logits(scores, wide)
        return op.Add(op.Mul(logits, np.float32((1 - share) / T)), op.Mul(own, np.float32(share)))

    def _values_of(self, idf: bytes) -> str:
        """TF-IDF of the n-gram at each place, over how often it stands there, (B, N)."""
        op = self._op
        of_each = op.Gather(np.frombuffer(idf, np.float32), self._buckets)  # (B, N)
        values = op.Mul(op.Add(op.Log(self._counts), np.float32(1)), of_each)  # (B, N)
        squares = op.ReduceSum(op.Div(op.Mul(values, values), self._counts), [1])  # (B, 1)
        return op.Div(op.Div(values, self._counts), op.Max(op.Sqrt(squares), np.float32(1e-12)))

    def _logits(self, scores: str, wide: Wide) -> str:
        """As :meth:`Wide.logits` does it."""
        op = self._op
        if wide.separate:
            return scores
        if wide.weight.size(1) == 1:
            half = op.Mul(scores, np.float32(0.5))
            return op.Concat(op.Neg(half), half, axis=1)
        return op.Neg(op.Softplus(op.Neg(scores)))


def _any_of(op: Any, tokens: str, ids: Iterable[int]) -> str:
    found = [op.Equal(tokens, np.int64(own)) for own in ids]
    while len(found) > 1:
        found.append(op.Or(found.pop(), found.pop()))
    return found[0]


def _without_column(op: Any, x: str, last: bool) -> str:
    """(B, T) without its last column, or its first, (B, T - 1)."""
    begin, end = ([0], [-1]) if last else ([1], [np.iinfo(np.int64).max])
    return op.Slice(x, np.array(begin), np.array(end), np.array([1]))


def _bucket(op: Any, keys: str) -> str:
    """Keys to places; bits of numbers without a sign alone can be shifted."""
    mixed = op.Cast(op.Mul(keys, np.int64(GOLDEN)), to=TensorProto.UINT64)
    return op.Cast(op.BitShift(mixed, np.uint64(64 - BITS), direction="RIGHT"), to=TensorProto.INT64)


def _with_none(weight: Tensor) -> np.ndarray:
    """(BUCKETS, ...), and below it zeros, what no n-gram has, (BUCKETS + 1, ...)."""
    values = weight.float().cpu().numpy()
    return np.concatenate([values, np.zeros_like(values[:1])])
