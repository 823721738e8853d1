"""The learned task graph: who reads from whom, and how much, over a whole split."""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from pathlib import Path
from xml.etree.ElementTree import ParseError

import networkx as nx
import numpy as np
import torch
from torch import Tensor

from graphmtl.errors import InputError

__all__ = ["VIRTUAL", "Edge", "EdgeRecorder", "TaskGraph"]

VIRTUAL = "virtual"
"""Name and kind of the star graph's hub; every other node is of kind ``task``."""


@dataclass(frozen=True, kw_only=True)
class Edge:
    """How much the instances of ``target`` read from ``source``.

    ``weight`` is the mean over ``count`` instances of ``target`` and ``std`` the standard deviation over them
    (divided by ``count``, so one instance gives 0).
    """

    source: str
    target: str
    weight: float
    std: float
    count: int

    def __post_init__(self) -> None:
        name = f"edge {self.source!r} -> {self.target!r}"
        if not _is_finite(self.weight):
            raise ValueError(f"{name}: weight is a finite number, not {self.weight!r}")
        if not _is_finite(self.std) or self.std < 0:
            raise ValueError(f"{name}: std is a number from 0 up, not {self.std!r}")
        if not isinstance(self.count, Integral) or self.count < 1:
            raise ValueError(f"{name}: count is a whole number from 1 up, not {self.count!r}")


@dataclass(frozen=True, kw_only=True, repr=False)
class TaskGraph:
    r"""Directed weighted graph over tasks, with an edge :math:`j \to k` where task :math:`k` reads from :math:`j`.

    The weight of :math:`j \to k` is :math:`w_{k,j} = \frac{1}{n_k} \sum_i a^{(i)}_{k,j}`, the mean over the
    :math:`n_k` instances of :math:`k`. What :math:`a` is depends on the architecture: ``complete``'s attention
    (:math:`\sum_j w_{k,j} = 1`, no self-loops), or ``star``'s spoke (every edge leaves the virtual node).

    Args:
        arch: Name of the architecture that learned the graph.
        tasks: Names of the tasks, in the order of the run; the order of :meth:`matrix`.
        split: Split whose instances were averaged.
        seed: Seed of the run.
        virtual: Whether there is a node called ``virtual`` besides the tasks.
        edges: At most one edge for each ordered pair of nodes; kept in the order of the nodes.

    Raises:
        ValueError: A name occurs twice, or an edge leads to a node that is not there.

    >>> edge = Edge(source="books", target="dvd", weight=0.75, std=0.1, count=400)
    >>> graph = TaskGraph(arch="complete", tasks=("books", "dvd"), split="test", seed=0, edges=(edge,))
    >>> graph
    TaskGraph(arch='complete', tasks=2, edges=1, split='test', seed=0)
    >>> graph.matrix()
    array([[ nan,  nan],
           [0.75,  nan]])
    """

    arch: str
    tasks: tuple[str, ...]
    split: str
    seed: int
    virtual: bool = False
    edges: tuple[Edge, ...] = ()

    def __post_init__(self) -> None:
        _expect("arch", self.arch, str)
        _expect("split", self.split, str)
        _expect("seed", self.seed, int)
        _expect("tasks", self.tasks, (list, tuple))
        for task in self.tasks:
            _expect("tasks", task, str)
        object.__setattr__(self, "tasks", tuple(self.tasks))
        object.__setattr__(self, "edges", self._ordered(self.edges))

    def _ordered(self, edges: Iterable[Edge]) -> tuple[Edge, ...]:
        """The edges in the order of the nodes; names that are missing or not unique raise ValueError."""
        index = {node: i for i, node in enumerate(self.nodes)}
        if len(index) < len(self.nodes):
            twice = next(node for node in index if self.nodes.count(node) > 1)
            raise ValueError(f"tasks: the name {twice!r} stands for two nodes")
        by_ends = {}
        for edge in edges:
            ends = (edge.source, edge.target)
            if not index.keys() >= set(ends):
                raise ValueError(f"edge {edge.source!r} -> {edge.target!r} leads to a node that is not in the graph")
            if ends in by_ends:
                raise ValueError(f"edge {edge.source!r} -> {edge.target!r} occurs twice")
            by_ends[ends] = edge
        return tuple(by_ends[ends] for ends in sorted(by_ends, key=lambda ends: (index[ends[0]], index[ends[1]])))

    @property
    def nodes(self) -> tuple[str, ...]:
        """Names of all nodes: the tasks, then the virtual node if there is one."""
        return (*self.tasks, VIRTUAL) if self.virtual else self.tasks

    def incoming(self, target: str) -> list[Edge]:
        """The edges into ``target``, the strongest first; equal weights keep the order of the tasks."""
        return sorted((edge for edge in self.edges if edge.target == target), key=lambda edge: -edge.weight)

    def matrix(self) -> np.ndarray:
        """The weights between tasks, float64, shape (K, K): rows are targets, columns sources, nan where no edge is."""
        index = {task: i for i, task in enumerate(self.tasks)}
        matrix = np.full((len(self.tasks), len(self.tasks)), np.nan)  # (targets, sources)
        for edge in self.edges:
            if edge.source in index and edge.target in index:
                matrix[index[edge.target], index[edge.source]] = edge.weight
        return matrix

    # networkx and JSON

    def to_networkx(self) -> nx.DiGraph:
        """A ``DiGraph`` with node attribute ``kind``, edge attributes ``weight``, ``std`` and ``count``, and the graph
        attributes ``arch``, ``tasks`` (a list), ``split`` and ``seed``."""
        graph = nx.DiGraph(arch=self.arch, tasks=list(self.tasks), split=self.split, seed=self.seed)
        for node in self.nodes:
            graph.add_node(node, kind=VIRTUAL if node not in self.tasks else "task")
        for edge in self.edges:
            graph.add_edge(edge.source, edge.target, weight=edge.weight, std=edge.std, count=edge.count)
        return graph

    @classmethod
    def from_networkx(cls, graph: nx.DiGraph) -> "TaskGraph":
        """The inverse of :meth:`to_networkx`.

        Raises:
            ValueError: The graph is not directed, or an attribute or a node is missing or of the wrong kind.
        """
        if not graph.is_directed() or graph.is_multigraph():
            raise ValueError("a task graph is directed, with at most one edge from one node to another")
        attributes = {name: _required(graph.graph, name, "the graph") for name in ("arch", "tasks", "split", "seed")}
        kinds = {node: _required(values, "kind", f"node {node!r}") for node, values in graph.nodes(data=True)}
        edges = []
        for source, target, data in graph.edges(data=True):
            values = {name: _required(data, name, f"edge {source!r} -> {target!r}") for name in _EDGE_VALUES}
            edges.append(Edge(source=source, target=target, **values))
        task_graph = cls(**attributes, virtual=kinds.get(VIRTUAL) == VIRTUAL, edges=tuple(edges))
        expected = {node: data["kind"] for node, data in task_graph.to_networkx().nodes(data=True)}
        if kinds != expected:
            raise ValueError(f"nodes are the tasks, and at most one of kind {VIRTUAL!r} with that name; found {kinds}")
        return task_graph

    def to_json(self) -> dict:
        """networkx node-link data with the key ``edges``: the content of ``task_graph.json``."""
        return nx.node_link_data(self.to_networkx(), edges="edges")

    @classmethod
    def from_json(cls, data: dict) -> "TaskGraph":
        """The inverse of :meth:`to_json`.

        Raises:
            ValueError: The data is not the node-link form of a task graph.
        """
        _expect("the JSON document", data, dict)
        _required(data, "graph", "the JSON document", dict)
        for key, names in {"nodes": ("id",), "edges": ("source", "target")}.items():
            for entry in _required(data, key, "the JSON document", list):
                _expect(f"an entry of {key}", entry, dict)
                for name in names:
                    _required(entry, name, f"an entry of {key}", str)
        return cls.from_networkx(nx.node_link_graph(data, edges="edges"))

    def save(self, path: str | Path) -> None:
        """Write ``task_graph.json``; a file that stands there is replaced."""
        text = json.dumps(self.to_json(), indent=2, ensure_ascii=False, allow_nan=False)
        Path(path).write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> "TaskGraph":
        """Read what :meth:`save` wrote.

        Raises:
            InputError: There is no such file, or it holds something else.
        """
        try:
            return cls.from_json(json.loads(Path(path).read_text(encoding="utf-8")))
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {error.strerror}") from error
        except ValueError as error:
            raise InputError(f"{path}: not a task graph in node-link JSON: {error}") from error

    # GraphML

    def write_graphml(self, path: str | Path) -> None:
        """Write GraphML; it knows no lists, so the graph attribute ``tasks`` is a JSON string there."""
        graph = self.to_networkx()
        graph.graph["tasks"] = json.dumps(self.tasks)
        nx.write_graphml_xml(graph, path)

    @classmethod
    def read_graphml(cls, path: str | Path) -> "TaskGraph":
        """Read what :meth:`write_graphml` wrote.

        Raises:
            InputError: There is no such file, or it holds something else.
        """
        try:
            graph = nx.read_graphml(path)
            graph.graph["tasks"] = json.loads(_required(graph.graph, "tasks", "the graph"))
            return cls.from_networkx(graph)
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {error.strerror}") from error
        except (ValueError, TypeError, KeyError, ParseError, nx.NetworkXException) as error:
            raise InputError(f"{path}: not a task graph in GraphML: {error}") from error

    # torch_geometric

    def to_pyg(self, dtype: torch.dtype = torch.float32):
        """The graph as :class:`torch_geometric.data.Data`.

        A float32 rounds the weights; with ``dtype=torch.float64`` :meth:`from_pyg` gives back exactly this graph.

        **Shapes** (E edges)
            - ``edge_index``: (2, E), sources above targets, indices into ``node_names``
            - ``edge_weight``: (E,)
            - ``edge_attr``: (E, 3), columns weight, std, count
            - ``node_names``, ``arch``, ``tasks``, ``split``, ``seed``: plain Python values
        """
        from torch_geometric.data import Data

        index = {node: i for i, node in enumerate(self.nodes)}
        ends = [(index[edge.source], index[edge.target]) for edge in self.edges]
        values = [(edge.weight, edge.std, edge.count) for edge in self.edges]
        edge_attr = torch.tensor(values, dtype=dtype).reshape(-1, 3)  # (E, 3)
        return Data(
            edge_index=torch.tensor(ends, dtype=torch.int64).reshape(-1, 2).T.contiguous(),  # (2, E)
            edge_weight=edge_attr[:, 0].clone(),  # (E,)
            edge_attr=edge_attr,
            num_nodes=len(self.nodes),
            node_names=list(self.nodes),
            arch=self.arch,
            tasks=list(self.tasks),
            split=self.split,
            seed=self.seed,
        )

    @classmethod
    def from_pyg(cls, data) -> "TaskGraph":
        """The inverse of :meth:`to_pyg`."""
        names = data.node_names
        ends = data.edge_index.T.tolist()
        edges = [
            Edge(source=names[source], target=names[target], weight=weight, std=std, count=round(count))
            for (source, target), (weight, std, count) in zip(ends, data.edge_attr.tolist(), strict=True)
        ]
        return cls(
            arch=data.arch,
            tasks=tuple(data.tasks),
            split=data.split,
            seed=data.seed,
            virtual=len(names) > len(data.tasks),
            edges=tuple(edges),
        )

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(arch={self.arch!r}, tasks={len(self.tasks)}, edges={len(self.edges)}, "
            f"split={self.split!r}, seed={self.seed})"
        )


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

    def update(self, edges, keep: Tensor | None = None) -> None:
        """Count the instances of a batch.

        Args:
            edges: :class:`~graphmtl.graph.interaction.EdgeWeights` of the batch; an instance counts once, with its
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

    def merge(self, other: "EdgeRecorder") -> None:
        """Count what ``other`` counted too, as if its batches had come here; ``other`` stays as it is."""
        for target, moments in other._moments.items():
            self._merge(target, moments)

    def _merge(self, target: str, moments: "_Moments") -> None:
        known = self._moments.get(target)
        if known is not None and known.sources != moments.sources:
            raise ValueError(f"sources of {target!r}: expected {known.sources}, found {moments.sources}")
        self._moments[target] = moments if known is None else known.merged(moments)

    def graph(self, *, arch: str, tasks: Sequence[str], split: str, seed: int, virtual: bool = False) -> TaskGraph:
        """The task graph of all instances so far.

        Raises:
            ValueError: A source or target is not among the nodes, or a weight was not finite.
        """
        edges = [edge for target, moments in self._moments.items() for edge in moments.edges(target)]
        return TaskGraph(arch=arch, tasks=tuple(tasks), split=split, seed=seed, virtual=virtual, edges=tuple(edges))

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

    def merged(self, other: "_Moments") -> "_Moments":
        count = self.count + other.count
        delta = other.mean.to(self.mean.device) - self.mean  # (sources,)
        mean = self.mean + delta * (other.count / count)
        between = delta.square() * (self.count * other.count / count)
        deviations = self.deviations + other.deviations.to(self.deviations.device) + between
        return _Moments(self.sources, count, mean, deviations)

    def edges(self, target: str) -> list[Edge]:
        stds = (self.deviations / self.count).sqrt().tolist()
        return [
            Edge(source=source, target=target, weight=weight, std=std, count=self.count)
            for source, weight, std in zip(self.sources, self.mean.tolist(), stds, strict=True)
        ]


_EDGE_VALUES = ("weight", "std", "count")


def _is_finite(value) -> bool:
    return isinstance(value, Real) and math.isfinite(value)


def _expect(name: str, value, kind) -> None:
    if not isinstance(value, kind):
        kinds = kind if isinstance(kind, tuple) else (kind,)
        raise ValueError(f"{name}: expected {' or '.join(k.__name__ for k in kinds)}, found {value!r:.60}")


def _required(values: dict, name: str, where: str, kind: type = object):
    if name not in values:
        raise ValueError(f"{where} has no {name!r}")
    _expect(f"{name} of {where}", values[name], kind)
    return values[name]
