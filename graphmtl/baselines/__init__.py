"""What training together is held against: baselines that need no graph, no vectors and next to no time."""

from typing import TYPE_CHECKING

from graphmtl.lazy import lazily

if TYPE_CHECKING:
    from graphmtl.baselines.baseline import Baseline
    from graphmtl.baselines.reading import read_baselines

__all__ = ["Baseline", "read_baselines"]

__getattr__, __dir__ = lazily(
    __name__, {"Baseline": "graphmtl.baselines.baseline", "read_baselines": "graphmtl.baselines.reading"}
)
