"""What a layer says of its parameters to those who train it, start it or let it grow."""

from collections.abc import Iterator
from typing import ClassVar

from torch import nn

__all__ = ["Layer", "names_of_own_starts", "undecayed_parameters"]


class Layer(nn.Module):
    """A module that says what is special about some of its own parameters, by their names.

    >>> import torch
    >>> class Scale(Layer):
    ...     undecayed = ("scale",)
    ...
    ...     def __init__(self, tasks, size):
    ...         super().__init__()
    ...         self.scale = nn.Parameter(torch.ones(tasks, size))
    >>> [tuple(parameter.shape) for parameter in undecayed_parameters(nn.Sequential(Scale(2, 3)))]
    [(2, 3)]
    """

    undecayed: ClassVar[tuple[str, ...]] = ()  #: vectors, one for each direction or task: weight decay is for matrices
    own_start: ClassVar[tuple[str, ...]] = ()  #: of a task's layer: no other task's say anything of how these start


def undecayed_parameters(module: nn.Module) -> Iterator[nn.Parameter]:
    """The parameters that the layers inside a module declare as vectors; those of one dimension are so anyway."""
    for layer in module.modules():
        if isinstance(layer, Layer):
            own = dict(layer.named_parameters(recurse=False))
            yield from (own[name] for name in layer.undecayed if name in own)


def names_of_own_starts(module: nn.Module) -> set[str]:
    """The names in ``module.state_dict()`` of what starts at values of its own in each task."""
    layers = ((prefix, layer) for prefix, layer in module.named_modules() if isinstance(layer, Layer))
    declared = {f"{prefix}.{name}".lstrip(".") for prefix, layer in layers for name in layer.own_start}
    return declared & module.state_dict().keys()
