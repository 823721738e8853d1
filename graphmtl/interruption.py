"""Ctrl-C and SIGTERM: what is under way is finished first; a second one ends the process at once."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

__all__ = [
    "Interrupted",
    "Signals",
    "dropped_signals_come_again",
    "end_at_once_while_loading",
    "exit_code",
    "leave",
    "signals_wait",
    "terminated",
]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_SOON = 0.05  # seconds, after which a finaliser has ended


class Interrupted(KeyboardInterrupt):
    """A signal has ended what was done.

    Args:
        signum: the signal.
        message: how far it was, and how to go on; a line.
    """

    def __init__(self, signum: int, message: str = "interrupted") -> None:
        super().__init__(message)
        self.signum = signum


class Signals:
    """What has come since :func:`signals_wait`.

    Attributes:
        wanted: the signal that asked for an end; 0: none has.
    """

    def __init__(self) -> None:
        self.wanted = 0

    def _note(self, signum: int, _: FrameType | None) -> None:
        if self.wanted:
            leave(signum)
        self.wanted = signum
        os.write(2, b"graphmtl: ends after this update; a second signal ends at once\n")


@contextmanager
def signals_wait() -> Iterator[Signals]:
    """While it lasts, SIGINT and SIGTERM are noted and wait; those that somebody else handles are left to them."""
    signals, before = Signals(), dict[int, Any]()
    if threading.current_thread() is threading.main_thread():
        ours = (signal.default_int_handler, signal.SIG_DFL, terminated)
        before = {each: handler for each in _SIGNALS if (handler := signal.getsignal(each)) in ours}
    for each in before:
        signal.signal(each, signals._note)
    try:
        yield signals
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


@contextmanager
def dropped_signals_come_again() -> Iterator[None]:
    """While it lasts, a Ctrl-C that falls into a finaliser or a weak reference's callback, where Python drops what it
    raises, comes again a moment later, or at the end of what is done.

    Raises:
        Interrupted: at the end, where it has not come again yet.
    """
    before, waiting = sys.unraisablehook, dict[threading.Timer, int]()

    def hook(dropped: "sys.UnraisableHookArgs") -> None:
        if not isinstance(dropped.exc_value, KeyboardInterrupt):
            before(dropped)
            return
        signum = getattr(dropped.exc_value, "signum", signal.SIGINT)
        again = threading.Timer(_SOON, os.kill, (os.getpid(), signum))
        again.daemon, waiting[again] = True, signum
        again.start()

    def still_waiting() -> list[int]:
        """Those that have not come again, and will not."""
        found = [(again, signum) for again, signum in waiting.items() if again.is_alive()]
        for again, _ in found:
            again.cancel()
        return [signum for _, signum in found]

    sys.unraisablehook = hook
    try:
        yield
        for signum in still_waiting():
            raise Interrupted(signum)
    finally:
        still_waiting()
        sys.unraisablehook = before


def end_at_once_while_loading() -> None:
    """Of the command line, whose libraries load for seconds: Ctrl-C then has nothing to save."""
    given = sys.orig_argv
    module = given[given.index("-m") + 1] if "-m" in given[:-1] else ""
    looked_for = module.startswith("graphmtl.") and sys.argv[0] == "-m"  # as long as Python looks for the module
    if looked_for or os.path.basename(sys.argv[0]) in ("graphmtl", "graphmtl.exe"):
        signal.signal(signal.SIGINT, leave)


def terminated(signum: int, _: FrameType | None) -> None:
    """A handler that makes of a signal what Ctrl-C is as a rule.

    Raises:
        Interrupted: always.
    """
    raise Interrupted(signum)


def leave(signum: int, _: FrameType | None = None) -> NoReturn:
    """A handler that ends the process at once."""
    os.write(2, b"graphmtl: interrupted\n")
    os._exit(exit_code(signum))


def exit_code(signum: int) -> int:
    """What a process that a signal ended leaves: 130 of Ctrl-C, 143 of SIGTERM."""
    return 128 + signum
