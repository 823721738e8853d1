"""What a model gains over another, task by task, as a page shows it: a mark for each task, and its interval."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Gain", "gain_panel"]


@dataclass(frozen=True, kw_only=True)
class Gain:
    """A task's, or of all the mean.

    Attributes:
        name: of the task.
        mean: the difference, in points.
        low: the lower end of its interval; None: there is no interval.
        high: the upper end.
        verdict: ``better``, ``worse`` or ``within chance``; "": nothing is known of chance.
    """

    name: str
    mean: float
    low: float | None = None
    high: float | None = None
    verdict: str = ""


def gain_panel(title: str, about: str, gains: Sequence[Gain], mean: Gain | None = None) -> dict[str, Any] | None:
    """A picture of gains, the largest above, and their mean below all.

    Returns:
        ``title`` and ``about``; ``zero``, where 0 lies, and ``rows``, each with its ``name``, ``verdict``, ``mean`` and
        ``interval`` in words, and with ``at``, ``start`` and ``width``, all in percent of one axis that has 0 and every
        interval. None where there are no gains.
    """
    if not gains:
        return None
    shown = [*sorted(gains, key=lambda gain: -gain.mean), *([mean] if mean is not None else [])]
    ends = [end for gain in shown for end in (gain.mean, gain.low, gain.high) if end is not None]
    low, high = min(0.0, *ends), max(0.0, *ends)
    margin = 0.04 * (high - low) or 1.0
    low, high = low - margin, high + margin

    def place(value: float) -> float:
        return round(100 * (value - low) / (high - low), 2)

    rows = []
    for gain in shown:
        start, end = (gain.mean if x is None else x for x in (gain.low, gain.high))
        width = round(place(end) - place(start), 2)
        interval = "" if gain.low is None or gain.high is None else f"[{gain.low:+.1f}, {gain.high:+.1f}]"
        own = {"name": gain.name, "mean": f"{gain.mean:+.1f}", "interval": interval, "verdict": gain.verdict}
        rows.append({**own, "is_mean": gain is mean, "at": place(gain.mean), "start": place(start), "width": width})
    return {"title": title, "about": about, "zero": place(0.0), "rows": rows}
