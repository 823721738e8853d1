"""A task graph in the forms of pandas, networkx, JSON and torch_geometric, and back."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import networkx as nx
import pandas as pd
import torch

from graphmtl.graph.edge import VIRTUAL, Edge, expect

__all__ = ["from_json", "from_networkx", "from_pandas", "from_pyg", "to_json", "to_networkx", "to_pandas", "to_pyg"]

Build = Callable[..., Any]
"""Makes a task graph of its fields."""
_EDGE_VALUES = ("weight", "std", "count")


def to_pandas(graph: Any) -> pd.DataFrame:
    """See :meth:`TaskGraph.to_pandas <graphmtl.graph.task_graph.TaskGraph.to_pandas>`."""
    rows = [(edge.source, edge.target, edge.weight, edge.std, edge.count) for edge in graph.edges]
    frame = pd.DataFrame(rows, columns=["source", "target", *_EDGE_VALUES])
    about = {"arch": graph.arch, "tasks": list(graph.tasks), "split": graph.split, "seed": graph.seed}
    frame.attrs = {**about, "virtual": graph.virtual}
    return frame


def from_pandas(frame: pd.DataFrame, build: Build) -> Any:
    """See :meth:`TaskGraph.from_pandas <graphmtl.graph.task_graph.TaskGraph.from_pandas>`."""
    names = ("arch", "tasks", "split", "seed", "virtual")
    about = {name: _required(frame.attrs, name, "attrs of the frame") for name in names}
    for column in ("source", "target", *_EDGE_VALUES):
        _required(dict.fromkeys(frame.columns), column, "the frame")
    rows = frame[["source", "target", *_EDGE_VALUES]].to_dict("records")
    return build(**about, edges=tuple(Edge(**row) for row in rows))


def to_networkx(graph: Any) -> nx.DiGraph:
    """See :meth:`TaskGraph.to_networkx <graphmtl.graph.task_graph.TaskGraph.to_networkx>`."""
    made = nx.DiGraph(arch=graph.arch, tasks=list(graph.tasks), split=graph.split, seed=graph.seed)
    for node in graph.nodes:
        made.add_node(node, kind=VIRTUAL if node not in graph.tasks else "task")
    for edge in graph.edges:
        made.add_edge(edge.source, edge.target, weight=edge.weight, std=edge.std, count=edge.count)
    return made


def from_networkx(graph: nx.DiGraph, build: Build) -> Any:
    """See :meth:`TaskGraph.from_networkx <graphmtl.graph.task_graph.TaskGraph.from_networkx>`."""
    if not graph.is_directed() or graph.is_multigraph():
        raise ValueError("a task graph is directed, with at most one edge from one node to another")
    attributes = {name: _required(graph.graph, name, "the graph") for name in ("arch", "tasks", "split", "seed")}
    kinds = {node: _required(values, "kind", f"node {node!r}") for node, values in graph.nodes(data=True)}
    edges = []
    for source, target, data in graph.edges(data=True):
        values = {name: _required(data, name, f"edge {source!r} -> {target!r}") for name in _EDGE_VALUES}
        edges.append(Edge(source=source, target=target, **values))
    task_graph = build(**attributes, virtual=kinds.get(VIRTUAL) == VIRTUAL, edges=tuple(edges))
    expected = {node: data["kind"] for node, data in to_networkx(task_graph).nodes(data=True)}
    if kinds != expected:
        raise ValueError(f"nodes are the tasks, and at most one of kind {VIRTUAL!r} with that name; found {kinds}")
    return task_graph


def to_json(graph: Any) -> dict:
    """See :meth:`TaskGraph.to_json <graphmtl.graph.task_graph.TaskGraph.to_json>`."""
    return nx.node_link_data(to_networkx(graph), edges="edges")


def from_json(data: dict, build: Build) -> Any:
    """See :meth:`TaskGraph.from_json <graphmtl.graph.task_graph.TaskGraph.from_json>`."""
    expect("the JSON document", data, dict)
    _required(data, "graph", "the JSON document", dict)
    for key, names in {"nodes": ("id",), "edges": ("source", "target")}.items():
        for entry in _required(data, key, "the JSON document", list):
            expect(f"an entry of {key}", entry, dict)
            for name in names:
                _required(entry, name, f"an entry of {key}", str)
        _check_once(key, [tuple(entry[name] for name in names) for entry in data[key]])
    return from_networkx(nx.node_link_graph(data, edges="edges"), build)


def to_pyg(graph: Any, dtype: torch.dtype):
    """See :meth:`TaskGraph.to_pyg <graphmtl.graph.task_graph.TaskGraph.to_pyg>`."""
    from torch_geometric.data import Data

    index = {node: i for i, node in enumerate(graph.nodes)}
    ends = [(index[edge.source], index[edge.target]) for edge in graph.edges]
    values = [(edge.weight, edge.std, edge.count) for edge in graph.edges]
    edge_attr = torch.tensor(values, dtype=dtype).reshape(-1, 3)  # (E, 3)
    return Data(
        edge_index=torch.tensor(ends, dtype=torch.int64).reshape(-1, 2).T.contiguous(),  # (2, E)
        edge_weight=edge_attr[:, 0].clone(),  # (E,)
        edge_attr=edge_attr,
        num_nodes=len(graph.nodes),
        node_names=list(graph.nodes),
        arch=graph.arch,
        tasks=list(graph.tasks),
        split=graph.split,
        seed=graph.seed,
    )


def from_pyg(data, build: Build) -> Any:
    """See :meth:`TaskGraph.from_pyg <graphmtl.graph.task_graph.TaskGraph.from_pyg>`."""
    names = data.node_names
    ends = data.edge_index.T.tolist()
    edges = [
        Edge(source=names[source], target=names[target], weight=weight, std=std, count=round(count))
        for (source, target), (weight, std, count) in zip(ends, data.edge_attr.tolist(), strict=True)
    ]
    return build(
        arch=data.arch,
        tasks=tuple(data.tasks),
        split=data.split,
        seed=data.seed,
        virtual=len(names) > len(data.tasks),
        edges=tuple(edges),
    )


def _check_once(key: str, found: list[tuple[str, ...]]) -> None:
    """networkx would take the last of those that stand twice."""
    twice = next((each for each, times in Counter(found).items() if times > 1), None)
    if twice is not None:
        raise ValueError(f"{key}: {' -> '.join(map(repr, twice))} occurs twice")


def _required(values: dict, name: str, where: str, kind: type = object):
    if name not in values:
        raise ValueError(f"{where} has no {name!r}")
    expect(f"{name} of {where}", values[name], kind)
    return values[name]
