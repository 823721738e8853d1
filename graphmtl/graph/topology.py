"""Which tasks a task may read from: the edges of the task graph before anything is learned.

``--topology`` takes

- ``complete``: every task reads from all others.
- ``star`` or ``star:TASK``: the first task, or the named one, stands in the middle; it reads from all others, and they
  from it alone. This is a star of tasks; ``--arch star`` has no task in its middle but a virtual node.
- ``[[SOURCE, TARGET], ...]``: the edges themselves, as YAML; TARGET reads from SOURCE.
- a YAML file of edges: such a list, or ``edges: [[SOURCE, TARGET], ...]``.
- a GraphML file (``.graphml``) whose nodes are tasks; without directions every edge goes both ways.
- the folder of a finished run, for the edges between tasks that it learned (of a star run its task affinity).

``--top-k N`` keeps the N strongest edges into each task, where edges have weights: those of a run or of GraphML.
"""

import math
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import permutations
from pathlib import Path

import networkx as nx
import torch
import yaml
from torch import Tensor

from graphmtl.data.yaml_lines import compose_yaml, read_yaml
from graphmtl.errors import InputError, check_kind, shown, unknown_name
from graphmtl.graph.graphml import read_graphml
from graphmtl.graph.task_graph import TaskGraph

__all__ = ["Topology", "read_topology"]

_ACCEPTED = "complete, star, star:TASK, [[SOURCE, TARGET], ...], a YAML or GraphML file of edges, a run's folder"


@dataclass(frozen=True, kw_only=True, repr=False)
class Topology:
    """Directed edges between tasks; an edge source -> target lets target read from source.

    ``str`` gives what ``--topology`` takes, with every edge written out.

    Args:
        tasks: names of the tasks, in the order of the model.
        edges: pairs (source, target); their order plays no part. A task without incoming edge reads nothing.

    Raises:
        InputError: an edge names a task that does not exist, leads from a task to itself, or occurs twice.

    >>> topology = Topology(tasks=("books", "dvd", "music"), edges=[("music", "dvd"), ("books", "dvd")])
    >>> topology.sources["dvd"], topology.sources["books"]
    (('books', 'music'), ())
    >>> str(topology)
    '[[books, dvd], [music, dvd]]'
    """

    tasks: tuple[str, ...]
    edges: tuple[tuple[str, str], ...]

    def __post_init__(self) -> None:
        check_kind("tasks", self.tasks, Iterable, "names of tasks")
        check_kind("edges", self.edges, Iterable, "pairs of source and target")
        object.__setattr__(self, "tasks", tuple(self.tasks))
        object.__setattr__(self, "edges", tuple(self.edges))
        for edge in self.edges:
            if isinstance(edge, str) or not isinstance(edge, Sequence) or len(edge) != 2:
                raise InputError(f"edges: found {shown(edge)}, expected pairs of source and target")
        index = {task: i for i, task in enumerate(self.tasks)}
        edges = [(source, target) for source, target in self.edges]
        _check_edges((("topology", *edge) for edge in edges), self.tasks)
        edges.sort(key=lambda edge: (index[edge[1]], index[edge[0]]))
        object.__setattr__(self, "edges", tuple(edges))

    @classmethod
    def complete(cls, tasks: Sequence[str]) -> "Topology":
        """Every task reads from all others."""
        return cls(tasks=tuple(tasks), edges=tuple(permutations(tasks, 2)))

    @classmethod
    def star(cls, tasks: Sequence[str], middle: str | None = None) -> "Topology":
        """One task, by default the first, reads from all others, and they from it alone.

        ``--arch star`` has no task in its middle but a virtual node, an LSTM of its own that reads every task's texts.
        """
        middle = tasks[0] if middle is None else middle
        spokes = [(middle, task) for task in tasks if task != middle]
        return cls(tasks=tuple(tasks), edges=(*spokes, *((task, middle) for _, task in spokes)))

    @cached_property
    def sources(self) -> dict[str, tuple[str, ...]]:
        """The tasks that each task reads from, in the order of the tasks."""
        sources: dict[str, list[str]] = {task: [] for task in self.tasks}
        for source, target in self.edges:
            sources[target].append(source)
        return {target: tuple(names) for target, names in sources.items()}

    @property
    def edge_index(self) -> Tensor:
        """As torch_geometric has it: (2, E) int64, positions of the sources above those of the targets."""
        index = {task: i for i, task in enumerate(self.tasks)}
        ends = [(index[source], index[target]) for source, target in self.edges]
        return torch.tensor(ends, dtype=torch.int64, device="cpu").reshape(-1, 2).T.contiguous()

    @classmethod
    def from_edge_index(cls, edge_index: Tensor, tasks: Sequence[str]) -> "Topology":
        """The inverse of :attr:`edge_index`."""
        edges = [(tasks[source], tasks[target]) for source, target in edge_index.T.tolist()]
        return cls(tasks=tuple(tasks), edges=tuple(edges))

    def to_networkx(self) -> nx.DiGraph:
        """A ``DiGraph`` whose nodes are the tasks."""
        graph = nx.DiGraph()
        graph.add_nodes_from(self.tasks)
        graph.add_edges_from(self.edges)
        return graph

    @classmethod
    def from_networkx(cls, graph: nx.Graph, tasks: Sequence[str]) -> "Topology":
        """The edges of any networkx graph over tasks; without directions every edge goes both ways."""
        return cls(tasks=tuple(tasks), edges=tuple(nx.DiGraph(graph).edges))

    def __str__(self) -> str:
        if len(self.edges) == len(self.tasks) * (len(self.tasks) - 1):
            return "complete"
        edges = [list(edge) for edge in self.edges]
        return yaml.safe_dump(edges, default_flow_style=True, width=math.inf).strip()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(tasks={len(self.tasks)}, edges={len(self.edges)})"


def read_topology(text: str | None, tasks: Sequence[str], top_k: int = 0) -> Topology:
    """The topology that ``--topology`` names; its forms stand at the top of this file.

    Args:
        text: what ``--topology`` says; None for ``complete``.
        tasks: names of the tasks.
        top_k: how many of the strongest edges into each task are kept; 0 keeps all.

    Raises:
        InputError: the text, or what is in the file that it names, is wrong; or there are no weights for ``top_k``.
    """
    text = "complete" if text is None else text
    edges = _read_edges(text, tasks)
    _check_edges(((edge.place, edge.source, edge.target) for edge in edges), tasks)
    if top_k:
        edges = _strongest(edges, top_k, text)
    return Topology(tasks=tuple(tasks), edges=tuple((edge.source, edge.target) for edge in edges))


@dataclass(frozen=True)
class _Edge:
    """An edge, where it was read, and its weight if it has one."""

    source: str
    target: str
    place: str
    weight: float | None = None


def _check_edges(edges: Iterable[tuple[str, str, str]], tasks: Sequence[str]) -> None:
    """Whether (place, source, target) are edges between different tasks, each there once."""
    known = dict.fromkeys(tasks)
    places: dict[tuple[str, str], str] = {}
    for place, source, target in edges:
        name = f"{place}: edge {source!r} -> {target!r}"
        for task in (source, target):
            if task not in known:
                raise InputError(f"{name}: {unknown_name('task', task, known)}")
        if source == target:
            raise InputError(f"{name} leads from a task to itself; an edge joins two different tasks")
        if (source, target) in places:
            raise InputError(f"{name} occurs twice, first in {places[source, target]}")
        places[source, target] = place


def _strongest(edges: Sequence[_Edge], count: int, text: str) -> list[_Edge]:
    """The ``count`` edges into each task that have the largest weights; of equal ones the first."""
    if any(edge.weight is None for edge in edges):
        accepted = "the folder of a finished run, or a GraphML file with weights"
        raise InputError(f"--top-k {count}: --topology {shown(text)} has no weights to rank; accepted: {accepted}")
    incoming: dict[str, list[_Edge]] = {}
    for edge in sorted(edges, key=lambda edge: -edge.weight):
        incoming.setdefault(edge.target, []).append(edge)
    return [edge for group in incoming.values() for edge in group[:count]]


def _read_edges(text: str, tasks: Sequence[str]) -> list[_Edge]:
    path, (name, colon, middle) = Path(text), text.partition(":")
    if text == "complete":
        return _built(Topology.complete(tasks))
    if name == "star":
        if colon and middle not in tasks:
            raise InputError(f"--topology {text}: {unknown_name('task', middle, tasks)}")
        return _built(Topology.star(tasks, middle if colon else None))
    if text.lstrip().startswith("["):
        return _yaml_edges(compose_yaml(text.encode(errors="replace"), "--topology"), "--topology")
    if not os.path.exists(text):  # False, not an error, for what is no path at all
        raise InputError(f"--topology {shown(text)}: no such file or folder; accepted: {_ACCEPTED}")
    if path.is_dir():
        return _run_edges(path)
    return _graphml_edges(path) if path.suffix.lower() == ".graphml" else _yaml_edges(read_yaml(path), text)


def _built(topology: Topology) -> list[_Edge]:
    return [_Edge(source, target, "--topology") for source, target in topology.edges]


def _yaml_edges(node: yaml.Node | None, name: str) -> list[_Edge]:
    """The edges in a YAML document that is called ``name``."""
    if isinstance(node, yaml.MappingNode) and node.value:
        (key, node), *others = node.value
        wrong = key if key.value != "edges" else others[0][0] if others else None
        if wrong is not None:
            place = f"{name}, line {wrong.start_mark.line + 1}"
            raise InputError(f"{place}: key {_written(wrong)}; expected: the one key 'edges'")
    if not isinstance(node, yaml.SequenceNode) or not node.value:
        place = f"{name}, line {node.start_mark.line + 1}" if node else name
        raise InputError(f"{place}: no edges; expected: `edges: [[SOURCE, TARGET], ...]`, or such a list")
    return [_yaml_edge(pair, name) for pair in node.value]


def _yaml_edge(node: yaml.Node, name: str) -> _Edge:
    place = f"{name}, line {node.start_mark.line + 1}"
    ends = node.value if isinstance(node, yaml.SequenceNode) else []
    if len(ends) != 2 or not all(isinstance(end, yaml.ScalarNode) for end in ends):
        raise InputError(f"{place}: {_written(node)} is no edge; expected: [SOURCE, TARGET], two names of tasks")
    return _Edge(ends[0].value, ends[1].value, place)


def _written(node: yaml.Node) -> str:
    """What stands in the document, for an error message."""
    start, end = node.start_mark, node.end_mark
    return shown(" ".join(start.buffer[start.pointer : end.pointer].split()))


def _graphml_edges(path: Path) -> list[_Edge]:
    graph = read_graphml(path).to_directed()
    if not graph.edges:
        raise InputError(f"{path}: no edges; expected: GraphML whose nodes are tasks, with an edge or more")
    return [_Edge(source, target, str(path), _weight(data)) for source, target, data in graph.edges(data=True)]


def _weight(data: dict) -> float | None:
    weight = data.get("weight")
    return weight if isinstance(weight, int | float) and abs(weight) <= sys.float_info.max else None


def _run_edges(folder: Path) -> list[_Edge]:
    """The edges between tasks that a finished run learned; what a task reads from itself is left out."""
    path = folder / "task_graph.json"
    if not path.is_file():
        raise InputError(f"--topology {folder}: no task_graph.json; the folder of a finished run is expected")
    graph = TaskGraph.load(path)
    if graph.virtual:
        path = folder / "task_affinity.json"
        graph = TaskGraph.load(path)
    edges = [_Edge(e.source, e.target, str(path), e.weight) for e in graph.edges if e.source != e.target]
    if not edges:
        raise InputError(f"{path}: no edges; expected: a run whose tasks read from each other (this one: {graph.arch})")
    return edges
