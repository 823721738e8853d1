"""Where the time of a training's updates goes: ``graphmtl run --profile``."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from rich.table import Table
from torch.optim.optimizer import register_optimizer_step_post_hook
from torch.profiler import ProfilerActivity, profile

from graphmtl.printed_tables import print_table
from graphmtl.verbosity import say

__all__ = ["TRACE", "profiled"]

TRACE = "profile.json.gz"
_BEFORE = 10  # updates that are not looked at: at the first ones kernels are compiled and memory is asked for
_UPDATES = 20
_ROWS = 12


class _Watch:
    """Counts updates, and looks at some of them."""

    def __init__(self) -> None:
        self._on_gpu = torch.cuda.is_available()
        activities = [ProfilerActivity.CPU, *((ProfilerActivity.CUDA,) if self._on_gpu else ())]
        self.profile = profile(activities=activities)
        self.seen, self._last = 0, _BEFORE + _UPDATES
        self.seconds = 0.0

    @property
    def looked_at(self) -> int:
        """Updates that were looked at."""
        return min(max(self.seen - _BEFORE, 0), _UPDATES)

    def after_update(self, *_: Any) -> None:
        self.seen += 1
        if self.seen == _BEFORE:
            self._wait()
            self.profile.start()
            self.seconds = -time.perf_counter()
        elif self.seen == self._last:
            self._stop()

    def end(self) -> None:
        """The training has ended, maybe before all updates were looked at."""
        if _BEFORE <= self.seen < self._last:
            self._stop()

    def _stop(self) -> None:
        self._wait()
        self.seconds += time.perf_counter()
        self.profile.stop()

    def _wait(self) -> None:
        if self._on_gpu:
            torch.cuda.synchronize()

    def parts(self) -> tuple[str, list[tuple[str, float, int]]]:
        """Whether kernels of a GPU or operations of the CPU, and of each its name, microseconds and calls."""
        found = self.profile.key_averages()
        kernels = [each for each in found if each.device_type == torch.autograd.DeviceType.CUDA]
        if kernels:
            return "kernel", [(each.key, each.self_device_time_total, each.count) for each in kernels]
        return "operation", [(each.key, each.self_cpu_time_total, each.count) for each in found]


@contextmanager
def profiled(folder: Path) -> Iterator[None]:
    """Looks at some updates of what is trained within, writes their trace into the folder, and prints where time goes.

    Every optimiser's step counts as an update. A trace is read by https://ui.perfetto.dev and chrome://tracing.

    Args:
        folder: of the run; there it becomes ``profile.json.gz``.
    """
    watch = _Watch()
    handle = register_optimizer_step_post_hook(watch.after_update)
    try:
        yield
    finally:
        handle.remove()
        watch.end()
    if not watch.looked_at:
        say(f"--profile: found {watch.seen} updates, expected more than {_BEFORE}, which are not looked at")
        return
    watch.profile.export_chrome_trace(str(folder / TRACE))
    what, parts = watch.parts()
    print_table(_table(what, parts, updates=watch.looked_at, seconds=watch.seconds))
    say(f"trace of these updates: {folder / TRACE} (for ui.perfetto.dev)")


def _table(what: str, parts: Sequence[tuple[str, float, int]], *, updates: int, seconds: float) -> Table:
    """The costliest parts, as shares of the updates' time."""
    busy = sum(microseconds for _, microseconds, _ in parts) / 1e6
    title = f"{updates} updates: {1000 * seconds / updates:.2f} ms each, {1000 * busy / updates:.2f} in the {what}s"
    table = Table(title=title)
    table.add_column(what, overflow="ellipsis", max_width=70, no_wrap=True)
    for heading in ("ms an update", "of its time", "calls"):
        table.add_column(heading, justify="right")
    for name, microseconds, calls in sorted(parts, key=lambda part: -part[1])[:_ROWS]:
        share = microseconds / 1e6 / seconds
        table.add_row(name, f"{microseconds / 1000 / updates:.3f}", f"{share:.1%}", f"{calls / updates:.0f}")
    return table
