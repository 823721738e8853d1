"""What a user's mistake looks like: one line that names the place, the value and what is accepted."""

import difflib
import os
import sys
import warnings
from collections.abc import Iterable
from numbers import Integral
from typing import Any

__all__ = ["CountWarning", "DataWarning", "InputError", "check_kind", "check_whole", "note", "shown", "unknown_name"]

_LONGEST = 60  # characters of a user's value that a message shows


class InputError(ValueError):
    """A mistake in the user's files or options.

    The message is one line that names the file, the line and the value at fault, and what is accepted.
    The command line prints it and leaves with exit code 2.
    """


class DataWarning(UserWarning):
    """What a user should know of the data or of options, where it is no mistake for certain."""


class CountWarning(DataWarning):
    """Of how many texts something is to be known.

    Args:
        before: what is said before the number.
        count: the number.
        after: what is said after it.
    """

    def __init__(self, before: str, count: int, after: str):
        super().__init__(f"{before} {count:,} {after}")
        self.about, self.count = (before, after), count


def note(message: str | DataWarning) -> None:
    """Warns of something that the user should know; the command line prints it as one line on stderr.

    The place of the warning is that of the call from outside the package.
    """
    if os.environ.get("RANK", "0") != "0":  # of several processes one says it
        return
    frame, level = sys._getframe(), 1
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("graphmtl."):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, DataWarning, stacklevel=level)


def shown(value: object) -> str:
    """A value of a user's file for an error message: one short line."""
    return _short(repr(value))


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def check_kind(name: str, value: object, kinds: Any, expected: str) -> None:
    """Whether an argument is of one of these classes; a bool is no number.

    Raises:
        InputError: it is not.

    >>> check_kind("jobs", "2", int, "a whole number")
    Traceback (most recent call last):
    graphmtl.errors.InputError: jobs: found '2', expected a whole number
    """
    if not isinstance(value, kinds) or (isinstance(value, bool) and kinds is not bool):
        raise InputError(f"{name}: found {shown(value)}, expected {expected}")


def check_whole(name: str, value: object, low: int = 0) -> None:
    """Whether an argument is a whole number of at least ``low``.

    Raises:
        InputError: it is not.
    """
    expected = f"a whole number from {low} on"
    check_kind(name, value, Integral, expected)
    if int(value) < low:  # type: ignore[call-overload]
        raise InputError(f"{name}: found {value}, expected {expected}")


def unknown_name(what: str, name: object, known: Iterable[str]) -> InputError:
    """The error for a name that does not exist, with the nearest name that does.

    >>> str(unknown_name("arch", "stra", ["single", "star"]))
    "unknown arch 'stra'; did you mean 'star'? (known: single, star)"
    """
    known = [_short(each) for each in known]  # a file's columns, say, may be texts
    near = difflib.get_close_matches(_short(str(name)), known, n=1, cutoff=0.4)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    listed = f" (known: {', '.join(known)})" if len(known) <= 30 else ""
    return InputError(f"unknown {what} {shown(name)}{hint}{listed}")
