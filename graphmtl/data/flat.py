"""Lists of numbers of any length, one after the other in files that are mapped into memory."""

import tempfile
from array import array
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from graphmtl.files import writing

__all__ = ["one_after_the_other", "ranges"]


def one_after_the_other(texts: Iterable[Sequence[Sequence[int]]], lists: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each of the ``lists`` lists that a text has: its numbers of all texts, and how many each text has.

    >>> (words, lengths), (tags, _) = one_after_the_other([([5, 6], [1]), ([7], [])], 2)
    >>> words.tolist(), lengths.tolist(), tags.tolist()
    ([5, 6, 7], [2, 1], [1])

    Raises:
        InputError: the folder of temporary files has no room for them.
    """
    lengths = array("q")
    with ExitStack() as stack:
        stack.enter_context(writing(Path(tempfile.gettempdir())))
        files = [stack.enter_context(tempfile.TemporaryFile()) for _ in range(lists)]
        for text in texts:
            for file, numbers in zip(files, text, strict=True):
                file.write(np.asarray(numbers, dtype=np.int32).data)  # numpy's tofile says nothing of a full disk
            lengths.extend(map(len, text))
        for file in files:
            file.flush()
        found = np.frombuffer(lengths, dtype=np.int64).reshape(-1, lists).T  # (lists, texts)
        return [
            (np.memmap(file, dtype=np.int32, mode="r") if own.any() else np.empty(0, dtype=np.int32), own)
            for file, own in zip(files, found, strict=True)
        ]


def ranges(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Whole numbers from each start, as many as its length says.

    >>> ranges(np.array([5, 1]), np.array([2, 3])).tolist()
    [5, 6, 1, 2, 3]
    """
    before = np.cumsum(lengths) - lengths
    return np.repeat(starts - before, lengths) + np.arange(lengths.sum())
