"""What a trained model cannot do without: edges are cut while it reads; what that costs is measured text by text."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from graphmtl.data.batching import Batch
from graphmtl.graph.edge import Edge
from graphmtl.graph.task_graph import TaskGraph
from graphmtl.layers.interaction import Ablation
from graphmtl.layers.modes import evaluating
from graphmtl.models.model import MultiTaskModel
from graphmtl.models.predictions import ModelOutput

__all__ = ["AblationPlan", "Measured", "measure", "reliance"]

_RANDOM_DRAWS = 3


@dataclass(frozen=True)
class Measured:
    """How a task fares with each of several ablations, text by text.

    Attributes:
        losses: (ablations, texts), minus the log-likelihood of the right labels; of tags the mean over a text.
        correct: (ablations, texts), 1 if the label is right; of tags the share of right ones, of a regression nan.
    """

    losses: np.ndarray
    correct: np.ndarray


def reliance(model: MultiTaskModel, batches: Iterable[Batch], edges: TaskGraph) -> TaskGraph:
    """By how much the loss of a task rises when a source is cut and the others have its share: ``ablation``.

    Args:
        model: it reads.
        batches: texts with labels.
        edges: a task graph, whose edges between nodes are cut, all those out of one source at a time.
    """
    plan = AblationPlan(edges, edges.seed, one_by_one=True)
    found = plan.edges(measure(model, batches, plan.ablations)) if plan.most else {}
    return replace(edges, edges=tuple(found.get("ablation", ())))


@torch.no_grad()
def measure(model: MultiTaskModel, batches: Iterable[Batch], ablations: Sequence[Ablation]) -> dict[str, Measured]:
    """What every ablation does to every task, on texts with labels; a text without a label of a task is left out."""
    found: dict[str, list[Tensor]] = {}
    with evaluating(model):
        for batch in batches:
            # whether cuts into others reach these tasks
            of_others = () if model.architecture.reads_nodes else model.tasks
            places = _alike(ablations, {*batch.tasks, *of_others})  # what comes to the same is read once
            outputs = [  # for each that differs {task: (2, texts)}
                {name: _fit(output) for name, output in own.items()} for own in model.ablate(batch, [*places])
            ]
            of_each = [i for _, i in sorted((place, i) for i, own in enumerate(places.values()) for place in own)]
            for name in batch.tasks:
                parts = torch.stack([own[name] for own in outputs], 1)  # (2, those that differ, texts)
                found.setdefault(name, []).append(parts[:, of_each])  # (2, ablations, texts)
    return {name: Measured(*torch.cat(parts, 2).double().cpu().numpy()) for name, parts in found.items()}


def _alike(ablations: Sequence[Ablation], targets: Collection[str]) -> dict[Ablation, list[int]]:
    """The ablations that differ for some targets, each with the places of those that cut the same edges into them."""
    places: dict[Ablation, list[int]] = {}
    for i, ablation in enumerate(ablations):
        edges = frozenset(edge for edge in ablation.edges if edge[1] in targets)
        own = Ablation(edges=edges, renormalise=ablation.renormalise or not edges)
        places.setdefault(own, []).append(i)
    return places


def _fit(output: ModelOutput) -> Tensor:
    """The loss and the share of right labels of every text that has one, (2, texts); nan of what has no right one."""
    assert output.losses is not None
    assert output.right is not None
    assert output.counts is not None
    count = output.counts.long()  # (texts,)
    values = torch.stack([output.losses, output.right]) / count.clamp_min(1)
    return values[:, count > 0]


class AblationPlan:
    """Which edges are cut, and what the results mean; all of it in one list, so that each text's nodes are read once.

    Args:
        attention: its edges between nodes are cut, and its weights say which are strong; what a task reads from itself
            (``cmtr``) stays.
        seed: of the random edges.
        one_by_one: whether each source is cut by itself and nothing else is asked, which takes a third of the time.
    """

    def __init__(self, attention: TaskGraph, seed: int, *, one_by_one: bool = False):
        self.attention = attention
        self.incoming = {
            task: [edge.source for edge in attention.incoming(task) if edge.source != task] for task in attention.tasks
        }
        sources = [node for node in attention.nodes if any(node in own for own in self.incoming.values())]
        self.most = max(map(len, self.incoming.values()), default=0)
        self.more = self.most > 1 and not one_by_one
        whole = self._edges(self.incoming)
        self.cuts: dict[tuple, Ablation] = {("none",): Ablation()}
        for j in sources:
            own = frozenset(edge for edge in whole if edge[0] == j)
            self.cuts["ablation", j] = Ablation(edges=own)
            if self.more:
                self.cuts["ablation_zeroed", j] = Ablation(edges=own, renormalise=False)
                self.cuts["alone", j] = Ablation(edges=whole - own)
        if self.more:
            self.cuts["all",] = Ablation(edges=whole)
            self._plan_removal(np.random.default_rng(seed))
        self.ablations = list(self.cuts.values())
        self.place = {name: i for i, name in enumerate(self.cuts)}

    def _edges(self, sources: Mapping[str, Iterable[str]]) -> frozenset[tuple[str, str]]:
        return frozenset((source, target) for target, own in sources.items() for source in own)

    def _plan_removal(self, rng: np.random.Generator) -> None:
        self.sizes = [2**i for i in range(self.most) if 2**i < self.most]
        orders = {
            task: [rng.permutation(len(own)) for _ in range(_RANDOM_DRAWS)] for task, own in self.incoming.items()
        }
        for size in self.sizes:
            chosen = {
                "strongest": {task: own[:size] for task, own in self.incoming.items()},
                "weakest": {task: own[::-1][:size] for task, own in self.incoming.items()},
            }
            for draw in range(_RANDOM_DRAWS):
                chosen["random", draw] = {
                    task: [own[i] for i in orders[task][draw][:size]] for task, own in self.incoming.items()
                }
            for order, sources in chosen.items():
                self.cuts["removal", order, size] = Ablation(edges=self._edges(sources))

    def edges(self, measured: Mapping[str, Measured]) -> dict[str, list[Edge]]:
        """The edges of every picture that ablation gives."""
        pictures: dict[str, list[Edge]] = {}

        def add(name: str, source: str, target: str, change: np.ndarray) -> None:
            edge = Edge(source=source, target=target, weight=change.mean(), std=change.std(), count=len(change))
            pictures.setdefault(name, []).append(edge)

        for target, own in measured.items():
            none = self.place["none",]
            for source in self.incoming[target]:
                cut = self.place["ablation", source]
                add("ablation", source, target, own.losses[cut] - own.losses[none])
                if not np.isnan(own.correct).any():
                    add("ablation_accuracy", source, target, own.correct[none] - own.correct[cut])
                if self.more:
                    everything = self.place["all",]
                    zeroed, alone = self.place["ablation_zeroed", source], self.place["alone", source]
                    add("ablation_zeroed", source, target, own.losses[zeroed] - own.losses[none])
                    add("alone", source, target, own.losses[everything] - own.losses[alone])
        return pictures

    def removal(self, measured: Mapping[str, Measured]) -> dict[str, list] | None:
        """See :class:`Explanation`; the last number of edges is all of them."""
        if not self.more:
            return None
        targets = [target for target, own in self.incoming.items() if own and target in measured]

        def change(*name) -> float:
            rows = (measured[target].losses[[self.place["none",], self.place[name]]] for target in targets)
            return float(np.mean([(cut - whole).mean() for whole, cut in rows]))

        everything = change("all")
        orders: dict[str, list] = {"strongest": ["strongest"], "weakest": ["weakest"]}
        orders["random"] = [("random", draw) for draw in range(_RANDOM_DRAWS)]
        return {
            "edges": [*self.sizes, self.most],
            **{
                name: [*(float(np.mean([change("removal", o, size) for o in own])) for size in self.sizes), everything]
                for name, own in orders.items()
            },
        }
