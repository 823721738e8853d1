"""How much is said: what the command line's ``-q`` and ``-v`` set, for whatever says something to the user."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TextIO, TypeVar

from tqdm import tqdm

__all__ = ["FLAGS", "NORMAL", "QUIET", "VERBOSE", "detail", "is_quiet", "is_verbose", "progress", "say", "verbosity"]

FLAGS = """\
-q, --quiet: errors and the result alone, no notes; -v, --verbose: also the files that are read, times and memory"""
QUIET, NORMAL, VERBOSE = 0, 1, 2
_level = NORMAL
_DELAY = 5  # seconds that nobody minds
_T = TypeVar("_T")


@contextmanager
def verbosity(level: int) -> Iterator[None]:
    """Says as much as `QUIET`, `NORMAL` or `VERBOSE` means, until the end of the block."""
    global _level
    before, _level = _level, level
    try:
        yield
    finally:
        _level = before


def is_quiet() -> bool:
    """Whether errors and a verb's result alone are to be said."""
    return _level == QUIET


def is_verbose() -> bool:
    """Whether all that there is to say is to be said."""
    return _level == VERBOSE


def say(*lines: object, file: TextIO | None = None, flush: bool = False) -> None:
    """Prints lines that tell how things go, unless it is to be quiet; the result of a verb is printed in any case."""
    if _level > QUIET:
        print(*lines, sep="\n", file=file, flush=flush)


def progress(values: Iterable[_T], what: str, total: int) -> Iterable[_T]:
    """The values one after the other, with a bar on a terminal where that takes long, unless it is to be quiet."""
    return tqdm(values, what, total, delay=_DELAY, leave=False, disable=True if is_quiet() else None)


def detail(line: str) -> None:
    """Prints a line on stderr that only ``-v`` asks for."""
    if _level == VERBOSE:
        print(f"graphmtl: {line}", file=sys.stderr)
