"""Options of earlier versions: their commands, files and runs stay valid and mean the same."""

from collections.abc import Mapping
from dataclasses import Field, dataclass, fields
from typing import Any

from graphmtl.config import OptionGroup, accepted, flag, option
from graphmtl.errors import InputError
from graphmtl.options.flags import plain

__all__ = ["earlier_options", "today"]


@dataclass(frozen=True, kw_only=True)
class _EarlierOptions(OptionGroup):
    tensorboard: bool = option(False, "write TensorBoard logs into the run's folder")


_COMPLETE = ("topology", "message_start", "node_bias", "detach_sources")  # all of these in a run's own config.yaml
_COMPLETE_THEN = {"bias_rate": 1.0, "own_weight": 0.0, "others_weight": 0.0}  # what a run without these options did

_TODAY: dict[str, tuple[str, dict[Any, Any]]] = {"tensorboard": ("track", {False: None, True: "tensorboard"})}


def earlier_options() -> dict[str, Field]:
    """The options that only earlier versions had, by name."""
    return {field.name: field for field in fields(_EarlierOptions)}


def today(values: Mapping[str, Any]) -> dict[str, Any]:
    """Options by name, in which those of earlier versions are called as they are called now.

    A run's ``config.yaml`` that is older than options of ``complete`` which are not neutral has them as it was trained.

    Raises:
        InputError: a value that is not accepted, or both names of an option.
    """
    current = dict(values)
    if values.get("arch") == "complete" and "bias_rate" not in values and all(name in values for name in _COMPLETE):
        current = _COMPLETE_THEN | current
    for name, field in earlier_options().items():
        if name not in values:
            continue
        becomes, meaning = _TODAY[name]
        if becomes in values:
            raise InputError(
                f"{flag(name)} {flag(becomes)}: the first is an earlier name of the other; give that alone"
            )
        del current[name]
        current[becomes] = meaning[accepted(field, plain(field, values[name]))]
    return current
