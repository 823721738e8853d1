"""The known task graph of a generated task set."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain

from graphmtl.errors import shown

__all__ = ["DECIDED_BY", "PlantedTruth"]

DECIDED_BY = "decided_by"  #: the column that says which parent decides a text: its place among the ``deciders``

_PAIRS = ("edges", "siblings", "inverted")  # the fields that are pairs of tasks


@dataclass(frozen=True, kw_only=True)
class PlantedTruth:
    """The known task graph of a generated task set.

    Args:
        edges: (source, target) for every parent and child.
        siblings: pairs of children that share a parent; they count neither for nor against a learned graph.
        inverted: those of the edges whose source's polarities are the opposite in the target (negative transfer).
        deciders: of each child whose texts depend on one parent each, these parents. Which of them decides a text is
            said by the column `DECIDED_BY` of its splits.
    """

    edges: tuple[tuple[str, str], ...]
    siblings: tuple[tuple[str, str], ...] = ()
    inverted: tuple[tuple[str, str], ...] = ()
    deciders: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def to_dict(self) -> dict:
        """The truth as plain lists, for JSON."""
        lists = {name: [list(pair) for pair in getattr(self, name)] for name in _PAIRS}
        return {**lists, "deciders": {child: list(parents) for child, parents in self.deciders.items()}}

    @classmethod
    def from_dict(cls, fields: Mapping) -> "PlantedTruth":
        """The truth that `to_dict` wrote."""
        pairs = {name: tuple((source, target) for source, target in fields[name]) for name in _PAIRS}
        deciders = {child: tuple(parents) for child, parents in fields.get("deciders", {}).items()}
        for name in (*chain(*chain(*pairs.values())), *chain(*deciders.values())):
            if not isinstance(name, str):
                raise TypeError(f"found {shown(name)}, expected the name of a task")
        return cls(**pairs, deciders=deciders)

    def restricted(self, names: Mapping[str, str]) -> "PlantedTruth":
        """The truth among some of the tasks, given as {name: new name}; deciders where all of them are there."""
        pairs = {
            name: tuple((names[a], names[b]) for a, b in getattr(self, name) if a in names and b in names)
            for name in _PAIRS
        }
        deciders = {
            names[child]: tuple(names[parent] for parent in parents)
            for child, parents in self.deciders.items()
            if {child, *parents} <= names.keys()
        }
        return PlantedTruth(**pairs, deciders=deciders)
