"""An architecture without a graph that has as many parameters as the largest one with a graph: is it the size alone?"""

from functools import cache

import numpy as np

from graphmtl.config import Options
from graphmtl.data.task import TaskSet
from graphmtl.errors import InputError
from graphmtl.options import changed
from graphmtl.training.building import build_model

__all__ = ["as_large"]

_TRIED = (16, 32, 64)  # sizes through which the curve is drawn


def as_large(options: Options, tasks: TaskSet, parameters: int) -> int:
    """The LSTM units per direction with which a model has the number of parameters that is nearest to another's.

    The number grows as a parabola with the units, which three models give; the nearest whole number is looked for
    around its root.

    Args:
        options: of the model.
        tasks: what it would be trained on.
        parameters: of the other one.

    Raises:
        InputError: the model has no size to choose.
    """

    @cache
    def count(hidden: int) -> int:
        model = build_model(tasks, changed(options, hidden=hidden), say=_silent)
        return sum(each.numel() for each in model.parameters())

    curve = np.polyfit(_TRIED, [count(hidden) for hidden in _TRIED], 2)
    if count(_TRIED[0]) == count(_TRIED[-1]):
        raise InputError(f"--same-size: {options.arch} has the same number of parameters whatever --hidden is")
    roots = np.roots(curve - [0, 0, parameters])
    nearest = max(1, round(max(roots.real)))
    around = [hidden for hidden in range(nearest - 1, nearest + 2) if hidden > 0]
    return min(around, key=lambda hidden: abs(count(hidden) - parameters))


def _silent(*_: object) -> None:
    pass
