r"""What is most frequent, whatever the text says.

The probability of a class is :math:`(n_c + 1) / (n + C)`, where :math:`n_c` of the n training labels are it and there
are C classes (Laplace's rule of succession), so that a label that training never saw has a loss.
"""

from collections import Counter
from collections.abc import Callable, Mapping

import numpy as np

from graphmtl.baselines.answers import of_choices, of_classes, of_label_sets, of_numbers, of_tags
from graphmtl.baselines.baseline import Baseline, Group, held_out
from graphmtl.baselines.examples import Examples, Said
from graphmtl.baselines.words import Words
from graphmtl.data.flat import ranges
from graphmtl.data.kind import NO_LABEL
from graphmtl.data.task import Task
from graphmtl.kinds.multi_label import best_threshold
from graphmtl.kinds.span import QuestionAnswering

__all__ = ["Majority"]

_Say = Callable[[Examples], Said]


class Majority(Baseline):
    """``majority``: the most frequent label, tag or place of the right choice, or the mean score.

    Of several labels those are answered whose frequency is at least a threshold, which the validation split chooses as
    it does for a model. A question is answered with the most frequent pair of a first and a last word, counted from the
    beginning of the context, or with none.
    """

    def refusal(self, task: Task) -> str | None:
        if task.of_kind.form in _SAYS or isinstance(task.of_kind, QuestionAnswering):
            return None
        return f"nobody says what is most frequent among labels of kind {task.kind}"

    def fit(self, group: Group, words: Words, *, seed: int) -> dict[str, dict[str, Said]]:
        say = {
            name: _SAYS.get(own["train"].task.of_kind.form, _spans)(own["train"], own["valid"])
            for name, own in group.items()
        }
        return {
            split: {name: say[name](examples) for name, examples in own.items()}
            for split, own in held_out(group).items()
        }


def _frequencies(labels: np.ndarray, classes: int) -> np.ndarray:
    """Those of the classes among the labels that are there, (classes,)."""
    counts = np.bincount(labels[labels != NO_LABEL], minlength=classes)  # (classes,)
    return (counts + 1) / (counts.sum() + classes)


def _classes(train: Examples, valid: Examples) -> _Say:
    p = _frequencies(train.values, len(train.task.labels))  # (classes,)
    return lambda examples: of_classes(np.tile(p, (len(examples), 1)), examples)


def _tags(train: Examples, valid: Examples) -> _Say:
    p = _frequencies(train.values, len(train.task.labels))  # (tags,)
    return lambda examples: of_tags(np.broadcast_to(p, (len(examples.values), len(p))), examples)


def _choices(train: Examples, valid: Examples) -> _Say:
    counts = np.bincount(train.values)  # (places,)

    def say(examples: Examples) -> Said:
        sizes = np.array([*map(len, examples.rows["choices"])], dtype=np.int64)  # (examples,)
        places = ranges(np.zeros_like(sizes), sizes)  # (choices of all examples,)
        often = np.pad(counts, (0, max(0, sizes.max(initial=0) - len(counts))))
        return of_choices(np.log(often[places] + 1), examples)

    return say


def _numbers(train: Examples, valid: Examples) -> _Say:
    mean, std = train.moments()
    return lambda examples: of_numbers(np.full(len(examples), mean), examples, std=std)


def _label_sets(train: Examples, valid: Examples) -> _Say:
    p = (train.values.sum(0) + 1) / (len(train) + 2)  # (classes,)
    threshold = best_threshold(np.tile(p.astype(np.float32), (len(valid), 1)), valid.values)
    return lambda examples: of_label_sets(np.tile(p, (len(examples), 1)), examples, threshold=threshold)


def _spans(train: Examples, valid: Examples) -> _Say:
    """Places are counted in words; a place behind the last word of a context is that word's."""
    most = Counter(map(tuple, train.values.tolist())).most_common(1)[0][0]
    counts = [np.bincount(own) for own in train.values.T]  # of the places of first and of last words

    def say(examples: Examples) -> Said:
        last = examples.lengths - 1  # (examples,)
        answers = np.minimum(np.array(most), last[:, None])  # (examples, 2)
        log_p = [_log_places(own, last) for own in counts]  # twice (examples, places)
        each = np.arange(len(examples))
        right = np.stack([own[each, examples.values[:, i]] for i, own in enumerate(log_p)])  # (2, examples)
        said = np.stack([own[each, answers[:, i]] for i, own in enumerate(log_p)])  # (2, examples)
        return Said(answers, np.exp(said.sum(0))[:, None].astype(np.float32), -right.mean(0))

    return say


def _log_places(counts: np.ndarray, last: np.ndarray) -> np.ndarray:
    """The logarithm of the frequency of each place, (examples, places), up to the last one of each, (examples,)."""
    places = np.arange(max(len(counts), int(last.max(initial=0)) + 1))
    own = np.where(places <= last[:, None], np.pad(counts, (0, len(places) - len(counts))) + 1.0, 0)
    with np.errstate(divide="ignore"):
        return np.log(own / own.sum(1, keepdims=True))


_SAYS: Mapping[str, Callable[[Examples, Examples], _Say]] = {
    "classes": _classes,
    "tags": _tags,
    "choices": _choices,
    "numbers": _numbers,
    "label-sets": _label_sets,
}
