import json
from dataclasses import replace

import networkx as nx
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from graphmtl.graph.edge import VIRTUAL
from graphmtl.graph.task_graph import TaskGraph
from tests.graph.examples import ABOUT, affinity, complete, edge, star, without_edges

GRAPHS = [complete(5), star(4), affinity(3), without_edges(3), complete(1)]


def oddly_named(graph: TaskGraph) -> TaskGraph:
    """The graph with names that a file format may stumble over."""
    return replace(
        graph, tasks=('a<b> & "c"', "größe $x$", "two words"), edges=(edge("two words", "größe $x$", 1 / 3),)
    )


@pytest.mark.parametrize("graph", GRAPHS, ids=repr)
def test_round_trips(graph, tmp_path):
    assert TaskGraph.from_networkx(graph.to_networkx()) == graph
    assert TaskGraph.from_json(json.loads(json.dumps(graph.to_json()))) == graph
    assert TaskGraph.from_pyg(graph.to_pyg(torch.float64)) == graph
    assert TaskGraph.from_pandas(graph.to_pandas()) == graph
    graph.save(tmp_path / "task_graph.json")
    assert TaskGraph.load(tmp_path / "task_graph.json") == graph
    graph.write_graphml(tmp_path / "task_graph.graphml")
    assert TaskGraph.read_graphml(tmp_path / "task_graph.graphml") == graph


def test_round_trips_of_odd_names(tmp_path):
    test_round_trips(oddly_named(complete(3)), tmp_path)
    test_round_trips(replace(oddly_named(complete(3)), virtual=True), tmp_path)


@given(
    tasks=st.lists(st.text(), min_size=2, max_size=6, unique=True),
    weight=st.floats(allow_nan=False, allow_infinity=False),
    count=st.integers(1),
)
def test_any_name_and_number_survives_json(tasks, weight, count):
    graph = TaskGraph(**{**ABOUT, "tasks": tasks}, edges=(edge(tasks[1], tasks[0], weight, 0.0, count),))
    assert TaskGraph.from_json(json.loads(json.dumps(graph.to_json()))) == graph


def test_json_is_the_contract(tmp_path):
    tasks = ("a", "b")
    spoke = edge(VIRTUAL, "b", 0.25, 0.5, 3)
    TaskGraph(arch="star", tasks=tasks, split="test", seed=1, virtual=True, edges=(spoke,)).save(tmp_path / "g.json")
    assert json.loads((tmp_path / "g.json").read_text()) == {
        "directed": True,
        "multigraph": False,
        "graph": {"arch": "star", "tasks": ["a", "b"], "split": "test", "seed": 1},
        "nodes": [{"id": "a", "kind": "task"}, {"id": "b", "kind": "task"}, {"id": "virtual", "kind": "virtual"}],
        "edges": [{"source": "virtual", "target": "b", "weight": 0.25, "std": 0.5, "count": 3}],
    }


@pytest.mark.parametrize(
    ("key", "message"), [("edges", "edges: 'books' -> 'electronics' occurs twice"), ("nodes", "nodes: 'books' occurs")]
)
def test_what_stands_twice_in_json_is_refused(key, message):
    data = complete(3).to_json()
    data[key].append(data[key][0] | ({"weight": 0.75} if key == "edges" else {}))
    with pytest.raises(ValueError, match=f"^{message}"):
        TaskGraph.from_json(data)


def test_networkx_reads_the_file_alone(tmp_path):
    graph = complete(4)
    graph.save(tmp_path / "g.json")
    read = nx.node_link_graph(json.loads((tmp_path / "g.json").read_text()), edges="edges")
    assert nx.utils.graphs_equal(read, graph.to_networkx())
    assert all(read.in_degree(task, weight="weight") == pytest.approx(1) for task in graph.tasks)


def test_pyg_has_sources_above_targets():
    data = TaskGraph(**ABOUT, edges=(edge("a", "c", 0.25, 0.5, 3),)).to_pyg()
    assert data.edge_index.tolist() == [[0], [2]]
    assert data.edge_weight.tolist() == [0.25]
    assert data.edge_attr.tolist() == [[0.25, 0.5, 3]]
    assert data.node_names == ["a", "b", "c"]
    assert data.validate()


@pytest.mark.parametrize("graph", GRAPHS, ids=repr)
def test_pyg_has_a_node_for_each_name(graph):
    data = graph.to_pyg()
    assert data.num_nodes == len(data.node_names) == len(graph.nodes)
    assert data.edge_index.shape == (2, len(graph.edges))
    assert data.edge_attr.shape == (len(graph.edges), 3)
    assert data.edge_weight.dtype == torch.float32


def test_pyg_aggregates_along_the_edges():
    from torch_geometric.nn import SimpleConv

    graph = complete(5)
    data = graph.to_pyg(torch.float64)
    states = torch.randn(5, 3, dtype=torch.float64)
    read = SimpleConv(aggr="sum")(states, data.edge_index, data.edge_weight)
    assert_close(read, torch.from_numpy(np.nan_to_num(graph.matrix())) @ states)


def test_pandas_has_a_row_for_each_edge():
    frame = TaskGraph(**ABOUT, edges=(edge("a", "c", 0.25, 0.5, 3),)).to_pandas()
    assert frame.to_dict("records") == [{"source": "a", "target": "c", "weight": 0.25, "std": 0.5, "count": 3}]
    assert frame.attrs == {"arch": "complete", "tasks": ["a", "b", "c"], "split": "test", "seed": 3, "virtual": False}


def test_pandas_frames_of_something_else_are_refused():
    frame = complete(3).to_pandas()
    with pytest.raises(ValueError, match="the frame has no 'std'"):
        TaskGraph.from_pandas(frame.drop(columns="std"))
    frame.attrs = {}
    with pytest.raises(ValueError, match="attrs of the frame has no 'arch'"):
        TaskGraph.from_pandas(frame)
