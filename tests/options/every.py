"""Every option of the package, and values of it."""

from dataclasses import fields
from typing import Literal, get_args, get_origin

from graphmtl.config import Options
from graphmtl.options import options_class
from graphmtl.options.groups import elsewhere
from graphmtl.registry import ARCHITECTURES

CLASSES = {arch: options_class(arch, "lstm", "planted", "equal", None) for arch in ARCHITECTURES}


COMMON = {field.name: field for field in fields(Options)}


FIELDS = {name: each.field for name, each in elsewhere().items()} | COMMON


TYPES = {name: field.type for name, field in FIELDS.items()}


CHOOSES = ("arch", "encoder", "tasks", "balancing", "terms")


def owner(name):
    """What must be chosen, so that a run looks at an option."""
    return {elsewhere()[name].chooser: elsewhere()[name].owners[0]} if name in elsewhere() else {}


def another(name):
    """A value of an option that is not its default."""
    default, (low, _) = FIELDS[name].default, FIELDS[name].metadata["range"]
    if FIELDS[name].metadata["names"]:
        return next(value for value in FIELDS[name].metadata["names"] if value != default)
    if get_origin(TYPES[name]) is Literal:
        return next(value for value in get_args(TYPES[name]) if value != default)
    if isinstance(default, bool):
        return not default
    if isinstance(default, int):
        return default + 1
    if isinstance(default, float):
        return (low or 0) + 0.25
    return "something-else"


def outside():
    """Every option with a value just outside its range, and the value at the edge, which is accepted."""
    for name, field in FIELDS.items():
        low, high = field.metadata["range"]
        step = 1 if TYPES[name] is int else 0.001
        if low is not None:
            yield name, low - step, low
        if high is not None:
            yield name, high + step, high
