"""Clean evaluation: which texts stand in more than one split, within a task and across the tasks of a run.

Two texts are equal when they differ at most in case, white space and how the same characters are encoded (Unicode's
canonical equivalence). Signs, marks and emoji count: 1.5 is not 15, and C++ not C#. A blank text equals no other. Of
examples with choices the context and all choices are the text, whatever the order of the choices.
"""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import repeat

import numpy as np
from datasets import Dataset

from graphmtl.data.column import EachValue, chained, numbered

__all__ = ["CleanSplits", "Overlap", "SplitKeys", "clean", "digest", "normalise", "of_choices", "row_keys", "seen_in"]


def normalise(text: str, text_pair: str | None = None) -> str:
    """The key under which equal texts are found: NFC, case and white space folded; for a pair both, a TAB between.

    >>> normalise(" It 's a  GREAT film !")
    "it 's a great film !"
    """
    if text.isascii():  # to which the rest does no more
        folded = text.lower()
    else:
        folded = unicodedata.normalize("NFC", unicodedata.normalize("NFD", text).casefold())
    key = " ".join(folded.split())
    pair = "" if text_pair is None else normalise(text_pair)
    return key if text_pair is None or not (key or pair) else f"{key}\t{pair}"


def digest(key: str) -> bytes:
    """16 bytes that stand for what `normalise` gave; none for a blank text."""
    return blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).digest() if key else b""


def of_choices(context: str, choices: Iterable[str]) -> str:
    """The key of a context with its choices, whose order plays no part."""
    parts = [normalise(context), *sorted(map(normalise, choices))]
    return "\t".join(parts) if any(parts) else ""


def row_keys(rows: Dataset) -> list[str]:
    """The normalised texts of a split with the columns of :class:`~graphmtl.data.task.TaskData`."""
    if "choices" in rows.column_names:
        both = zip(EachValue(rows, "text"), EachValue(rows, "choices"), strict=True)
        return [of_choices(text, own) for text, own in both]
    if "tokens" in rows.column_names:
        return [normalise(" ".join(tokens)) for tokens in EachValue(rows, "tokens")]
    pairs = EachValue(rows, "text_pair") if "text_pair" in rows.column_names else repeat(None, len(rows))
    return [normalise(text, pair) for text, pair in zip(EachValue(rows, "text"), pairs, strict=True)]


@dataclass(frozen=True, kw_only=True)
class SplitKeys:
    """The normalised texts of a task's splits, or a digest of each, in the order of the examples; a blank is empty."""

    train: Sequence[str | bytes]
    valid: Sequence[str | bytes]
    test: Sequence[str | bytes]


@dataclass(frozen=True, kw_only=True)
class Overlap:
    """What the clean evaluation counted in one task; all are numbers of examples.

    Args:
        test_in_own: test examples whose text stands in the task's own training or validation split.
        test_in_others: test examples whose text stands in another task's training or validation split as it was read.
        repeated: training and validation examples whose text stands there before.
        dropped: training examples left out, since their text stands in another task's validation or test split.
        test_seen: test examples whose text stands in a training split as it is used; `test_dedup` leaves them out.
        valid_seen: the same of validation examples.
        empty: examples of any split without a text.
        beyond: training examples left out, since there are more than ``--max-train``; none of the other numbers has
            them.
    """

    test_in_own: int
    test_in_others: int
    repeated: int
    dropped: int
    test_seen: int
    valid_seen: int
    empty: int
    beyond: int = 0


@dataclass(frozen=True, kw_only=True)
class CleanSplits:
    """What the clean evaluation does to one task.

    Args:
        keep: (n_train,) bool, the training examples that stay.
        valid_seen: (n_valid,) bool, whose text occurs in a training split of the run.
        test_seen: (n_test,) bool, likewise.
        overlap: the counts; ``empty`` and ``beyond`` are left at 0.
    """

    keep: np.ndarray
    valid_seen: np.ndarray
    test_seen: np.ndarray
    overlap: Overlap


def clean(splits: Mapping[str, SplitKeys], *, keep_overlap: bool = False) -> dict[str, CleanSplits]:
    """Finds repeated texts over all splits of all tasks of a run.

    Args:
        splits: the normalised texts of each task.
        keep_overlap: keep the training examples that stand in another task's validation or test split.
    """
    lists = [own for keys in splits.values() for own in (keys.train, keys.valid, keys.test)]
    numbers = numbered(chained(lists))  # (texts of all splits of all tasks,)
    parts = iter(np.split(numbers, np.cumsum([len(own) for own in lists])[:-1]))
    own = {name: (next(parts), next(parts), next(parts)) for name in splits}
    size = int(numbers.max(initial=0)) + 1  # of what has an entry for each different text
    held_out, fitted = np.zeros((2, size), dtype=np.int32)  # by how many tasks
    for train, valid, test in own.values():
        held_out += _standing(size, valid, test)
        fitted += _standing(size, train, valid)
    keep = {name: ~_elsewhere(train, held_out, _standing(size, *others)) for name, (train, *others) in own.items()}
    if keep_overlap:
        keep = {name: np.ones(len(train), dtype=bool) for name, (train, *_) in own.items()}
    training = _standing(size, *(train[keep[name]] for name, (train, *_) in own.items()))
    return {name: _clean_task(*parts, keep=keep[name], training=training, fitted=fitted) for name, parts in own.items()}


def _clean_task(
    train: np.ndarray,
    valid: np.ndarray,
    test: np.ndarray,
    *,
    keep: np.ndarray,
    training: np.ndarray,
    fitted: np.ndarray,
) -> CleanSplits:
    """One task, given the numbers of its texts, and by number of each: whether it is trained on, by how many tasks."""
    own = _standing(len(training), train, valid)
    valid_seen, test_seen = _seen(training, valid), _seen(training, test)
    overlap = Overlap(
        test_in_own=int(_seen(own, test).sum()),
        test_in_others=int(_elsewhere(test, fitted, own).sum()),
        repeated=int((train >= 0).sum() + (valid >= 0).sum() - own.sum()),
        dropped=int((~keep).sum()),
        test_seen=int(test_seen.sum()),
        valid_seen=int(valid_seen.sum()),
        empty=0,
    )
    return CleanSplits(keep=keep, valid_seen=valid_seen, test_seen=test_seen, overlap=overlap)


def _standing(size: int, *numbers: np.ndarray) -> np.ndarray:
    """(size,) bool: which texts stand in lists of their numbers."""
    found = np.zeros(size, dtype=bool)
    for own in numbers:
        found[own[own >= 0]] = True
    return found


def _seen(texts: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """(n,) bool: of which texts, given by number, something is true; never of a blank one."""
    return texts[numbers] & (numbers >= 0)


def _elsewhere(numbers: np.ndarray, tasks: np.ndarray, own: np.ndarray) -> np.ndarray:
    """(n,) bool: which texts stand in another task, given in how many each does, and whether in the own one."""
    return _seen(tasks > own, numbers)


def seen_in(training: set[str], keys: Iterable[str]) -> np.ndarray:
    """(n,) bool: which of the normalised texts stand in ``training``."""
    return np.array([bool(key) and key in training for key in keys], dtype=bool)
