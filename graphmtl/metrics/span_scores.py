r"""Scores of the spans that IOB2 tags say: a span is right where its type and both ends are.

What a span is, also of tags that IOB2 does not allow, :func:`graphmtl.data.tags.spans` says: the rules are conlleval's.
With :math:`P` the share of the answered spans that are right, and :math:`R` the share of the right ones that are
answered, :math:`F_1 = 2PR / (P + R)`; each is 0 where there is nothing to divide by.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache

from graphmtl.data.tags import spans
from graphmtl.metrics.answered import Answered

__all__ = ["count", "of_all_types", "of_each_type", "of_type", "types_of"]

_SCORES = ("precision", "recall", "f1")


def count(labels: Iterable[Sequence[str]], answers: Iterable[Sequence[str]]) -> tuple[Counter, Counter, Counter]:
    """How many spans of each type are both answered and right, are answered, and are right.

    Args:
        labels: the right tags of each sentence.
        answers: the model's.

    >>> [dict(counter) for counter in count([("B-PER", "I-PER")], [("B-PER", "B-PER")])]
    [{}, {'PER': 2}, {'PER': 1}]
    """
    both, answered, right = Counter[str](), Counter[str](), Counter[str]()
    for own_labels, own_answers in zip(labels, answers, strict=True):
        wanted, given = set(spans(own_labels)), set(spans(own_answers))
        for counter, found in ((both, wanted & given), (answered, given), (right, wanted)):
            counter.update(kind for kind, _, _ in found)
    return both, answered, right


@lru_cache(maxsize=1)  # the scores are asked for one after another, and each is the same work
def _counts(answered: Answered) -> tuple[Counter, Counter, Counter]:
    return count(answered.labels, answered.answers)


def of_all_types(score: str) -> Callable[[Answered], float]:
    """``precision``, ``recall`` or ``f1`` of the spans of all types at once."""

    def value(answered: Answered) -> float:
        return _scores(*(counter.total() for counter in _counts(answered)))[_SCORES.index(score)]

    return value


def of_type(score: str, kind: str) -> Callable[[Answered], float]:
    """The same of the spans of one type."""

    def value(answered: Answered) -> float:
        return _scores(*(counter[kind] for counter in _counts(answered)))[_SCORES.index(score)]

    return value


def of_each_type(answered: Answered) -> dict[str, tuple[float, float, float, int]]:
    """Precision, recall, F1 and the number of right spans of each type that is answered or right somewhere.

    The types are in alphabetical order.
    """
    both, given, right = _counts(answered)
    return {kind: (*_scores(both[kind], given[kind], right[kind]), right[kind]) for kind in sorted({*given, *right})}


def _scores(both: int, answered: int, right: int) -> tuple[float, float, float]:
    """Precision, recall and F1 of the numbers of spans."""
    precision = both / answered if answered else 0.0
    recall = both / right if right else 0.0
    f1 = 2 * precision * recall / (precision + recall) if both else 0.0
    return precision, recall, f1


def types_of(tags: Sequence[str]) -> list[str]:
    """The types that IOB2 tags have, each once.

    >>> types_of(("O", "B-PER", "I-PER", "B-LOC"))
    ['PER', 'LOC']
    """
    return list(dict.fromkeys(tag.partition("-")[2] for tag in tags if tag != "O"))
