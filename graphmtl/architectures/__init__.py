"""The architectures by name; a new one is a file of its own and a line here."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from graphmtl.architectures.adapterfusion import AdapterFusion
from graphmtl.architectures.adapters import TaskAdapters
from graphmtl.architectures.architecture import Architecture
from graphmtl.architectures.cmtr import CMTR
from graphmtl.architectures.complete import Complete
from graphmtl.architectures.mmoe import MMoE
from graphmtl.architectures.ple import PLE
from graphmtl.architectures.shared import Shared
from graphmtl.architectures.single import Single
from graphmtl.architectures.star import Star
from graphmtl.config import ModelOptions
from graphmtl.errors import InputError, unknown_name
from graphmtl.graph.topology import read_topology

__all__ = [
    "ARCHITECTURES",
    "CMTR",
    "PLE",
    "AdapterFusion",
    "Architecture",
    "Complete",
    "MMoE",
    "Shared",
    "Single",
    "Star",
    "TaskAdapters",
    "resolve_topology",
]

ARCHITECTURES: dict[str, type[Architecture]] = {
    "single": Single,
    "shared": Shared,
    "complete": Complete,
    "star": Star,
    "cmtr": CMTR,
    "mmoe": MMoE,
    "ple": PLE,
    "adapters": TaskAdapters,
    "adapter-fusion": AdapterFusion,
}

_Options = TypeVar("_Options", bound=ModelOptions)


def resolve_topology(options: _Options, tasks: Sequence[str]) -> _Options:
    """The options with ``topology`` written out edge by edge, so that no other file is needed, and ``top_k`` done.

    Raises:
        InputError: the architecture does not exist, its tasks read from no task, or the topology is wrong.
    """
    if options.arch not in ARCHITECTURES:
        raise unknown_name("arch", options.arch, ARCHITECTURES)
    if options.topology is None and not options.top_k:
        return options
    if not ARCHITECTURES[options.arch].reads_tasks:
        option = "--top-k" if options.topology is None else "--topology"
        accepted = ", ".join(name for name, kind in ARCHITECTURES.items() if kind.reads_tasks)
        raise InputError(f"{option}: --arch {options.arch} has no edges between tasks; accepted with --arch {accepted}")
    topology = read_topology(options.topology, tasks, options.top_k)
    return replace(options, topology=str(topology), top_k=0)
