"""A user's own metric: ``module:function``."""

import math
from numbers import Real
from typing import Any

from graphmtl.errors import InputError, shown
from graphmtl.metrics.answered import FORMS, Answered, Metric
from graphmtl.registry import find_function

__all__ = ["own_metric"]


def own_metric(name: str, what: str = "metric") -> Metric:
    """The metric that is a user's function of the labels and the answers, in this order.

    Both are lists with a value for each labelled example: of classes its name, of label-sets the list of names, of
    choices a place counted from 0, of numbers a float, of tags the list of the tags of a sentence's tokens, of texts
    the answer, beside the list of the accepted ones. The function returns a finite number. Higher is better, unless the
    function has an attribute ``higher_is_better`` that is false.

    Args:
        name: ``module:function``.
        what: what the name is called in a message.

    Raises:
        InputError: there is no such module or function.
    """
    function = find_function(what, name)

    def value(answered: Answered) -> float:
        try:
            found = function(_plain(answered, answered.labels), _plain(answered, answered.answers))
        except Exception as error:  # whatever is wrong with a user's function
            why = " ".join(f"{type(error).__name__}: {error}".split())
            raise InputError(f"{what} {name!r}: the function failed ({why})") from error
        if not isinstance(found, Real) or not math.isfinite(found):
            raise InputError(f"{what} {name!r}: the function returned {shown(found)}, expected a finite number")
        return float(found)

    return Metric(function=value, forms=FORMS, higher_is_better=bool(getattr(function, "higher_is_better", True)))


def _plain(answered: Answered, values: Any) -> list:
    """Labels or answers by name, without arrays."""
    if answered.form == "classes":
        return [answered.names[i] for i in values]
    if answered.form == "choices":
        return [int(value) for value in values]
    if answered.form == "label-sets":
        return [[name for name, has in zip(answered.names, row, strict=True) if has] for row in values]
    return [float(value) for value in values] if answered.form == "numbers" else [*values]
