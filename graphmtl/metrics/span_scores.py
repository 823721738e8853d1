"""Scores of the spans that IOB2 tags say: a span is right where its type and both ends are.

The rules of what a span is are conlleval's, also for tags that IOB2 does not allow (seqeval's default mode).
"""

from collections.abc import Callable, Sequence
from functools import lru_cache

from graphmtl.metrics.answered import Answered

__all__ = ["of_all_types", "of_each_type", "of_type", "types_of"]

_SCORES = ("precision", "recall", "f1")

# seqeval is imported where it is used: it takes seconds that verbs without metrics need not spend.


def of_all_types(score: str) -> Callable[[Answered], float]:
    """``precision``, ``recall`` or ``f1`` of the spans of all types at once; 0 where there is nothing to divide by."""

    def value(answered: Answered) -> float:
        return float(_all_scores(answered)[_SCORES.index(score)])

    return value


@lru_cache(maxsize=1)  # the three scores are asked for one after another, and each is the same work
def _all_scores(answered: Answered) -> tuple[float, ...]:
    from seqeval.metrics.sequence_labeling import precision_recall_fscore_support

    return precision_recall_fscore_support(answered.labels, answered.answers, average="micro", zero_division=0)


def of_type(score: str, kind: str) -> Callable[[Answered], float]:
    """The same of the spans of one type."""

    def value(answered: Answered) -> float:
        scores = of_each_type(answered).get(kind, (0.0, 0.0, 0.0, 0))
        return float(scores[_SCORES.index(score)])

    return value


def of_each_type(answered: Answered) -> dict[str, tuple[float, float, float, int]]:
    """Precision, recall, F1 and the number of right spans of each type that is answered or right somewhere.

    The types are in alphabetical order.
    """
    from seqeval.metrics.sequence_labeling import get_entities, precision_recall_fscore_support

    types = sorted({kind for side in (answered.labels, answered.answers) for kind, _, _ in get_entities(side)})
    if not types:
        return {}
    columns = precision_recall_fscore_support(answered.labels, answered.answers, average=None, zero_division=0)
    rows = zip(*columns, strict=True)
    return {kind: (float(p), float(r), float(f), int(n)) for kind, (p, r, f, n) in zip(types, rows, strict=True)}


def types_of(tags: Sequence[str]) -> list[str]:
    """The types that IOB2 tags have, each once.

    >>> types_of(("O", "B-PER", "I-PER", "B-LOC"))
    ['PER', 'LOC']
    """
    return list(dict.fromkeys(tag.partition("-")[2] for tag in tags if tag != "O"))
