"""Which tasks may read from which: forms, conversions, mistakes; and the dense message against torch_geometric's."""

import networkx as nx
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch_geometric.nn import MessagePassing
from torch_geometric.utils import softmax

from graphmtl.errors import InputError
from graphmtl.graph.task_graph import TaskGraph
from graphmtl.graph.topology import Topology, read_topology
from graphmtl.layers.interaction import attend
from tests.graph import examples

TASKS = ("books", "dvd", "music", "video")
EDGES = (("music", "books"), ("books", "dvd"), ("video", "dvd"))
SPARSE = Topology(tasks=TASKS, edges=EDGES)


@st.composite
def topologies(draw):
    tasks = draw(st.lists(st.text(min_size=1, max_size=5), min_size=2, max_size=5, unique=True))
    pairs = [(source, target) for source in tasks for target in tasks if source != target]
    return Topology(tasks=tasks, edges=draw(st.lists(st.sampled_from(pairs), min_size=1, unique=True)))


def message_of(call, *arguments, **options):
    with pytest.raises(InputError) as error:
        call(*arguments, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


# the class


def test_complete_and_star():
    complete = Topology.complete(TASKS)
    assert complete.sources["dvd"] == ("books", "music", "video")
    assert len(complete.edges) == 12
    assert Topology.star(TASKS) == Topology.star(TASKS, "books")
    star = Topology.star(TASKS, "dvd").sources
    assert star == {"books": ("dvd",), "dvd": ("books", "music", "video"), "music": ("dvd",), "video": ("dvd",)}
    assert Topology.complete(["one"]).edges == Topology.star(["one"]).edges == ()


def test_sources_stand_in_the_order_of_the_tasks_whatever_that_of_the_edges():
    assert SPARSE.sources == {"books": ("music",), "dvd": ("books", "video"), "music": (), "video": ()}
    assert Topology(tasks=TASKS, edges=EDGES[::-1]) == SPARSE


@given(topologies())
def test_conversions_give_back_the_topology(topology):
    assert Topology.from_networkx(topology.to_networkx(), topology.tasks) == topology
    assert Topology.from_edge_index(topology.edge_index, topology.tasks) == topology
    assert read_topology(str(topology), topology.tasks) == topology


def test_edge_index_has_sources_above_targets():
    assert SPARSE.edge_index.tolist() == [[2, 0, 3], [0, 1, 1]]
    assert Topology(tasks=TASKS, edges=()).edge_index.shape == (2, 0)


def test_networkx_has_every_task_and_undirected_edges_go_both_ways():
    assert set(SPARSE.to_networkx().nodes) == set(TASKS)
    assert Topology.from_networkx(nx.Graph([("dvd", "books")]), TASKS).edges == (("dvd", "books"), ("books", "dvd"))


def test_text_and_repr():
    assert str(SPARSE) == "[[music, books], [books, dvd], [video, dvd]]"
    assert str(Topology.complete(TASKS)) == "complete"
    assert repr(SPARSE) == "Topology(tasks=4, edges=3)"


@pytest.mark.parametrize(
    ("edges", "message"),
    [
        ([("bocks", "dvd")], "topology: edge 'bocks' -> 'dvd': unknown task 'bocks'; did you mean 'books'?"),
        ([("dvd", "dvd")], "edge 'dvd' -> 'dvd' leads from a task to itself"),
        ([("dvd", "books")] * 2, "edge 'dvd' -> 'books' occurs twice"),
    ],
)
def test_edges_that_cannot_be(edges, message):
    assert message in message_of(Topology, tasks=TASKS, edges=edges)


# what --topology takes


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, Topology.complete(TASKS)),
        ("complete", Topology.complete(TASKS)),
        ("star", Topology.star(TASKS)),
        ("star:music", Topology.star(TASKS, "music")),
        ("[[music, books], [books, dvd], [video, dvd]]", SPARSE),
    ],
)
def test_words(text, expected):
    assert read_topology(text, TASKS) == expected


def test_names_that_yaml_takes_for_something_else_are_names():
    assert read_topology("[[1, no]]", ["1", "no"]).edges == (("1", "no"),)


@pytest.mark.parametrize(
    "content",
    [
        "edges: [[music, books], [books, dvd], [video, dvd]]",
        "# who reads from whom\nedges:\n- [music, books]\n- [books, dvd]\n- - video\n  - dvd\n",
        "- [music, books]\n- [books, dvd]\n- [video, dvd]\n",
    ],
)
def test_yaml_files(content, tmp_path):
    (tmp_path / "edges.yaml").write_text(content)
    assert read_topology(f"{tmp_path}/edges.yaml", TASKS) == SPARSE


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("edges:\n- [books, dvd]\n- [bocks, dvd]\n", ", line 3: edge 'bocks' -> 'dvd': unknown task 'bocks'; did you"),
        ("- [books, dvd]\n- [dvd, dvd]\n", ", line 2: edge 'dvd' -> 'dvd' leads from a task to itself"),
        ("- [books, dvd]\n\n- [books, dvd]\n", ", line 3: edge 'books' -> 'dvd' occurs twice, first in "),
        ("- [books, dvd]\n- [books, dvd, music]\n", ", line 2: '[books, dvd, music]' is no edge; expected: [SOURCE, "),
        ("- [books, [dvd]]\n", ", line 1: '[books, [dvd]]' is no edge"),
        ("books: dvd\n", ", line 1: key 'books'; expected: the one key 'edges'"),
        ("edges: [[books, dvd]]\ntop: 3\n", ", line 2: key 'top'; expected: the one key 'edges'"),
        ("[a]: 3\n", ", line 1: key '[a]'; expected: the one key 'edges'"),
        ("\nedges: []\n", ", line 2: no edges; expected: `edges: [[SOURCE, TARGET], ...]`"),
        ("edges:\n", ", line 1: no edges"),
        ("books -> dvd\n", ", line 1: no edges"),
        ("{}\n", ", line 1: no edges"),
        ("# nothing\n", ": no edges"),
        ("", ": the file is empty"),
        ("- [books, dvd\n- [music", ", line 2: not YAML ("),
    ],
)
def test_mistakes_in_yaml_files(content, message, tmp_path):
    path = tmp_path / "edges.yaml"
    path.write_text(content)
    assert message_of(read_topology, str(path), TASKS).startswith(f"{path}{message}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stra", "--topology 'stra': no such file or folder; accepted: complete, star, star:TASK, [["),
        ("", "--topology '': no such file or folder"),
        ("x" * 300, "...: no such file or folder"),
        ("star:musik", "--topology star:musik: unknown task 'musik'; did you mean 'music'?"),
        ("star:", "--topology star:: unknown task ''"),
        ("[[books, dwd]]", "--topology, line 1: edge 'books' -> 'dwd': unknown task 'dwd'; did you mean 'dvd'?"),
        ("[[books, dvd]", "--topology, line 1: not YAML"),
        ("[]", "--topology, line 1: no edges"),
    ],
)
def test_mistakes_on_the_command_line(text, message):
    assert message in message_of(read_topology, text, TASKS)


def test_graphml(tmp_path):
    path = f"{tmp_path}/edges.graphml"
    nx.write_graphml(SPARSE.to_networkx(), path)
    assert read_topology(path, TASKS) == SPARSE
    nx.write_graphml(nx.Graph([("books", "dvd")]), path)
    assert read_topology(path, TASKS).edges == (("dvd", "books"), ("books", "dvd"))


def test_weights_of_graphml_are_ranked(tmp_path):
    graph = examples.complete(6)
    graph.write_graphml(tmp_path / "graph.graphml")
    topology = read_topology(f"{tmp_path}/graph.graphml", graph.tasks, top_k=2)
    assert topology.sources == strongest(graph, 2)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("<graphml", ": not GraphML (no XML: "),
        ("<letter/>", ": not GraphML ("),
        (
            '<graphml xmlns="http://graphml.graphdrawing.org/xmlns"><graph edgedefault="directed"/></graphml>',
            ": no edges",
        ),
    ],
)
def test_mistakes_in_graphml(content, message, tmp_path):
    path = tmp_path / "edges.graphml"
    path.write_text(content)
    assert message_of(read_topology, str(path), TASKS).startswith(f"{path}{message}")


def test_an_edge_that_stands_twice_in_graphml(tmp_path):
    path = tmp_path / "edges.graphml"
    nx.write_graphml(nx.MultiDiGraph([("books", "dvd"), ("books", "dvd")]), path)
    with pytest.raises(InputError, match="edge 'books' -> 'dvd' occurs twice"):
        read_topology(str(path), TASKS)


def test_an_unknown_task_in_graphml(tmp_path):
    path = tmp_path / "edges.graphml"
    nx.write_graphml(nx.DiGraph([("books", "vidio")]), path)
    assert f"{path}: edge 'books' -> 'vidio': unknown task 'vidio'; did" in message_of(read_topology, str(path), TASKS)


# the graph of a finished run


def run_folder(folder, graph, affinity=None):
    graph.save(folder / "task_graph.json")
    if affinity is not None:
        affinity.save(folder / "task_affinity.json")
    return str(folder)


def strongest(graph, count):
    best = {task: {edge.source for edge in graph.incoming(task)[:count]} for task in graph.tasks}
    return {target: tuple(task for task in graph.tasks if task in sources) for target, sources in best.items()}


def test_a_run_with_all_its_edges_or_the_strongest(tmp_path):
    graph = examples.complete(6)
    folder = run_folder(tmp_path, graph)
    assert read_topology(folder, graph.tasks) == Topology.complete(graph.tasks)
    assert read_topology(folder, graph.tasks, top_k=2).sources == strongest(graph, 2)
    assert read_topology(folder, graph.tasks, top_k=9) == Topology.complete(graph.tasks)
    assert read_topology(folder, graph.tasks[::-1], top_k=2).sources.keys() == set(graph.tasks)


def test_of_a_star_run_the_affinity(tmp_path):
    affinity = examples.affinity(6)
    folder = run_folder(tmp_path, examples.star(6), affinity)
    assert read_topology(folder, affinity.tasks, top_k=2).sources == strongest(affinity, 2)


def test_what_a_task_reads_from_itself_is_left_out_and_counts_for_nothing(tmp_path):
    loops = [examples.Edge(source=t, target=t, weight=9.0, std=0.0, count=1) for t in examples.names(4)]
    graph = examples.complete(4)
    with_loops = TaskGraph(arch="cmtr", tasks=graph.tasks, split="test", seed=0, edges=(*graph.edges, *loops))
    assert read_topology(run_folder(tmp_path, with_loops), graph.tasks, top_k=1).sources == strongest(graph, 1)


def test_mistakes_with_runs(tmp_path):
    assert f"{tmp_path}: no task_graph.json; the folder of a fin" in message_of(read_topology, str(tmp_path), TASKS)
    folder = run_folder(tmp_path, examples.complete(5))
    error = message_of(read_topology, folder, TASKS)
    assert f"{tmp_path}/task_graph.json: edge 'books' -> 'electronics': unknown task 'electronics'" in error
    folder = run_folder(tmp_path, examples.without_edges(5))
    error = message_of(read_topology, folder, examples.names(5))
    assert f"{tmp_path}/task_graph.json: no edges; expected: a run whose tasks read from each other" in error
    (tmp_path / "task_graph.json").write_text("{}")
    assert f"{tmp_path}/task_graph.json: not a task graph" in message_of(read_topology, folder, TASKS)


@pytest.mark.parametrize("text", [None, "complete", "star", "[[books, dvd]]"])
def test_without_weights_nothing_is_the_strongest(text):
    error = message_of(read_topology, text, TASKS, top_k=3)
    assert (
        f"--top-k 3: --topology {text or 'complete'!r} has no weights to rank; accepted: the folder of a fin" in error
    )


# the same message as torch_geometric


class MessageOverEdges(MessagePassing):
    """attend's formula, edge by edge: queries and keys (batch, K, A), nodes (batch, K, H)."""

    def __init__(self):
        super().__init__(aggr="add", node_dim=-2)

    def forward(self, edge_index, query, key, node, u, bias):
        return self.propagate(edge_index, query=query, key=key, node=node, u=u, bias=bias)

    def message(self, query_i, key_j, node_j, u, bias, index, ptr, size_i):
        hidden = torch.tanh(key_j + query_i)  # (batch, E, A)
        scores = hidden @ u if u is not None else (key_j * query_i).sum(-1) / key_j.size(-1) ** 0.5  # (batch, E)
        weights = softmax(scores + bias, index, ptr, num_nodes=size_i, dim=-1)
        return weights.unsqueeze(-1) * node_j


@pytest.mark.parametrize("topology", [Topology.complete(TASKS), SPARSE, Topology.star(TASKS, "dvd")], ids=repr)
@pytest.mark.parametrize("score", ["additive", "dot"])
def test_the_dense_message_equals_message_passing_over_edge_index(topology, score):
    generator = torch.Generator().manual_seed(0)
    query, key = torch.randn(2, 3, len(TASKS), 5, generator=generator, dtype=torch.float64)  # (batch, K, A)
    node = torch.randn(3, len(TASKS), 6, generator=generator, dtype=torch.float64)  # (batch, K, H)
    bias = torch.randn(len(topology.edges), generator=generator, dtype=torch.float64)  # (E,)
    u = torch.randn(5, generator=generator, dtype=torch.float64) if score == "additive" else None
    sparse = MessageOverEdges()(topology.edge_index, query, key, node, u, bias)  # (batch, K, H)
    source, target = topology.edge_index
    for k in range(len(TASKS)):
        own = source[target == k]  # (S,)
        own_u = None if u is None else u[None]
        n = bias[target == k][None]  # (1, S)
        dense, _ = attend(query[None, :, k], key[None, :, own], node[None, :, own], own_u, n)
        torch.testing.assert_close(dense[0], sparse[:, k], rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"edges": 3}, "edges: found 3, expected pairs of source and target"),
        ({"edges": [("a",)]}, r"edges: found \('a',\), expected pairs of source and target"),
        ({"edges": ["ab"]}, "edges: found 'ab', expected pairs of source and target"),
        ({"tasks": 3}, "tasks: found 3, expected names of tasks"),
    ],
)
def test_what_are_no_edges_or_tasks(given, message):
    with pytest.raises(InputError, match=message):
        Topology(**{"tasks": ("a", "b"), "edges": (), **given})
