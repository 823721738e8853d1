"""The command line: ``graphmtl VERB``, ``python -m graphmtl VERB`` or ``python -m graphmtl.VERB``; a user's mistake is
one line and exit code 2.

A verb's libraries take seconds to load, and are loaded once its arguments are known to be right.
"""

import ctypes
import errno
import importlib
import os
import platform
import signal
import sys
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from signal import SIGINT, SIGTERM
from typing import Any

from graphmtl.arguments import ARGUMENTS, Parser
from graphmtl.errors import CountWarning, DataWarning, InputError, unknown_name
from graphmtl.interruption import Interrupted, dropped_signals_come_again, exit_code, leave, terminated
from graphmtl.manual.pages import TOPICS, print_page, question
from graphmtl.verbosity import FLAGS, NORMAL, QUIET, VERBOSE, detail, is_quiet, verbosity

__all__ = ["VERBS", "Parser", "main", "run_verb"]

VERBS = {
    "init": "write a task file for files of examples, their columns guessed",
    "run": "train on a set of tasks, test, and draw the learned task graph",
    "pretrain": "train what tasks share as a language model of unlabelled texts, for runs to start from",
    "evaluate": "score a finished run on a split, or on other data",
    "predict": "label raw text, or the rows of a file, with a finished run",
    "compare": "does it pay? architectures or finished runs, task by task, beyond chance",
    "transfer": "a new task joins the graph of a finished run, or each in turn (--leave-one-out)",
    "plot": "draw a finished run's task graph again",
    "report": "write one HTML file with all that there is to see of finished runs",
    "explain": "measure whether a finished run's task graph can be trusted",
    "export": "write a finished run's model as an ONNX file, checked in onnxruntime",
}


_OF_THE_MACHINE = {
    getattr(errno, name)
    for name in ("ENOSPC", "EDQUOT", "EFBIG", "EROFS", "EACCES", "EPERM", "EIO", "ENAMETOOLONG", "ELOOP")
}
_LEVELS = {"-q": QUIET, "--quiet": QUIET, "-v": VERBOSE, "--verbose": VERBOSE}


def run_verb(verb: Callable[[Sequence[str]], None], argv: Sequence[str] | None = None) -> None:
    """Runs a verb's ``main``; a user's mistake becomes one line on stderr and exit code 2.

    ``-q`` and ``-v`` are taken out of its arguments: they say how much is said, whatever the verb.
    """
    _keep_freed_memory()
    try:
        level, argv = _level(sys.argv[1:] if argv is None else argv)
        if signal.getsignal(SIGINT) is leave:  # while `python -m graphmtl.VERB` loaded
            signal.signal(SIGINT, signal.default_int_handler)
        with verbosity(level), _notes_on_stderr(), _sigterm_like_ctrl_c(), dropped_signals_come_again():
            began = time.perf_counter()
            verb(argv)
            detail(f"{time.perf_counter() - began:.1f} seconds{_most_memory()}")
    except InputError as error:
        message = " ".join(str(error).split())
        print(f"graphmtl: error: {message}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:  # the reader of our output has gone, as in `graphmtl predict ... | head`
        sys.stderr.close()
    except OSError as error:  # of the machine, wherever it was met
        if error.errno not in _OF_THE_MACHINE:
            raise
        print(f"graphmtl: error: {error.filename or 'a file'}: {error.strerror}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt as error:
        message, signum = (str(error), error.signum) if isinstance(error, Interrupted) else ("interrupted", SIGINT)
        print(f"graphmtl: {message}", file=sys.stderr)
        sys.exit(exit_code(signum))


def _level(argv: Sequence[str]) -> tuple[int, list[str]]:
    """How much is to be said, and the other arguments; those after ``--`` are texts."""
    end = list(argv).index("--") if "--" in argv else len(argv)
    given = {_LEVELS[each]: each for each in argv[:end] if each in _LEVELS}
    if len(given) > 1:
        raise InputError(f"{' and '.join(given.values())}: one says less, the other more; give one")
    return next(iter(given), NORMAL), [*(each for each in argv[:end] if each not in _LEVELS), *argv[end:]]


def _most_memory() -> str:
    """The most memory that the process has had, where the system tells."""
    try:
        import resource
    except ModuleNotFoundError:  # Windows
        return ""
    unit = 1 if sys.platform == "darwin" else 1024
    return f", {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20:,.0f} MiB of memory at most"


@contextmanager
def _notes_on_stderr() -> Iterator[None]:
    """Prints what `graphmtl.errors.note` says as a line, the same one once; other warnings stay as they are.

    What is counted is told at the end, of all that was read one part after the other.
    """
    shown, said, counts = warnings.showwarning, set[str](), Counter[tuple[str, str]]()

    def tell(message: Warning | str) -> None:
        line = " ".join(str(message).split())
        if not is_quiet() and line not in said:  # as of data that are read again, for each of a run's controls
            print(f"graphmtl: {line}", file=sys.stderr)
        said.add(line)

    def show(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
        if isinstance(message, CountWarning):
            counts[message.about] += message.count
        elif issubclass(category, DataWarning):
            tell(message)
        else:
            shown(message, category, *place, **more)

    with warnings.catch_warnings():
        warnings.simplefilter("always", DataWarning)
        warnings.showwarning = show
        try:
            yield
        finally:
            for (before, after), count in counts.items():
                tell(CountWarning(before, count, after))


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
    if not argv or argv == ["help"] or argv[0] in ("-h", "--help"):
        print("usage: graphmtl VERB ...\n\nGraph multi-task learning for text.\n\nverbs:")
        print("\n".join(f"  {name:<14} {what}" for name, what in VERBS.items()))
        print("\ntopics of the manual, graphmtl help TOPIC:")
        print("\n".join(f"  {name:<14} {question(name)}" for name in TOPICS))
        print(f"\nWith every verb: {FLAGS}.")
        print("graphmtl help VERB explains a verb; graphmtl --version tells the version.")
        return
    if argv[0] == "--version":
        from importlib.metadata import version  # a tenth of the time that all else here takes

        print(f"graphmtl {version('graphmtl')}")
        return
    run_verb(_dispatch, argv)


def _dispatch(argv: Sequence[str]) -> None:
    if not argv:  # but -q or -v
        raise InputError(f"no verb; known: {', '.join(VERBS)}")
    verb, *rest = argv
    if verb == "help" and rest:
        _help(*rest)
        return
    if verb not in VERBS:
        raise unknown_name("verb", verb, [*VERBS, "help"])
    if verb in ARGUMENTS:
        ARGUMENTS[verb](rest)  # which ends here with --help or a mistake
    with _loading():
        module = importlib.import_module(f"graphmtl.{verb}")
    module.main(rest)


def _help(name: str, *rest: str) -> None:
    """A page of the manual, or the arguments of a verb; of a name that is both, one after the other."""
    if name in TOPICS:
        print_page(name)
    elif name not in VERBS:
        raise unknown_name("verb or topic", name, dict.fromkeys([*VERBS, *TOPICS]))
    if name in VERBS:
        _dispatch([name, "--help", *rest])


@contextmanager
def _loading() -> Iterator[None]:
    """While libraries load, which may catch Ctrl-C or make another error of it, it ends the process at once: there is
    nothing to save."""
    began, before = time.perf_counter(), dict[int, Any]()
    if threading.current_thread() is threading.main_thread():
        ours = (signal.default_int_handler, terminated)
        before = {each: own for each in (SIGINT, SIGTERM) if (own := signal.getsignal(each)) in ours}
    for each in before:
        signal.signal(each, leave)
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
    detail(f"{time.perf_counter() - began:.1f} seconds to load graphmtl's libraries")


@contextmanager
def _sigterm_like_ctrl_c() -> Iterator[None]:
    """SIGTERM ends a verb with a line, as Ctrl-C does; one that somebody else handles is left to them."""
    takes = signal.getsignal(SIGTERM) is signal.SIG_DFL and threading.current_thread() is threading.main_thread()
    if takes:
        signal.signal(SIGTERM, terminated)
    try:
        yield
    finally:
        if takes:
            signal.signal(SIGTERM, signal.SIG_DFL)
