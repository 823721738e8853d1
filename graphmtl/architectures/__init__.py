"""The architectures: one file each, with its options in it, and a line in the registry."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from graphmtl.architectures.architecture import Architecture, TopologyOptions
from graphmtl.config import ModelOptions
from graphmtl.graph.topology import read_topology
from graphmtl.registry import ARCHITECTURES, find_class

__all__ = ["Architecture", "architecture_class", "resolve_topology"]

_Options = TypeVar("_Options", bound=ModelOptions)


def architecture_class(name: str) -> type[Architecture]:
    """The class that ``--arch`` names, one of the table or ``module:Class``.

    Raises:
        InputError: there is none, or it is no architecture.
    """
    return find_class("arch", name, ARCHITECTURES, Architecture)


def resolve_topology(options: _Options, tasks: Sequence[str]) -> _Options:
    """The options with ``topology`` written out edge by edge, so that no other file is needed, and ``top_k`` done.

    Raises:
        InputError: the topology is wrong.
    """
    if not isinstance(options, TopologyOptions) or (options.topology is None and not options.top_k):
        return options
    topology = read_topology(options.topology, tasks, options.top_k)
    return replace(options, topology=str(topology), top_k=0)
