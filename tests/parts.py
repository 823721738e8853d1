"""Options and architectures of tests: what an architecture does not look at plays no part."""

from dataclasses import fields

from graphmtl.architectures import Architecture, architecture_class
from graphmtl.config import ModelOptions
from graphmtl.models.model_options import chosen, model_options_class


def model_options(**values) -> ModelOptions:
    """The options of a model, of more that are given."""
    kind = model_options_class(chosen(values, "arch"), chosen(values, "encoder"))
    return kind(**_of(kind, values))


def build_architecture(arch, *, tasks, input_size, contextual=False, pooling="max", **values) -> Architecture:
    """An architecture, of more options than it may have."""
    kind = architecture_class(arch)
    sizes = _of(kind.Options, values)
    return kind(tasks=tasks, input_size=input_size, contextual=contextual, pooling=pooling, **sizes)


def _of(kind, values):
    names = {field.name for field in fields(kind)}
    return {name: value for name, value in values.items() if name in names}
