"""Clean evaluation: which texts stand in more than one split, within a task and across the tasks of a run.

Two texts are equal when they differ at most in case, white space and how the same characters are encoded (Unicode's
canonical equivalence). Signs, marks and emoji count: 1.5 is not 15, and C++ not C#. A blank text equals no other. Of
examples with choices the context and all choices are the text, whatever the order of the choices.
"""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from datasets import Dataset

__all__ = ["CleanSplits", "Overlap", "SplitKeys", "clean", "normalise", "of_choices", "row_keys", "seen_in"]


def normalise(text: str, text_pair: str | None = None) -> str:
    """The key under which equal texts are found: NFC, case and white space folded; for a pair both, a TAB between.

    >>> normalise(" It 's a  GREAT film !")
    "it 's a great film !"
    """
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFD", text).casefold())
    key = " ".join(folded.split())
    pair = "" if text_pair is None else normalise(text_pair)
    return key if text_pair is None or not (key or pair) else f"{key}\t{pair}"


def of_choices(context: str, choices: Iterable[str]) -> str:
    """The key of a context with its choices, whose order plays no part."""
    parts = [normalise(context), *sorted(map(normalise, choices))]
    return "\t".join(parts) if any(parts) else ""


def row_keys(rows: Dataset) -> list[str]:
    """The normalised texts of a split with the columns of :class:`~graphmtl.data.task.TaskData`."""
    if "choices" in rows.column_names:
        return [of_choices(text, own) for text, own in zip(rows["text"], rows["choices"], strict=True)]
    if "tokens" in rows.column_names:
        return [normalise(" ".join(tokens)) for tokens in rows["tokens"]]
    pairs = rows["text_pair"] if "text_pair" in rows.column_names else [None] * len(rows)
    return [normalise(text, pair) for text, pair in zip(rows["text"], pairs, strict=True)]


@dataclass(frozen=True, kw_only=True)
class SplitKeys:
    """The normalised texts of a task's splits, in the order of the examples."""

    train: Sequence[str]
    valid: Sequence[str]
    test: Sequence[str]


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
    held_out = _tasks_of_text({name: [*keys.valid, *keys.test] for name, keys in splits.items()})
    fitted = _tasks_of_text({name: [*keys.train, *keys.valid] for name, keys in splits.items()})
    keep = {name: ~_elsewhere(keys.train, held_out, name) for name, keys in splits.items()}
    if keep_overlap:
        keep = {name: np.ones(len(keys.train), dtype=bool) for name, keys in splits.items()}
    training = {key for name, keys in splits.items() for key, kept in zip(keys.train, keep[name], strict=True) if kept}
    return {
        name: _clean_task(name, keys, keep=keep[name], training=training, fitted=fitted)
        for name, keys in splits.items()
    }


def _clean_task(name: str, keys: SplitKeys, *, keep: np.ndarray, training: set, fitted: dict) -> CleanSplits:
    own = {*keys.train, *keys.valid}
    counts = Counter(key for key in (*keys.train, *keys.valid) if key)
    valid_seen, test_seen = seen_in(training, keys.valid), seen_in(training, keys.test)
    overlap = Overlap(
        test_in_own=int(seen_in(own, keys.test).sum()),
        test_in_others=int(_elsewhere(keys.test, fitted, name).sum()),
        repeated=sum(counts.values()) - len(counts),
        dropped=int((~keep).sum()),
        test_seen=int(test_seen.sum()),
        valid_seen=int(valid_seen.sum()),
        empty=0,
    )
    return CleanSplits(keep=keep, valid_seen=valid_seen, test_seen=test_seen, overlap=overlap)


def seen_in(training: set[str], keys: Iterable[str]) -> np.ndarray:
    """(n,) bool: which of the normalised texts stand in ``training``."""
    return np.array([bool(key) and key in training for key in keys], dtype=bool)


def _tasks_of_text(keys: Mapping[str, Iterable[str]]) -> dict[str, set[str]]:
    """The tasks in which each text stands."""
    tasks: dict[str, set[str]] = {}
    for name, texts in keys.items():
        for key in texts:
            tasks.setdefault(key, set()).add(name)
    return tasks


def _elsewhere(keys: Iterable[str], tasks: Mapping[str, set[str]], name: str) -> np.ndarray:
    """(n,) bool: which of the texts stand in a task other than ``name``."""
    return np.array([bool(key) and bool(tasks.get(key, set()) - {name}) for key in keys], dtype=bool)
