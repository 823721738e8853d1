r"""What a task's first metric is made of, example by example, so that the score of any draw of examples is quick.

Of most metrics each example has a few numbers, and the score of some examples follows from the sum of theirs: of
accuracy whether the answer is right; of precision, recall, :math:`F_1` and Matthews' correlation how often each label
is answered, how often it is the right one, and how often both; of Pearson's correlation the moments. Spearman's
correlation and the area under the ROC curve follow from how often a draw has each example
(:mod:`~graphmtl.metrics.of_draws`); functions of the user's own are computed anew for every draw.
"""

import math
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from graphmtl.data.kind import Kind
from graphmtl.data.task import Task
from graphmtl.errors import InputError
from graphmtl.kinds.scored import ScoredKind
from graphmtl.metrics.answered import Answered
from graphmtl.metrics.classes import SCORES, right_and_answered
from graphmtl.metrics.named import METRICS, find_metric
from graphmtl.metrics.numbers import pair
from graphmtl.metrics.of_draws import OfDraws, auc_of_draws, correlation, moments, spearman_of_draws
from graphmtl.metrics.span_scores import count, types_of
from graphmtl.training.evaluation import Predictions

__all__ = ["ExampleSums", "draws", "sums_of"]

_AT_ONCE = 250  # draws
_OF_AN_INTERVAL = 1000  # likewise
_OF_RANKS = {"auc": auc_of_draws, "spearman": spearman_of_draws}

Sums = tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]
"""Numbers of each example, (examples, S), and a function of their sums (..., S) to scores (...)."""


@dataclass(frozen=True, kw_only=True)
class ExampleSums:
    """What a task's first metric is made of on the test examples, answered by one model.

    Attributes:
        seen: (examples,) bool, whose text any training split has.
        sums: (examples, S), numbers of each example; (examples, 0) of metrics that do not follow from sums.
        score: sums of examples (..., S) to scores (...).
        of_draws: where sums say nothing: how often each draw has each example, (draws, examples), to scores (draws,).
        is_quick: no draw is scored by a function that knows of one alone.
    """

    seen: np.ndarray
    sums: np.ndarray
    score: Callable[[np.ndarray], np.ndarray]
    of_draws: OfDraws | None = None
    is_quick: bool = True

    def __len__(self) -> int:
        return len(self.seen)

    def drawn(self, times: np.ndarray) -> np.ndarray:
        """The scores of draws.

        Args:
            times: (draws, examples), how often each example is in each draw.

        Returns:
            (draws,), nan where a draw has no score.
        """
        if self.of_draws is None:
            return self.score(times.astype(float) @ self.sums)
        return self.of_draws(times)

    def whole(self) -> float:
        """The score of all examples, each once."""
        return float(self.drawn(np.ones((1, len(self)), dtype=np.int64))[0])

    def interval(self, key: str) -> tuple[float, float] | None:
        """The 95 % interval of the score for other examples of the kind, with this one model.

        It is the bootstrap's percentiles, of the draws that have a score. None where there is no example, most draws
        have none, or every draw were to be scored anew, which takes long.

        Args:
            key: as of `draws`.
        """
        if not len(self) or not self.is_quick:
            return None
        found = np.concatenate([self.drawn(times) for _, times in draws(key, len(self), _OF_AN_INTERVAL)])
        known = found[~np.isnan(found)]
        if 2 * len(known) <= len(found):
            return None
        low, high = np.percentile(known, [2.5, 97.5])
        return float(low), float(high)

    def unseen(self) -> "ExampleSums":
        """The same of the examples whose text no training split has (``test_dedup``)."""
        kept, whole = ~self.seen, self.of_draws  # (examples,)

        def of_draws(times: np.ndarray) -> np.ndarray:
            of_all = np.zeros((len(times), len(kept)), times.dtype)  # (draws, examples)
            of_all[:, kept] = times
            return whole(of_all)  # type: ignore[misc]

        own = None if whole is None else of_draws
        return replace(self, seen=self.seen[kept], sums=self.sums[kept], of_draws=own)


def draws(key: str, n: int, count: int) -> Iterator[tuple[int, np.ndarray]]:
    """How often each of n examples is drawn, (some draws, n), and the place of the first of these draws.

    Args:
        key: what the draws are of, such as the task's name: the same draws for the same key.
        n: how many examples there are, and are drawn with replacement.
        count: how many draws, a multiple of 250.
    """
    generator = np.random.default_rng(zlib.crc32(key.encode()))
    for start in range(0, count, _AT_ONCE):
        yield start, generator.multinomial(n, np.full(n, 1 / n), size=_AT_ONCE)


def sums_of(task: Task, predictions: Predictions) -> ExampleSums:
    """What the task's first metric is made of on a split.

    Args:
        task: the task.
        predictions: of the split.
    """
    kind, metric, seen = task.of_kind, task.metrics[0], predictions.seen
    of_draws, is_quick = _scored_anew(kind, metric, predictions), False
    if isinstance(kind, ScoredKind):
        answered = kind.answered(predictions)
        if (found := _sums(metric, answered)) is not None:
            return ExampleSums(seen=seen, sums=found[0], score=found[1])
        if metric in _OF_RANKS and not answered.is_empty:
            of_draws, is_quick = _OF_RANKS[metric](answered), True
    nothing = np.zeros((len(predictions), 0))
    return ExampleSums(seen=seen, sums=nothing, score=lambda sums: sums, of_draws=of_draws, is_quick=is_quick)


def _scored_anew(kind: Kind, metric: str, predictions: Predictions) -> OfDraws:
    def score(some: np.ndarray) -> float:
        try:
            return kind.scores(predictions.chosen(some))[metric]
        except InputError:  # a user's own function need not have a value for every draw
            return math.nan

    places = np.arange(len(predictions))
    return lambda times: np.array([score(np.repeat(places, own)) for own in times])


def _sums(metric: str, answered: Answered) -> Sums | None:
    """None where the metric does not follow from sums."""
    name, _, label = metric.partition(":")
    score = name.rpartition("_")[-1]
    if metric == "pearson":
        return moments(*pair(answered)), correlation
    if metric in ("exact_match", "token_f1"):
        return _by_example(metric, answered)
    if metric == "accuracy":
        return _right(answered)
    of_label = bool(label) and name in SCORES
    if metric in ("matthews", "balanced_accuracy") or of_label or (metric in METRICS and score in SCORES):
        counts = _span_counts(answered) if answered.spans else _counts(answered)
        return counts, _of_counts(metric, score, label, answered)
    return None


def _right(answered: Answered) -> Sums:
    if answered.form == "tags":
        pairs = zip(answered.labels, answered.answers, strict=True)
        own = [(sum(a == b for a, b in zip(*pair, strict=True)), len(pair[0])) for pair in pairs]
        return np.array(own, float).reshape(-1, 2), _ratio
    same = np.asarray(answered.labels) == np.asarray(answered.answers)  # (examples,), of label-sets (examples, classes)
    same = same.reshape(len(same), -1).all(axis=1)  # (examples,)
    return np.stack([same, np.ones_like(same)], 1).astype(float), _ratio


def _by_example(metric: str, answered: Answered) -> Sums:
    """Metrics that are the mean of the examples' own."""
    function = find_metric(metric).function
    pairs = zip(answered.labels, answered.answers, strict=True)
    values = [function(Answered(form=answered.form, labels=[label], answers=[answer])) for label, answer in pairs]
    return np.stack([np.array(values, float), np.ones(len(values))], 1), _ratio


def _counts(answered: Answered) -> np.ndarray:
    """How often each class is both, is answered and is right: (examples, 3 classes)."""
    C = len(answered.names)
    right, given = right_and_answered(answered)  # (examples or tokens,), or of label-sets (examples, classes)
    if right.ndim == 1:
        right, given = (side[:, None] == np.arange(C) for side in (right, given))  # (examples or tokens, classes)
    counts = np.concatenate([right & given, given, right], 1).astype(float)  # (examples or tokens, 3 classes)
    if answered.form != "tags":
        return counts
    ends = np.cumsum([len(own) for own in answered.labels])  # (sentences,)
    below = np.concatenate([np.zeros((1, 3 * C)), np.cumsum(counts, 0)])  # (1 + tokens, 3 classes)
    return np.diff(below[ends], axis=0, prepend=np.zeros((1, 3 * C)))  # (sentences, 3 classes)


def _span_counts(answered: Answered) -> np.ndarray:
    """The same of the spans of each type: (sentences, 3 types)."""
    types = types_of(answered.names)
    pairs = zip(answered.labels, answered.answers, strict=True)
    counts = [[[counter[kind] for kind in types] for counter in count([own], [given])] for own, given in pairs]
    return np.array(counts, float).reshape(len(counts), 3 * len(types))


def _of_counts(metric: str, score: str, label: str, answered: Answered) -> Callable[[np.ndarray], np.ndarray]:
    """Counts (..., 3 classes) to scores (...)."""
    names = types_of(answered.names) if answered.spans else list(answered.names)
    only = label or (answered.positive if metric in SCORES else None)
    every = answered.form == "label-sets"

    def value(counts: np.ndarray) -> np.ndarray:
        both, given, right = np.moveaxis(counts.reshape(*counts.shape[:-1], 3, len(names)), -2, 0)  # (..., classes)
        if metric == "matthews":
            return _matthews(both, given, right)
        if metric == "balanced_accuracy":
            return _mean(_share(both, right), right > 0)
        if only is not None:
            place = names.index(only)
            return _score(score, both[..., place], given[..., place], right[..., place])
        if metric.startswith(("micro", "span")):
            return _score(score, both.sum(-1), given.sum(-1), right.sum(-1))
        by_class = _score(score, both, given, right)  # (..., classes)
        if metric.startswith("weighted"):
            return _share((by_class * right).sum(-1), right.sum(-1))
        return _mean(by_class, np.ones_like(given, dtype=bool) if every else given + right > 0)

    return value


def _score(score: str, both: np.ndarray, given: np.ndarray, right: np.ndarray) -> np.ndarray:
    if score == "f1":
        return _share(2 * both, given + right)
    return _share(both, given if score == "precision" else right)


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """0 where there is nothing to divide by."""
    return part / np.where(whole > 0, whole, 1)


def _mean(values: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """Over the classes that are counted, (..., classes) to (...)."""
    return _share((values * counted).sum(-1), counted.sum(-1))


def _matthews(both: np.ndarray, given: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Gorodkin's correlation of K classes, (..., classes) to (...); 0 where all answers or all labels are the same."""
    n = right.sum(-1)
    spread = (n * n - (given * given).sum(-1)) * (n * n - (right * right).sum(-1))
    found = n * both.sum(-1) - (given * right).sum(-1)
    return found / np.sqrt(np.where(spread > 0, spread, 1)) * (spread > 0)


def _ratio(sums: np.ndarray) -> np.ndarray:
    return _share(sums[..., 0], sums[..., 1])
