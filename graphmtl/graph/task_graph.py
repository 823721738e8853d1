"""The learned task graph: who reads from whom, and how much, over a whole split."""

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import networkx as nx
import numpy as np
import pandas as pd
import torch

from graphmtl.errors import InputError
from graphmtl.files import parse_json, read_json, write_whole
from graphmtl.graph.comparison import Comparison, compare
from graphmtl.graph.conversions import (
    from_json,
    from_networkx,
    from_pandas,
    from_pyg,
    to_json,
    to_networkx,
    to_pandas,
    to_pyg,
)
from graphmtl.graph.edge import VIRTUAL, Edge, expect
from graphmtl.graph.graphml import read_graphml

__all__ = ["BESIDE", "TaskGraph"]

BESIDE = ("transferability", "ablation", "affinity", "linear")
"""What a run may have a task graph of, beside that of its edges: each in its ``task_NAME.json``."""


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
        expect("arch", self.arch, str)
        expect("split", self.split, str)
        expect("seed", self.seed, int)
        expect("tasks", self.tasks, (list, tuple))
        for task in self.tasks:
            expect("tasks", task, str)
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

    def matrix(self, of: Literal["weight", "std", "count"] = "weight") -> np.ndarray:
        """The weights between tasks, or another number of the edges, float64, shape (K, K): rows are targets, columns
        sources, nan where no edge is."""
        index = {task: i for i, task in enumerate(self.tasks)}
        matrix = np.full((len(self.tasks), len(self.tasks)), np.nan)  # (targets, sources)
        for edge in self.edges:
            if edge.source in index and edge.target in index:
                matrix[index[edge.target], index[edge.source]] = getattr(edge, of)
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
        return to_pandas(self)

    @classmethod
    def from_pandas(cls, frame: pd.DataFrame) -> "TaskGraph":
        """The inverse of :meth:`to_pandas`.

        Raises:
            ValueError: ``attrs`` or a column is missing.
        """
        return from_pandas(frame, cls)

    # networkx and JSON

    def to_networkx(self) -> nx.DiGraph:
        """A ``DiGraph`` with node attribute ``kind``, edge attributes ``weight``, ``std`` and ``count``, and the graph
        attributes ``arch``, ``tasks`` (a list), ``split`` and ``seed``."""
        return to_networkx(self)

    @classmethod
    def from_networkx(cls, graph: nx.DiGraph) -> "TaskGraph":
        """The inverse of :meth:`to_networkx`.

        Raises:
            ValueError: The graph is not directed, or an attribute or a node is missing or of the wrong kind.
        """
        return from_networkx(graph, cls)

    def to_json(self) -> dict:
        """networkx node-link data with the key ``edges``: the content of ``task_graph.json``."""
        return to_json(self)

    @classmethod
    def from_json(cls, data: dict) -> "TaskGraph":
        """The inverse of :meth:`to_json`.

        Raises:
            ValueError: The data is not the node-link form of a task graph.
        """
        return from_json(data, cls)

    def save(self, path: str | Path) -> None:
        """Write ``task_graph.json``; a file that stands there is replaced.

        Raises:
            InputError: It cannot be written.
        """
        text = json.dumps(self.to_json(), indent=2, ensure_ascii=False, allow_nan=False)
        write_whole(Path(path), text + "\n")

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

    def to_pyg(self, dtype: torch.dtype = torch.float32) -> Any:
        """The graph as :class:`torch_geometric.data.Data`.

        A float32 rounds the weights; with ``dtype=torch.float64`` :meth:`from_pyg` gives back exactly this graph.

        **Shapes** (E edges)
            - ``edge_index``: (2, E), sources above targets, indices into ``node_names``
            - ``edge_weight``: (E,)
            - ``edge_attr``: (E, 3), columns weight, std, count
            - ``node_names``, ``arch``, ``tasks``, ``split``, ``seed``: plain Python values
        """
        return to_pyg(self, dtype)

    @classmethod
    def from_pyg(cls, data: Any) -> "TaskGraph":
        """The inverse of :meth:`to_pyg`."""
        return from_pyg(data, cls)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(arch={self.arch!r}, tasks={len(self.tasks)}, edges={len(self.edges)}, "
            f"split={self.split!r}, seed={self.seed})"
        )
