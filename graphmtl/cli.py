"""The command line: ``graphmtl VERB`` or ``python -m graphmtl.VERB``; a user's mistake is one line and exit code 2."""

import argparse
import ctypes
import importlib
import importlib.metadata
import os
import platform
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from graphmtl.errors import DataWarning, InputError, unknown_name

__all__ = ["VERBS", "Parser", "main", "run_verb"]

VERBS = {
    "run": "train on a set of tasks, test, and draw the learned task graph",
    "evaluate": "score a finished run on a split, or on other data",
    "predict": "label raw text, or the rows of a file, with a finished run",
    "transfer": "a new task joins the graph of a finished run, or each in turn (--leave-one-out)",
    "plot": "draw a finished run's task graph again",
    "report": "write one HTML file with all that there is to see of finished runs",
    "explain": "measure whether a finished run's task graph can be trusted",
    "export": "write a finished run's model as an ONNX file, checked in onnxruntime",
}


class Parser(argparse.ArgumentParser):
    """argparse, with its errors as :class:`InputError`."""

    def error(self, message: str):
        raise InputError(message)


def run_verb(verb: Callable[[Sequence[str]], None], argv: Sequence[str] | None = None) -> None:
    """Runs a verb's ``main``; a user's mistake becomes one line on stderr and exit code 2."""
    _keep_freed_memory()
    try:
        with _notes_on_stderr():
            verb(sys.argv[1:] if argv is None else argv)
    except InputError as error:
        message = " ".join(str(error).split())
        print(f"graphmtl: error: {message}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:  # the reader of our output has gone, as in `graphmtl predict ... | head`
        sys.stderr.close()
    except KeyboardInterrupt:
        sys.exit(130)


@contextmanager
def _notes_on_stderr() -> Iterator[None]:
    """Prints what `graphmtl.errors.note` says as a line, each time; other warnings stay as they are."""
    shown = warnings.showwarning

    def show(message, category, *place, **more):
        if issubclass(category, DataWarning):
            if os.environ.get("RANK", "0") != "0":  # of several processes one says it
                return
            print(f"graphmtl: {' '.join(str(message).split())}", file=sys.stderr)
        else:
            shown(message, category, *place, **more)

    with warnings.catch_warnings():
        warnings.simplefilter("always", DataWarning)
        warnings.showwarning = show
        yield


def _keep_freed_memory() -> None:
    """Makes glibc keep what a batch has freed for the next one, up to 2 GiB.

    As a rule it returns large blocks to the system, which must clear every page that it gives again: on a CPU up to a
    third of the time of an evaluation, depending on what happens to lie where. What the user has set stays.
    """
    if platform.libc_ver()[0] == "glibc" and "MALLOC_TRIM_THRESHOLD_" not in os.environ:
        trim_threshold, mmap_threshold = -1, -3  # their numbers in malloc.h
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(trim_threshold, 2**31 - 1)
        mallopt(mmap_threshold, 2**25)  # glibc takes no more


def main(argv: Sequence[str] | None = None) -> None:
    """The console script ``graphmtl``."""
    argv = list(sys.argv[1:] if argv is None else argv)
    if not argv or argv[0] in ("-h", "--help"):
        print("usage: graphmtl VERB ...\n\nGraph multi-task learning for text.\n\nverbs:")
        print("\n".join(f"  {name:<10} {what}" for name, what in VERBS.items()))
        print("\ngraphmtl VERB --help explains a verb; graphmtl --version tells the version.")
        return
    if argv[0] == "--version":
        print(f"graphmtl {importlib.metadata.version('graphmtl')}")
        return
    run_verb(_dispatch, argv)


def _dispatch(argv: Sequence[str]) -> None:
    if argv[0] not in VERBS:
        raise unknown_name("verb", argv[0], VERBS)
    importlib.import_module(f"graphmtl.{argv[0]}").main(argv[1:])
