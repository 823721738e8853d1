"""The architectures by name; a new one is a file of its own and a line here."""

from graphmtl.architectures.architecture import Architecture
from graphmtl.architectures.complete import Complete
from graphmtl.architectures.shared import Shared
from graphmtl.architectures.single import Single
from graphmtl.architectures.star import Star

__all__ = ["ARCHITECTURES", "Architecture", "Complete", "Shared", "Single", "Star"]

ARCHITECTURES: dict[str, type[Architecture]] = {
    "single": Single,
    "shared": Shared,
    "complete": Complete,
    "star": Star,
}
