"""Edge weights of a stream of batches, summed up as they come."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from graphmtl.errors import InputError
from graphmtl.graph.edge import Edge
from graphmtl.graph.task_graph import TaskGraph
from graphmtl.layers.interaction import EdgeWeights

__all__ = ["EdgeRecorder"]


class EdgeRecorder:
    r"""Mean, standard deviation and count of edge weights over a stream of batches; memory does not grow with it.

    A batch of :math:`n_b` instances with mean :math:`\mu_b` and sum of squared deviations :math:`M_b` is merged into
    what came before (:math:`n_a, \mu_a, M_a`) by

    .. math::
        \delta = \mu_b - \mu_a, \quad n = n_a + n_b, \quad \mu = \mu_a + \delta \frac{n_b}{n}, \quad
        M = M_a + M_b + \delta^2 \frac{n_a n_b}{n}

    in float64 (Chan, Golub, LeVeque: Updating formulae and a pairwise algorithm for computing sample variances, 1979).
    Everything stays on the device of the weights until :meth:`graph`.

    >>> recorder = EdgeRecorder()
    >>> recorder.add("dvd", ("books", "music"), torch.tensor([[0.5, 0.5], [1.0, 0.0]]))
    >>> graph = recorder.graph(arch="complete", tasks=("books", "dvd", "music"), split="test", seed=0)
    >>> graph.incoming("dvd")[0]
    Edge(source='books', target='dvd', weight=0.75, std=0.25, count=2)
    """

    def __init__(self) -> None:
        self._moments: dict[str, _Moments] = {}

    def update(self, edges: EdgeWeights, keep: Tensor | None = None) -> None:
        """Count the instances of a batch.

        Args:
            edges: :class:`~graphmtl.layers.interaction.EdgeWeights` of the batch; an instance counts once, with its
                mean over tokens.
            keep: (batch,), nonzero for the instances that count, such as ``Batch.weights``; by default all.
        """
        self.add(edges.target, edges.sources, edges.per_instance(), keep)

    def add(self, target: str, sources: Sequence[str], weights: Tensor, keep: Tensor | None = None) -> None:
        """Count instances of ``target`` that read from ``sources`` with ``weights`` of shape (instances, sources).

        Raises:
            ValueError: The shape of ``weights`` is another, or ``target`` was recorded with other sources before.
        """
        if weights.dim() != 2 or weights.size(1) != len(sources):
            raise ValueError(f"weights: expected (instances, {len(sources)}), found {tuple(weights.shape)}")
        weights = weights.detach().double()  # (instances, sources)
        if keep is not None:
            weights = weights[keep != 0]
        if len(weights) > 0:
            mean = weights.mean(dim=0)  # (sources,)
            moments = _Moments(tuple(sources), len(weights), mean, (weights - mean).square().sum(dim=0))
            self._merge(target, moments)

    def to(self, device: torch.device | str) -> "EdgeRecorder":
        """The same numbers on another device."""
        moved = EdgeRecorder()
        moved._moments = {target: moments.to(device) for target, moments in self._moments.items()}
        return moved

    def merge(self, other: "EdgeRecorder") -> None:
        """Count what ``other`` counted too, as if its batches had come here; ``other`` stays as it is."""
        for target, moments in other._moments.items():
            self._merge(target, moments)

    def _merge(self, target: str, moments: "_Moments") -> None:
        known = self._moments.get(target)
        if known is not None and known.sources != moments.sources:
            raise ValueError(f"sources of {target!r}: expected {known.sources}, found {moments.sources}")
        self._moments[target] = moments if known is None else known.merged(moments)

    def edges(self) -> list[Edge]:
        """The edges into every target so far.

        Raises:
            InputError: A weight was not finite.
        """
        return [edge for target, moments in self._moments.items() for edge in moments.edges(target)]

    def graph(self, *, arch: str, tasks: Sequence[str], split: str, seed: int, virtual: bool = False) -> TaskGraph:
        """The task graph of all instances so far.

        Raises:
            ValueError: A source or target is not among the nodes.
            InputError: A weight was not finite.
        """
        edges = tuple(self.edges())
        return TaskGraph(arch=arch, tasks=tuple(tasks), split=split, seed=seed, virtual=virtual, edges=edges)

    def __repr__(self) -> str:
        counts = {target: moments.count for target, moments in self._moments.items()}
        return f"{type(self).__name__}(instances={counts})"


@dataclass(frozen=True)
class _Moments:
    """What is known of one target's incoming weights: count, mean (sources,) and squared deviations (sources,)."""

    sources: tuple[str, ...]
    count: int
    mean: Tensor
    deviations: Tensor

    def to(self, device: torch.device | str) -> "_Moments":
        return replace(self, mean=self.mean.to(device), deviations=self.deviations.to(device))

    def merged(self, other: "_Moments") -> "_Moments":
        count = self.count + other.count
        delta = other.mean.to(self.mean.device) - self.mean  # (sources,)
        mean = self.mean + delta * (other.count / count)
        between = delta.square() * (self.count * other.count / count)
        deviations = self.deviations + other.deviations.to(self.deviations.device) + between
        return _Moments(self.sources, count, mean, deviations)

    def edges(self, target: str) -> list[Edge]:
        for source, weight in zip(self.sources, self.mean.tolist(), strict=True):
            if not math.isfinite(weight):  # a loss may still be finite, of states that are saturated
                problem = f"edge {source!r} -> {target!r}: weight is a finite number, not {weight}"
                raise InputError(f"{problem}; the training has diverged, try a lower --lr")
        stds = (self.deviations / self.count).sqrt().tolist()
        return [
            Edge(source=source, target=target, weight=weight, std=std, count=self.count)
            for source, weight, std in zip(self.sources, self.mean.tolist(), stds, strict=True)
        ]
