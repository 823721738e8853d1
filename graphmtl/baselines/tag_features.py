"""What is seen of a token: how it is written, and what its neighbours are."""

from collections.abc import Iterable
from itertools import chain

import numpy as np
from scipy import sparse

from graphmtl.baselines.baseline import Group
from graphmtl.baselines.examples import Examples

__all__ = ["features_of_word", "tag_features"]

_LEAST = 2  # times that a feature stands in training; about half of all stand there once
_AFFIXES = (1, 2, 3, 4)  # characters
_NEAR, _FAR = ("lower", "shape", "end3"), ("lower",)
_NEIGHBOURS = {-2: _FAR, -1: _NEAR, 1: _NEAR, 2: _FAR}  # what is seen of the token so many places on


def features_of_word(word: str) -> dict[str, str]:
    """What is seen of a word: itself, without case, its first and last characters, its shape, and that without runs.

    >>> features_of_word("B2-Bus")["shape"], features_of_word("Buses")["runs"], features_of_word("Buses")["end3"]
    ('Xd-Xxx', 'Xx', 'ses')
    """
    lower = word.lower()
    shape = "".join("X" if c.isupper() else "x" if c.isalpha() else "d" if c.isdigit() else c for c in word)
    runs = "".join(c for c, before in zip(shape, f" {shape}", strict=False) if c != before)
    begins = {f"begin{n}": lower[:n] for n in _AFFIXES}
    ends = {f"end{n}": lower[-n:] for n in _AFFIXES}
    return {"word": word, "lower": lower, "shape": shape, "runs": runs, **begins, **ends}


_NAMES = [*features_of_word("")]


def tag_features(group: Group) -> dict[str, dict[str, sparse.csr_matrix]]:
    """The features of the tokens of some tasks, each 1 or 0.

    They are those of the word, and some of those of its two neighbours on each side, or that the text begins or ends
    there. What training has once is left out.

    Args:
        group: the examples of each task, by split; which features there are is learned from ``train``.

    Returns:
        ``{task: {split: (tokens of all examples, features)}}``.
    """
    words: dict[str, int] = {}
    ids = {task: {split: _ids(examples, words) for split, examples in splits.items()} for task, splits in group.items()}
    table, values = _table(words)
    columns = {
        task: {split: _columns(own, group[task][split].lengths, table, values) for split, own in splits.items()}
        for task, splits in ids.items()
    }
    count = (1 + len(_NEIGHBOURS)) * (values + len(_NAMES))
    train = np.concatenate([own["train"].ravel() for own in columns.values()])
    known = np.flatnonzero(np.bincount(train, minlength=count) >= _LEAST)
    return {
        task: {split: _matrix(own, count)[:, known] for split, own in splits.items()}
        for task, splits in columns.items()
    }


def _ids(examples: Examples, words: dict[str, int]) -> np.ndarray:
    """The tokens of all examples as numbers of words, (tokens,)."""
    tokens = chain.from_iterable(examples.rows["tokens"])
    return np.array([words.setdefault(token, len(words)) for token in tokens], dtype=np.int64)


def _table(words: Iterable[str]) -> tuple[np.ndarray, int]:
    """The features of each word as numbers, (words, features of a word), and how many different ones there are."""
    numbers: dict[tuple[str, str], int] = {}
    rows = [[numbers.setdefault(each, len(numbers)) for each in features_of_word(word).items()] for word in words]
    return np.array(rows, dtype=np.int64), len(numbers)


def _columns(ids: np.ndarray, lengths: np.ndarray, table: np.ndarray, values: int) -> np.ndarray:
    """The features of tokens as numbers, (tokens, features of a token).

    Args:
        ids: (tokens of all texts,), the word of each.
        lengths: (texts,), tokens of each.
        table: the features of each word.
        values: how many different ones there are; numbers from there on say that there is no neighbour.
    """
    place = np.arange(len(ids))
    begin, end = (np.repeat(own, lengths) for own in (np.cumsum(lengths) - lengths, np.cumsum(lengths)))
    found = [table[ids]]
    for i, (distance, seen) in enumerate(_NEIGHBOURS.items(), 1):
        there = (place + distance >= begin) & (place + distance < end)  # (tokens,)
        own = np.array([_NAMES.index(name) for name in seen])
        neighbours = table[ids[np.where(there, place + distance, place)]][:, own]  # (tokens, features seen)
        found.append(np.where(there[:, None], neighbours, values + own) + i * (values + len(_NAMES)))
    return np.hstack(found)


def _matrix(columns: np.ndarray, count: int) -> sparse.csr_matrix:
    """Features as rows of 0 and 1, (tokens, features)."""
    tokens, width = columns.shape
    begins = np.arange(0, tokens * width + 1, width)
    return sparse.csr_matrix((np.ones(tokens * width), columns.ravel(), begins), shape=(tokens, count))
