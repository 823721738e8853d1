"""The progress bar of a training."""

import sys
from types import TracebackType

from tqdm import tqdm

from graphmtl.verbosity import is_quiet

__all__ = ["ProgressBar"]


class ProgressBar:
    """A bar of steps, and values beside it; a context manager.

    Args:
        total: all steps.
        done: those that were done before.
        wanted: whether there is one at all.
        what: what is done, which stands before the bar.
    """

    def __init__(self, *, total: int, done: int = 0, wanted: bool = True, what: str | None = None) -> None:
        self._shown: dict[str, str] = {}
        self._bar = tqdm(
            desc=what,
            total=total,
            initial=done,
            unit="step",
            mininterval=0.5 if sys.stderr.isatty() else 10.0,  # seconds; a log file needs few lines
            disable=is_quiet() or not wanted,
        )

    def step(self) -> None:
        """One step more is done."""
        self._bar.update()

    def show(self, **values: str) -> None:
        """Put values beside the bar, where the last ones of another name stay."""
        self._shown |= values
        self._bar.set_postfix(self._shown, refresh=False)

    def __enter__(self) -> "ProgressBar":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._bar.close()
