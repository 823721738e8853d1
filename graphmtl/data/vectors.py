"""Pre-trained word vectors, read from text files."""

import codecs
import gzip
import lzma
import warnings
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, islice
from pathlib import Path
from typing import IO

import numpy as np

from graphmtl.errors import InputError
from graphmtl.files import check_regular

__all__ = ["Coverage", "Vectors", "coverage", "read_vectors"]

# A line may be as long as this, so that a packed file of one endless line does not fill the memory.
_LONGEST_FIRST = 1 << 20  # bytes of the first line, which says how many numbers the others have
_LONGEST_WORD, _LONGEST_NUMBER = 1 << 16, 64  # bytes; of a number with the space before it
_AT_ONCE = 1 << 28  # bytes of lines, at most


@dataclass(frozen=True)
class Vectors:
    """Word vectors: ``matrix[i]`` (float32, one row per word) belongs to ``words[i]``."""

    words: list[str]
    matrix: np.ndarray

    @property
    def dim(self) -> int:
        return self.matrix.shape[1]

    @cached_property
    def index(self) -> dict[str, int]:
        """The row of each word (the first one, should a word stand twice)."""
        return {word: i for i, word in reversed(list(enumerate(self.words)))}


@dataclass(frozen=True)
class Coverage:
    """How much of the training text has a pre-trained vector: shares of the different words and of all words."""

    types: float
    tokens: float


def coverage(counts: Mapping[str, int], vectors: Vectors) -> Coverage:
    """The share of the words in ``counts`` (a vocabulary's, of its training texts) that ``vectors`` hold."""
    found = [count for word, count in counts.items() if word in vectors.index]
    return Coverage(types=len(found) / max(len(counts), 1), tokens=sum(found) / max(sum(counts.values()), 1))


def read_vectors(path: Path | str) -> Vectors:
    """Reads word vectors in word2vec or GloVe text format, plain, ``.gz`` or ``.xz``, with or without a header line.

    A line is a word and its numbers, with spaces or tabs between; a header is a first line of two integers: how many
    words, how many dimensions. Words may hold spaces (some GloVe files have such).

    Raises:
        InputError: the file is missing, damaged, empty, not UTF-8, shorter than its header says, or a line has too
            many or too few numbers, or something that is no finite number.
    """
    check_regular(path)
    try:
        with _open(path) as file:
            return _read_vectors(file, path)
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:  # a damaged .gz raises three of them
        raise InputError(f"{path}: cannot read the vectors ({error})") from None


def _open(path: Path | str) -> IO[bytes] | gzip.GzipFile | lzma.LZMAFile:
    suffix = Path(path).suffix
    if suffix == ".gz":
        return gzip.open(path, "rb")
    return lzma.open(path, "rb") if suffix == ".xz" else open(path, "rb")


def _read_vectors(file: IO[bytes] | gzip.GzipFile | lzma.LZMAFile, path: Path | str) -> Vectors:
    first = next(_lines(file, path, 1, _LONGEST_FIRST), b"").removeprefix(codecs.BOM_UTF8)
    fields = first.split()
    header = len(fields) == 2 and all(field.isdigit() and len(field) < 19 for field in fields)  # int64
    expected, dim = (int(fields[0]), int(fields[1])) if header else (None, len(fields) - 1)
    if dim < 1:
        raise InputError(f"{path}, line 1: a word and its numbers expected, found {_shown(first)}")
    words, blocks, line = [], [], 1 if header else 0
    longest = _LONGEST_WORD + _LONGEST_NUMBER * dim
    lines = chain([] if header else [first], _lines(file, path, 2, longest))
    while chunk := list(islice(lines, 1 + min(20_000, _AT_ONCE // longest))):
        more, block = _parse_vectors(chunk, dim, path, line)
        words += more
        blocks.append(block)
        line += len(chunk)
    if not words:
        raise InputError(f"{path}: no vectors in the file")
    if expected not in (None, len(words)):
        raise InputError(f"{path}: the first line promises {expected} words, the file holds {len(words)}")
    return Vectors(words, np.concatenate(blocks))


def _lines(
    file: IO[bytes] | gzip.GzipFile | lzma.LZMAFile, path: Path | str, number: int, longest: int
) -> Iterator[bytes]:
    """The lines of a file from the one it stands at, which has this number; a longer one is none of vectors."""
    for i, line in enumerate(iter(lambda: file.readline(longest + 1), b""), number):
        if len(line) > longest:
            raise InputError(f"{path}, line {i}: more than {longest:,} bytes; a word and its numbers expected")
        yield line


def _parse_vectors(lines: list[bytes], dim: int, path: Path | str, before: int) -> tuple[list[str], np.ndarray]:
    """The words and the (lines, dim) matrix of some lines of a file, of which ``before`` lines were read already."""
    words, rows = [], []
    for i, line in enumerate(lines, before + 1):
        line = line.rstrip().replace(b"\t", b" ")
        word, _, numbers = line.partition(b" ")
        if numbers.count(b" ") != dim - 1 or b"  " in numbers:
            word, numbers = _split_uneven(line, dim, path, i)
        try:
            words.append(word.decode())
        except UnicodeDecodeError:
            raise InputError(f"{path}, line {i}: not UTF-8: {_shown(word)}") from None
        rows.append(numbers)
    matrix = _numbers(b" ".join(rows))
    if matrix.size != len(words) * dim or not np.isfinite(matrix).all():
        fields = ((i, x) for i, row in enumerate(rows, before + 1) for x in row.split(b" ") if not _is_number(x))
        i, field = next(fields)
        raise InputError(f"{path}, line {i}: {_shown(field)} is not a finite number")
    return words, matrix.reshape(len(words), dim)


def _split_uneven(line: bytes, dim: int, path: Path | str, i: int) -> tuple[bytes, bytes]:
    """The word and the numbers of a line with too many spaces: within the word, or more than one between numbers."""
    fields = line.split()
    words, numbers = fields[:-dim], fields[-dim:]
    if not words or (len(words) > 1 and _is_number(words[-1])):
        found = sum(map(_is_number, fields[1:]))
        raise InputError(f"{path}, line {i}: {found} numbers after the word, expected {dim}")
    return b" ".join(words), b" ".join(numbers)


def _numbers(text: bytes) -> np.ndarray:
    """Numbers with spaces between; empty where one is not a number."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)  # what numpy before 2.3 has instead of the error
        try:
            return np.fromstring(text, sep=" ", dtype=np.float32)
        except (ValueError, DeprecationWarning):
            return np.empty(0, dtype=np.float32)


def _is_number(field: bytes) -> bool:
    """Whether it is read as one finite number; what Python takes for one may be none here, such as 1_0."""
    numbers = _numbers(field)
    return numbers.size == 1 and bool(np.isfinite(numbers).all())


def _shown(line: bytes) -> str:
    return repr(line.rstrip()[:40].decode(errors="backslashreplace"))
