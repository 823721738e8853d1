"""The options of a model: those of every model, of its architecture and of its encoder."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cache, partial
from typing import Any

from graphmtl.architectures import architecture_class
from graphmtl.config import ModelOptions, OptionGroup, check_fields, picked
from graphmtl.models.encoders import encoder_class
from graphmtl.registry import with_names

__all__ = ["changed_model_options", "chosen", "make_model_options", "model_options_class", "put_together"]

_DEFAULTS = {field.name: field.default for field in fields(ModelOptions)}


def chosen(values: Mapping[str, Any], name: str) -> Any:
    """What options by name say of one that chooses others (``arch``, ``encoder``), or its default."""
    return values.get(name, _DEFAULTS[name])


@cache
def model_options_class(arch: str, encoder: str) -> type[ModelOptions]:
    """A class with the options of every model, of an architecture and of an encoder.

    Raises:
        InputError: there is no such architecture or encoder.
    """
    groups = (architecture_class(arch).Options, encoder_class(encoder).Options, ModelOptions)
    return put_together("ModelOptions", groups, make_model_options)


def put_together(name: str, groups: Sequence[type[OptionGroup]], make: Callable[..., Any]) -> Any:
    """A class of options with those of several groups.

    Args:
        name: of the class.
        groups: the classes.
        make: gives the same options again from their values by name, in another process too.
    """
    for group in groups:
        check_fields(group)
    body = {"__doc__": groups[-1].__doc__, "__reduce__": lambda self: (partial(make, **asdict(self)), ())}
    return dataclass(frozen=True, kw_only=True)(type(name, tuple(groups), body))


def make_model_options(**values: Any) -> ModelOptions:
    """The options of a model by name; a part may be its class.

    >>> make_model_options(arch="star", score="dot").hidden
    64

    Raises:
        InputError: a value is not accepted.
    """
    named = with_names(values)
    return model_options_class(chosen(named, "arch"), chosen(named, "encoder"))(**named)


def changed_model_options(options: ModelOptions, **changes: Any) -> ModelOptions:
    """The options with changes; what the model then no longer looks at is left out."""
    values = {**asdict(options), **changes}
    return picked(model_options_class(chosen(values, "arch"), chosen(values, "encoder")), values)
