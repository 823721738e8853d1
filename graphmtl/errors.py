"""What a user's mistake looks like: one line that names the place, the value and what is accepted."""

import difflib
import os
import sys
import warnings
from collections.abc import Iterable

__all__ = ["DataWarning", "InputError", "note", "shown", "unknown_name"]

_LONGEST = 60  # characters of a user's value that a message shows


class InputError(ValueError):
    """A mistake in the user's files or options.

    The message is one line that names the file, the line and the value at fault, and what is accepted.
    The command line prints it and leaves with exit code 2.
    """


class DataWarning(UserWarning):
    """What a user should know of the data or of options, where it is no mistake for certain."""


def note(message: str) -> None:
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


def unknown_name(what: str, name: str, known: Iterable[str]) -> InputError:
    """The error for a name that does not exist, with the nearest name that does.

    >>> str(unknown_name("arch", "stra", ["single", "star"]))
    "unknown arch 'stra'; did you mean 'star'? (known: single, star)"
    """
    known = [_short(each) for each in known]  # a file's columns, say, may be texts
    near = difflib.get_close_matches(_short(name), known, n=1, cutoff=0.4)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    listed = f" (known: {', '.join(known)})" if len(known) <= 30 else ""
    return InputError(f"unknown {what} {shown(name)}{hint}{listed}")
