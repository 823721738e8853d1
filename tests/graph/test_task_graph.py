import json
import pickle
from dataclasses import replace

import networkx as nx
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from graphmtl.errors import InputError
from graphmtl.graph.interaction import EdgeWeights
from graphmtl.graph.task_graph import VIRTUAL, Edge, EdgeRecorder, TaskGraph
from tests.graph.examples import affinity, complete, star, without_edges

GRAPHS = [complete(5), star(4), affinity(3), without_edges(3), complete(1)]
ABOUT = {"arch": "complete", "tasks": ("a", "b", "c"), "split": "test", "seed": 3}


def edge(source: str, target: str, weight: float = 0.5, std: float = 0.1, count: int = 7) -> Edge:
    return Edge(source=source, target=target, weight=weight, std=std, count=count)


def oddly_named(graph: TaskGraph) -> TaskGraph:
    """The graph with names that a file format may stumble over."""
    return replace(
        graph, tasks=('a<b> & "c"', "größe $x$", "two words"), edges=(edge("two words", "größe $x$", 1 / 3),)
    )


# The graph itself


def test_matrix_has_a_row_for_each_target():
    graph = TaskGraph(**ABOUT, edges=(edge("a", "c", 0.25), edge("c", "b", 0.75)))
    expected = np.full((3, 3), np.nan)
    expected[2, 0] = 0.25
    expected[1, 2] = 0.75
    np.testing.assert_array_equal(graph.matrix(), expected)


def test_matrix_leaves_out_the_virtual_node():
    assert star(4).matrix().shape == (4, 4)
    assert np.isnan(star(4).matrix()).all()


def test_order_of_the_edges_given_does_not_matter():
    graph = complete(4)
    assert replace(graph, edges=graph.edges[::-1]) == graph


def test_incoming_edges_start_with_the_strongest():
    graph = TaskGraph(**ABOUT, edges=(edge("a", "c", 0.2), edge("b", "c", 0.8), edge("c", "a", 0.9)))
    assert [(e.source, e.weight) for e in graph.incoming("c")] == [("b", 0.8), ("a", 0.2)]
    assert graph.incoming("b") == []


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"tasks": ("a", "a")}, "'a' stands for two nodes"),
        ({"tasks": ("a", VIRTUAL), "virtual": True}, "'virtual' stands for two nodes"),
        ({"tasks": "abc"}, "tasks: expected list or tuple, found 'abc'"),
        ({"tasks": ("a", 3)}, "tasks: expected str, found 3"),
        ({"seed": "0"}, "seed: expected int"),
        ({"edges": (edge("a", "d"),)}, "'a' -> 'd' leads to a node that is not in the graph"),
        ({"edges": (edge(VIRTUAL, "a"),)}, "not in the graph"),
        ({"edges": (edge("a", "b"), edge("a", "b", 0.1))}, "'a' -> 'b' occurs twice"),
    ],
)
def test_inconsistent_graph_is_refused(values, message):
    with pytest.raises(ValueError, match=message):
        TaskGraph(**{**ABOUT, **values})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"weight": float("nan")}, "'a' -> 'b': weight is a finite number, not nan"),
        ({"weight": "0.5"}, "weight is a finite number"),
        ({"std": -0.1}, "std is a number from 0 up"),
        ({"std": float("inf")}, "std is a number from 0 up"),
        ({"count": 0}, "count is a whole number from 1 up"),
        ({"count": 1.5}, "count is a whole number from 1 up"),
    ],
)
def test_impossible_edge_is_refused(values, message):
    with pytest.raises(ValueError, match=message):
        edge("a", "b", **values)


def test_repr():
    assert repr(star(4)) == "TaskGraph(arch='star', tasks=4, edges=4, split='test', seed=0)"


# Conversions


@pytest.mark.parametrize("graph", GRAPHS, ids=repr)
def test_round_trips(graph, tmp_path):
    assert TaskGraph.from_networkx(graph.to_networkx()) == graph
    assert TaskGraph.from_json(json.loads(json.dumps(graph.to_json()))) == graph
    assert TaskGraph.from_pyg(graph.to_pyg(torch.float64)) == graph
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


# Bad files


def changed(**values) -> str:
    """A good file with some of its parts replaced; None takes a part away."""
    data = {**TaskGraph(**ABOUT, edges=(edge("a", "b"),)).to_json(), **values}
    return json.dumps({key: value for key, value in data.items() if value is not None})


GOOD_EDGE = {"source": "a", "target": "b", "weight": 0.5, "std": 0.1, "count": 7}
BAD_FILES = {
    "": "Expecting value: line 1",
    "[]": "the JSON document: expected dict, found []",
    '{"arch": "star"}': "has no 'graph'",
    changed(edges=None, links=[]): "has no 'edges'",
    changed(nodes=None): "has no 'nodes'",
    changed(nodes={}): "expected list",
    changed(nodes=["a"]): "expected dict, found 'a'",
    changed(nodes=[{"id": "a"}]): "node 'a' has no 'kind'",
    changed(nodes=[{"id": "a", "kind": "task"}]): "node 'b' has no 'kind'",
    changed(nodes=[{"id": name, "kind": "task"} for name in "abcd"]): "nodes are the tasks",
    changed(nodes=[{"id": name, "kind": "person"} for name in "abc"]): "nodes are the tasks",
    changed(nodes=[{"id": ["a"], "kind": "task"}]): "expected str",
    changed(directed=False): "directed",
    changed(multigraph=True): "at most one edge",
    changed(graph={"arch": "star"}): "the graph has no 'tasks'",
    changed(graph={**ABOUT, "tasks": "abc"}): "tasks: expected list",
    changed(graph=[]): "expected dict",
    changed(edges=[{"source": "a"}]): "has no 'target'",
    changed(edges=[{"source": "a", "target": "b"}]): "edge 'a' -> 'b' has no 'weight'",
    changed(edges=[{**GOOD_EDGE, "weight": "much"}]): "weight is a finite number, not 'much'",
    changed(edges=[{**GOOD_EDGE, "weight": float("nan")}]): "weight is a finite number, not nan",
    changed(edges=[{**GOOD_EDGE, "count": -1}]): "count is a whole number",
}


@pytest.mark.parametrize(("text", "message"), BAD_FILES.items(), ids=BAD_FILES.values())
def test_load_names_file_and_fault(text, message, tmp_path):
    path = tmp_path / "task_graph.json"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        TaskGraph.load(path)
    assert str(caught.value).startswith(f"{path}: not a task graph in node-link JSON: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_load_of_bytes_that_are_no_text(tmp_path):
    (tmp_path / "g.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"g\.json: not a task graph .*utf-8"):
        TaskGraph.load(tmp_path / "g.json")


@pytest.mark.parametrize("read", [TaskGraph.load, TaskGraph.read_graphml])
def test_read_of_a_missing_file(read, tmp_path):
    with pytest.raises(InputError, match="nothing: cannot be read: No such file"):
        read(tmp_path / "nothing")


@pytest.mark.parametrize("text", ["", "{}", "<graphml/>", "<html><body/></html>"])
def test_read_of_other_xml(text, tmp_path):
    (tmp_path / "g.graphml").write_text(text)
    with pytest.raises(InputError, match=r"g\.graphml: not a task graph in GraphML"):
        TaskGraph.read_graphml(tmp_path / "g.graphml")


def test_read_of_a_foreign_graphml(tmp_path):
    nx.write_graphml_xml(nx.path_graph(3, create_using=nx.DiGraph), tmp_path / "g.graphml")
    with pytest.raises(InputError, match="the graph has no 'tasks'"):
        TaskGraph.read_graphml(tmp_path / "g.graphml")


# Recording


def attention(instances: int, sources: int, seed: int = 0) -> torch.Tensor:
    """(instances, sources), rows sum to 1."""
    generator = torch.Generator().manual_seed(seed)
    return torch.softmax(3 * torch.randn(instances, sources, generator=generator, dtype=torch.float64), dim=-1)


def recorded(weights: torch.Tensor, batch: int) -> EdgeRecorder:
    recorder = EdgeRecorder()
    for part in weights.split(batch):
        recorder.add("c", ("a", "b"), part)
    return recorder


@pytest.mark.parametrize("batch", [1, 7, 100])
def test_recorder_equals_mean_and_std_of_all_instances(batch):
    weights = attention(100, 2)
    found = recorded(weights, batch).graph(**ABOUT).edges
    assert [(e.source, e.target, e.count) for e in found] == [("a", "c", 100), ("b", "c", 100)]
    assert [e.weight for e in found] == pytest.approx(weights.mean(0).tolist(), rel=1e-12)
    assert [e.std for e in found] == pytest.approx(weights.std(0, correction=0).tolist(), rel=1e-12)


def test_recorder_is_exact_far_from_zero():
    weights = 1e6 + 1e-3 * attention(100, 2)  # the mean of squares less the square of the mean would lose all digits
    found = recorded(weights, 7).graph(**ABOUT).edges
    assert [e.std for e in found] == pytest.approx(weights.std(0, correction=0).tolist(), rel=1e-5)


def test_weights_of_incoming_edges_sum_to_one():
    graph = recorded(attention(50, 2), 8).graph(**ABOUT)
    assert sum(e.weight for e in graph.incoming("c")) == pytest.approx(1, abs=1e-12)


def test_instance_counts_once_however_long_it_is():
    weights = torch.zeros(2, 3, 2)  # (batch, tokens, sources)
    weights[0, :1] = torch.tensor([1.0, 0.0])
    weights[1, :3] = torch.tensor([0.0, 1.0])
    recorder = EdgeRecorder()
    recorder.update(EdgeWeights(target="c", sources=("a", "b"), weights=weights, lengths=torch.tensor([1, 3])))
    assert [e.weight for e in recorder.graph(**ABOUT).edges] == [0.5, 0.5]


def test_filler_instances_are_left_out():
    weights = attention(6, 2)
    keep = torch.tensor([1.0, 0.0, 1.0, 1.0, 0.0, 0.0])
    recorder = EdgeRecorder()
    recorder.add("c", ("a", "b"), weights, keep)
    recorder.add("c", ("a", "b"), weights, torch.zeros(6))
    assert recorder.graph(**ABOUT) == recorded(weights[keep == 1], 6).graph(**ABOUT)


def test_update_leaves_fillers_out():
    edges = EdgeWeights(
        target="c", sources=("a", "b"), weights=attention(4, 2)[:, None], lengths=torch.ones(4, dtype=torch.int64)
    )
    recorder = EdgeRecorder()
    recorder.update(edges, keep=torch.tensor([1, 1, 1, 0]))
    assert {e.count for e in recorder.graph(**ABOUT).edges} == {3}


def test_merge_equals_one_recorder_for_all():
    weights = attention(100, 2)
    first, second = recorded(weights[:31], 10), recorded(weights[31:], 10)
    before = second.graph(**ABOUT)
    second.add("a", ("c",), torch.ones(2, 1))
    first.merge(second)
    merged = first.graph(**ABOUT)
    for found, expected in zip(merged.incoming("c"), recorded(weights, 100).graph(**ABOUT).incoming("c"), strict=True):
        assert found.count == expected.count
        assert (found.weight, found.std) == pytest.approx((expected.weight, expected.std), rel=1e-12)
    assert merged.incoming("a") == [edge("c", "a", 1.0, 0.0, 2)]
    assert second.graph(**ABOUT).incoming("c") == before.incoming("c")


def test_memory_does_not_grow_with_the_split():
    few, many = recorded(attention(200, 2), 100), recorded(attention(20_000, 2), 100)
    assert len(pickle.dumps(many)) <= len(pickle.dumps(few)) + 16  # the count may take more digits


def test_recorder_keeps_no_graph_of_derivatives():
    weights = attention(4, 2).requires_grad_()
    recorder = recorded(weights, 2)
    assert all(not moments.mean.requires_grad for moments in recorder._moments.values())


def test_star_spokes_leave_the_virtual_node():
    recorder = EdgeRecorder()
    recorder.add("b", (VIRTUAL,), torch.tensor([[0.2], [0.4]]))
    graph = recorder.graph(arch="star", tasks=("a", "b"), split="test", seed=0, virtual=True)
    assert graph.nodes == ("a", "b", VIRTUAL)
    assert [(e.source, e.target) for e in graph.edges] == [(VIRTUAL, "b")]
    assert graph.edges[0].weight == pytest.approx(0.3)


def test_nothing_recorded_is_a_graph_without_edges():
    assert EdgeRecorder().graph(**ABOUT) == TaskGraph(**ABOUT)


def test_recorder_refuses_other_shapes_and_sources():
    recorder = recorded(attention(4, 2), 4)
    with pytest.raises(ValueError, match=r"weights: expected \(instances, 2\), found \(4, 3\)"):
        recorder.add("c", ("a", "b"), attention(4, 3))
    with pytest.raises(ValueError, match="sources of 'c': expected"):
        recorder.add("c", ("b", "a"), attention(4, 2))


def test_weight_that_is_not_finite_is_named():
    recorder = recorded(torch.tensor([[0.5, float("nan")]]), 1)
    with pytest.raises(ValueError, match="'b' -> 'c': weight is a finite number"):
        recorder.graph(**ABOUT)


def test_repr_of_recorder():
    assert repr(recorded(attention(4, 2), 3)) == "EdgeRecorder(instances={'c': 4})"
