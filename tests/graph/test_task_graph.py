import json
from dataclasses import replace

import networkx as nx
import numpy as np
import pytest

from graphmtl.errors import InputError
from graphmtl.graph.edge import VIRTUAL
from graphmtl.graph.task_graph import TaskGraph
from tests.graph.examples import ABOUT, complete, edge, rescaled, star

# The graph itself


def test_matrix_has_a_row_for_each_target():
    graph = TaskGraph(**ABOUT, edges=(edge("a", "c", 0.25), edge("c", "b", 0.75)))
    expected = np.full((3, 3), np.nan)
    expected[2, 0] = 0.25
    expected[1, 2] = 0.75
    np.testing.assert_array_equal(graph.matrix(), expected)
    np.testing.assert_array_equal(graph.matrix("count"), np.where(np.isnan(expected), np.nan, graph.edges[0].count))


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


# Operations


def test_threshold_keeps_what_is_as_strong():
    graph = complete(5)
    weight = graph.edges[3].weight
    assert graph.threshold(weight).edges == tuple(e for e in graph.edges if e.weight >= weight)
    assert graph.edges[3] in graph.threshold(weight).edges
    assert graph.threshold(0) == graph


@pytest.mark.parametrize("k", [0, 1, 2, 9])
def test_top_k_keeps_the_strongest_into_each_task(k):
    graph = complete(5)
    for task in graph.tasks:
        assert graph.top_k(k).incoming(task) == graph.incoming(task)[:k]


def test_symmetrise_is_the_mean_of_the_two_directions():
    graph = complete(5).symmetrise()
    matrix = complete(5).matrix()
    np.testing.assert_allclose(graph.matrix(), (matrix + matrix.T) / 2)
    assert graph.symmetrise().matrix() == pytest.approx(graph.matrix(), nan_ok=True)


def test_symmetrise_takes_a_missing_direction_for_0_and_leaves_loops():
    graph = TaskGraph(**ABOUT, edges=(edge("a", "b", 0.5, 0.2, 3), edge("c", "c", 0.7, 0.3, 4))).symmetrise()
    assert graph.edges == (edge("a", "b", 0.25, 0.1, 3), edge("b", "a", 0.25, 0.1, 3), edge("c", "c", 0.7, 0.3, 4))


def test_what_tasks_read_from_themselves_is_not_compared():
    graph, other = complete(5), rescaled(complete(5), -1, 0)
    loops = tuple(edge(task, task, 9.0) for task in graph.tasks)
    ours, theirs = (replace(each, edges=each.edges + loops) for each in (graph, other))
    assert ours.compare(theirs) == graph.compare(other)


def test_symmetrise_spreads_as_the_mean_of_two_independent_numbers():
    graph = TaskGraph(**ABOUT, edges=(edge("a", "b", 0.5, 0.3, 3), edge("b", "a", 0.1, 0.4, 4))).symmetrise()
    assert [(each.weight, each.std, each.count) for each in graph.edges] == [(0.3, 0.25, 7)] * 2


def test_communities_are_what_is_joined_strongly():
    tasks = tuple("abcdef")
    groups = [{"a", "d", "e"}, {"b", "c", "f"}]
    edges = tuple(
        edge(a, b, 0.9 if any({a, b} <= group for group in groups) else 0.05) for a in tasks for b in tasks if a != b
    )
    assert TaskGraph(**{**ABOUT, "tasks": tasks}, edges=edges).communities() == groups


def test_communities_leave_out_hub_loops_and_negative_weights():
    assert star(4).communities() == [{task} for task in star(4).tasks]
    apart = TaskGraph(**ABOUT, edges=(edge("a", "b", -0.5), edge("c", "c", 0.5)))
    assert apart.communities() == [{"a"}, {"b"}, {"c"}]


def test_compare_ranks_within_the_rows_of_targets():
    graph = complete(6)
    again = graph.compare(graph)
    assert (again.within, again.overlap) == (pytest.approx(1), 1)
    scaled = replace(graph, edges=tuple(replace(e, weight=e.weight * (1 + len(e.target))) for e in graph.edges))
    assert graph.compare(scaled).within == pytest.approx(1)
    assert graph.compare(replace(graph, edges=tuple(replace(e, weight=-e.weight) for e in graph.edges))).within < 0
    assert graph.compare(graph.top_k(2)).rows == 6


def test_compare_takes_the_spokes_as_one_row():
    assert star(5).compare(star(5)).within == pytest.approx(1)
    assert star(5).compare(star(5)).rows == 1


def test_compare_of_other_nodes():
    with pytest.raises(ValueError, match="nodes: expected"):
        complete(4).compare(star(4))


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda graph: graph.top_k(-1), "k: expected 0 or more edges, found -1"),
        (lambda graph: graph.compare(graph, k=0), "k: expected 1 or more edges, found 0"),
        (lambda graph: graph.incoming("cooking"), "target: expected one of .*, found 'cooking'"),
    ],
)
def test_what_cannot_be_asked(ask, message):
    with pytest.raises(ValueError, match=message):
        ask(complete(3))


@pytest.mark.parametrize("write", [TaskGraph.save, TaskGraph.write_graphml])
def test_a_folder_that_is_not_there(write, tmp_path):
    with pytest.raises(InputError, match=r"nowhere/graph: cannot be written"):
        write(complete(3), tmp_path / "nowhere" / "graph")


def test_average_has_mean_spread_and_number_of_graphs():
    graphs = [complete(4, seed) for seed in range(3)]
    matrices = np.stack([graph.matrix() for graph in graphs])
    average = TaskGraph.average(graph for graph in graphs)
    assert average.matrix() == pytest.approx(matrices.mean(0), nan_ok=True)
    for found in average.edges:
        k, j = average.tasks.index(found.target), average.tasks.index(found.source)
        assert found.std == pytest.approx(matrices[:, k, j].std())
        assert found.count == 3
    assert sum(e.weight for e in average.incoming(average.tasks[0])) == pytest.approx(1)


def test_average_counts_the_graphs_that_have_an_edge():
    one, two = TaskGraph(**ABOUT, edges=(edge("a", "b", 0.2),)), TaskGraph(**ABOUT)
    assert TaskGraph.average([two, one]).edges == (edge("a", "b", 0.2, 0.0, 1),)


@pytest.mark.parametrize("graphs", [[], [complete(3), complete(4)]])
def test_average_of_what_does_not_fit(graphs):
    with pytest.raises(ValueError, match="one or more with the same nodes"):
        TaskGraph.average(graphs)


# Bad files


def changed(**values) -> str:
    """A good file with some of its parts replaced; None takes a part away."""
    data = {**TaskGraph(**ABOUT, edges=(edge("a", "b"),)).to_json(), **values}
    return json.dumps({key: value for key, value in data.items() if value is not None})


GOOD_EDGE = {"source": "a", "target": "b", "weight": 0.5, "std": 0.1, "count": 7}
BAD_FILES = {
    "": "line 1: not JSON (Expecting value)",
    "[]": "an object ({...}) is expected in the file, found []",
    "[" * 5000: "nested too deep",
    "9" * 5000: "4300 digits",
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
    changed(edges=[{**GOOD_EDGE, "weight": 10**400}]): "weight is a finite number",
    changed(edges=[{**GOOD_EDGE, "count": -1}]): "count is a whole number",
}


@pytest.mark.parametrize(("text", "message"), BAD_FILES.items(), ids=BAD_FILES.values())
def test_load_names_file_and_fault(text, message, tmp_path):
    path = tmp_path / "task_graph.json"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        TaskGraph.load(path)
    assert str(caught.value).startswith(str(path))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_load_of_bytes_that_are_no_text(tmp_path):
    (tmp_path / "g.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"g\.json, line 1: byte 0xff is not UTF-8"):
        TaskGraph.load(tmp_path / "g.json")


@pytest.mark.parametrize("read", [TaskGraph.load, TaskGraph.read_graphml])
def test_read_of_a_missing_file(read, tmp_path):
    with pytest.raises(InputError, match="nothing: no such file"):
        read(tmp_path / "nothing")


@pytest.mark.parametrize("text", ["", "{}", "<graphml/>", "<html><body/></html>"])
def test_read_of_other_xml(text, tmp_path):
    (tmp_path / "g.graphml").write_text(text)
    with pytest.raises(InputError, match=r"g\.graphml: not (a task graph in )?GraphML"):
        TaskGraph.read_graphml(tmp_path / "g.graphml")


def test_read_of_a_foreign_graphml(tmp_path):
    nx.write_graphml_xml(nx.path_graph(3, create_using=nx.DiGraph), tmp_path / "g.graphml")
    with pytest.raises(InputError, match="the graph has no 'arch'"):
        TaskGraph.read_graphml(tmp_path / "g.graphml")
