"""The known task graph of a generated task set."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

__all__ = ["PlantedTruth"]


@dataclass(frozen=True, kw_only=True)
class PlantedTruth:
    """The known task graph of a generated task set.

    Args:
        edges: (source, target) for every parent and child.
        siblings: pairs of children that share a parent; they count neither for nor against a learned graph.
        inverted: those of the edges whose source's polarities are the opposite in the target (negative transfer).
    """

    edges: tuple[tuple[str, str], ...]
    siblings: tuple[tuple[str, str], ...] = ()
    inverted: tuple[tuple[str, str], ...] = ()

    def to_dict(self) -> dict:
        """The truth as plain lists, for JSON."""
        return {key: [list(pair) for pair in pairs] for key, pairs in asdict(self).items()}

    @classmethod
    def from_dict(cls, fields: Mapping) -> "PlantedTruth":
        """The truth that `to_dict` wrote."""
        return cls(**{key: tuple((source, target) for source, target in pairs) for key, pairs in fields.items()})

    def restricted(self, names: Mapping[str, str]) -> "PlantedTruth":
        """The truth among some of the tasks, given as {name: new name}."""
        return PlantedTruth(
            **{
                key: tuple((names[a], names[b]) for a, b in pairs if a in names and b in names)
                for key, pairs in self.to_dict().items()
            }
        )
