"""The learned task graph: who reads from whom, and how much, over a whole split."""

import json
import math
import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from numbers import Integral, Real
from pathlib import Path

import networkx as nx
import numpy as np
import pandas as pd
import torch

from graphmtl.errors import InputError
from graphmtl.files import parse_json, read_json
from graphmtl.graph.comparison import Comparison, compare
from graphmtl.graph.graphml import read_graphml

__all__ = ["VIRTUAL", "Edge", "TaskGraph"]

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
        """The edges into ``target``, the strongest first; equal weights keep the order of the tasks.

        Raises:
            ValueError: There is no such node.
        """
        if target not in self.nodes:
            raise ValueError(f"target: expected one of {self.nodes}, found {target!r}")
        return sorted((edge for edge in self.edges if edge.target == target), key=lambda edge: -edge.weight)

    def matrix(self) -> np.ndarray:
        """The weights between tasks, float64, shape (K, K): rows are targets, columns sources, nan where no edge is."""
        index = {task: i for i, task in enumerate(self.tasks)}
        matrix = np.full((len(self.tasks), len(self.tasks)), np.nan)  # (targets, sources)
        for edge in self.edges:
            if edge.source in index and edge.target in index:
                matrix[index[edge.target], index[edge.source]] = edge.weight
        return matrix

    # Operations

    def threshold(self, weight: float) -> "TaskGraph":
        """Only the edges of this weight or more."""
        return replace(self, edges=tuple(edge for edge in self.edges if edge.weight >= weight))

    def top_k(self, k: int) -> "TaskGraph":
        """Only the ``k`` strongest edges into each node; of equal ones the first in the order of the tasks.

        Raises:
            ValueError: ``k`` is below 0.
        """
        if k < 0:
            raise ValueError(f"k: expected 0 or more edges, found {k}")
        return replace(self, edges=tuple(edge for node in self.nodes for edge in self.incoming(node)[:k]))

    def symmetrise(self) -> "TaskGraph":
        """Both directions of every edge, each with the mean of the two weights; a direction that is missing weighs 0.

        ``std`` is that of the mean of two independent numbers, ``count`` the sum of both.
        """
        known = {(edge.source, edge.target): edge for edge in self.edges}
        edges = []
        for a, b in dict.fromkeys(pair for ends in known for pair in (ends, ends[::-1])):
            both = [known[ends] for ends in {(a, b), (b, a)} if ends in known]
            share = 1 if a == b else 2
            weight = sum(edge.weight for edge in both) / share
            std = math.hypot(*(edge.std for edge in both)) / share
            edges.append(Edge(source=a, target=b, weight=weight, std=std, count=sum(edge.count for edge in both)))
        return replace(self, edges=tuple(edges))

    def communities(self, seed: int = 0) -> list[set[str]]:
        """The tasks in groups that are joined more strongly within than across, by the Louvain method.

        Directions are symmetrised; the virtual node, self-loops and weights of 0 and below play no part (Blondel,
        Guillaume, Lambiotte, Lefebvre: Fast unfolding of communities in large networks, 2008; as networkx has it).
        """
        graph: nx.Graph = nx.Graph()
        graph.add_nodes_from(self.tasks)
        for edge in self.symmetrise().edges:
            if VIRTUAL not in (edge.source, edge.target) and edge.source != edge.target and edge.weight > 0:
                graph.add_edge(edge.source, edge.target, weight=edge.weight)
        groups = nx.community.louvain_communities(graph, seed=seed)
        return sorted(map(set, groups), key=lambda group: min(map(self.tasks.index, group)))

    def compare(self, other: "TaskGraph", k: int = 3) -> Comparison:
        """Whether two graphs over the same tasks rank the edges alike: within each target's row, and over all edges.

        Edges that only one of them has play no part, nor does what a task reads from itself. The spokes of a star are
        one row: every target has but one.

        Raises:
            ValueError: The nodes are others, or ``k`` is below 1.
        """
        if k < 1:
            raise ValueError(f"k: expected 1 or more edges, found {k}")
        if other.nodes != self.nodes:
            raise ValueError(f"nodes: expected {self.nodes}, found {other.nodes}")
        return compare(self._rows(), other._rows(), k=k)

    def _rows(self) -> np.ndarray:
        """Weights that may be ranked: of each target (targets, sources), or of the virtual node (1, targets)."""
        if not self.virtual:
            matrix = self.matrix()
            np.fill_diagonal(matrix, np.nan)
            return matrix
        weights = {edge.target: edge.weight for edge in self.edges if edge.source == VIRTUAL}
        return np.array([[weights.get(task, np.nan) for task in self.tasks]])

    @classmethod
    def average(cls, graphs: Iterable["TaskGraph"]) -> "TaskGraph":
        """The mean graph of several runs, such as those of several seeds.

        ``std`` is the spread over the graphs and ``count`` how many of them have the edge; the rest is the first one's.

        Raises:
            ValueError: There is no graph, or their nodes differ.
        """
        graphs = tuple(graphs)
        if not graphs or any(graph.nodes != graphs[0].nodes for graph in graphs):
            raise ValueError(f"graphs: expected one or more with the same nodes, found {list(graphs)}")
        weights: dict[tuple[str, str], list[float]] = {}
        for edge in (edge for graph in graphs for edge in graph.edges):
            weights.setdefault((edge.source, edge.target), []).append(edge.weight)
        edges = [
            Edge(source=a, target=b, weight=float(np.mean(own)), std=float(np.std(own)), count=len(own))
            for (a, b), own in weights.items()
        ]
        return replace(graphs[0], edges=tuple(edges))

    # pandas

    def to_pandas(self) -> pd.DataFrame:
        """A row for each edge: ``source``, ``target``, ``weight``, ``std``, ``count``; all else is in ``attrs``."""
        rows = [(edge.source, edge.target, edge.weight, edge.std, edge.count) for edge in self.edges]
        frame = pd.DataFrame(rows, columns=["source", "target", *_EDGE_VALUES])
        about = {"arch": self.arch, "tasks": list(self.tasks), "split": self.split, "seed": self.seed}
        frame.attrs = {**about, "virtual": self.virtual}
        return frame

    @classmethod
    def from_pandas(cls, frame: pd.DataFrame) -> "TaskGraph":
        """The inverse of :meth:`to_pandas`.

        Raises:
            ValueError: ``attrs`` or a column is missing.
        """
        names = ("arch", "tasks", "split", "seed", "virtual")
        about = {name: _required(frame.attrs, name, "attrs of the frame") for name in names}
        for column in ("source", "target", *_EDGE_VALUES):
            _required(dict.fromkeys(frame.columns), column, "the frame")
        rows = frame[["source", "target", *_EDGE_VALUES]].to_dict("records")
        return cls(**about, edges=tuple(Edge(**row) for row in rows))

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
        """Write ``task_graph.json``; a file that stands there is replaced.

        Raises:
            InputError: It cannot be written.
        """
        text = json.dumps(self.to_json(), indent=2, ensure_ascii=False, allow_nan=False)
        try:
            Path(path).write_text(text + "\n", encoding="utf-8")
        except OSError as error:
            raise InputError(f"{path}: cannot be written: {error.strerror}") from error

    @classmethod
    def load(cls, path: str | Path) -> "TaskGraph":
        """Read what :meth:`save` wrote.

        Raises:
            InputError: There is no such file, or it holds something else.
        """
        data = read_json(path)
        try:
            return cls.from_json(data)
        except (ValueError, TypeError) as error:
            raise InputError(f"{path}: not a task graph in node-link JSON: {error}") from error

    # GraphML

    def write_graphml(self, path: str | Path) -> None:
        """Write GraphML; it knows no lists, so the graph attribute ``tasks`` is a JSON string there.

        Raises:
            InputError: It cannot be written.
        """
        graph = self.to_networkx()
        graph.graph["tasks"] = json.dumps(self.tasks)
        try:
            nx.write_graphml_xml(graph, path)
        except OSError as error:
            raise InputError(f"{path}: cannot be written: {error.strerror}") from error

    @classmethod
    def read_graphml(cls, path: str | Path) -> "TaskGraph":
        """Read what :meth:`write_graphml` wrote.

        Raises:
            InputError: There is no such file, or it holds something else.
        """
        graph = read_graphml(path)
        tasks = graph.graph.get("tasks")
        if isinstance(tasks, str):
            graph.graph["tasks"] = parse_json(tasks, f"{path}: tasks")
        try:
            return cls.from_networkx(graph)
        except (ValueError, TypeError) as error:
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


_EDGE_VALUES = ("weight", "std", "count")


def _is_finite(value) -> bool:
    return isinstance(value, Real) and abs(value) <= sys.float_info.max


def _expect(name: str, value, kind) -> None:
    if not isinstance(value, kind):
        kinds = kind if isinstance(kind, tuple) else (kind,)
        raise ValueError(f"{name}: expected {' or '.join(k.__name__ for k in kinds)}, found {value!r:.60}")


def _required(values: dict, name: str, where: str, kind: type = object):
    if name not in values:
        raise ValueError(f"{where} has no {name!r}")
    _expect(f"{name} of {where}", values[name], kind)
    return values[name]
