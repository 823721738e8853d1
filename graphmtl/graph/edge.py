"""An edge of a task graph, and the name of the one node that is no task."""

import math
from dataclasses import dataclass
from numbers import Integral, Real

__all__ = ["VIRTUAL", "Edge", "expect"]

VIRTUAL = "virtual"
"""Name and kind of the star graph's hub; every other node is of kind ``task``."""


@dataclass(frozen=True, kw_only=True)
class Edge:
    """How much the instances of ``target`` read from ``source``.

    ``weight`` is the mean over ``count`` instances of ``target`` and ``std`` the standard deviation over them
    (divided by ``count``, so one instance gives 0).
    """

    source: str
    target: str
    weight: float
    std: float
    count: int

    def __post_init__(self) -> None:
        name = f"edge {self.source!r} -> {self.target!r}"
        if not _is_finite(self.weight):
            raise ValueError(f"{name}: weight is a finite number, not {self.weight!r}")
        if not _is_finite(self.std) or self.std < 0:
            raise ValueError(f"{name}: std is a number from 0 up, not {self.std!r}")
        if not isinstance(self.count, Integral) or isinstance(self.count, bool) or self.count < 1:
            raise ValueError(f"{name}: count is a whole number from 1 up, not {self.count!r}")
        object.__setattr__(self, "weight", float(self.weight))  # what JSON takes, where numpy's were given
        object.__setattr__(self, "std", float(self.std))
        object.__setattr__(self, "count", int(self.count))


def _is_finite(value) -> bool:
    try:
        return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # a whole number beyond all floats
        return False


def expect(name: str, value, kind) -> None:
    """Raises a ValueError that names a value of another kind."""
    if not isinstance(value, kind):
        kinds = kind if isinstance(kind, tuple) else (kind,)
        raise ValueError(f"{name}: expected {' or '.join(k.__name__ for k in kinds)}, found {value!r:.60}")
