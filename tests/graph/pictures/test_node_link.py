from dataclasses import replace

import numpy as np
import pytest
from matplotlib.patches import Circle, FancyArrowPatch

from graphmtl.graph.edge import VIRTUAL, Edge
from graphmtl.graph.pictures.node_link import NodeLinkPanel
from tests.graph.examples import complete, drawn, rescaled, star, without_edges


def arrows(panel: NodeLinkPanel) -> list[FancyArrowPatch]:
    """In the order of ``panel.drawn_edges``."""
    patches = drawn(panel).axes[0].patches
    return [patch for patch in patches if isinstance(patch, FancyArrowPatch)]


def test_arrow_leads_from_source_to_target():
    graph = replace(complete(4), edges=complete(4).edges[:1])
    panel = NodeLinkPanel(graph)
    (arrow,) = arrows(panel)
    start, _, end = arrow.get_path().vertices[:3]  # the shaft's curve comes before the head
    source, target = (np.array(panel.positions()[node]) for node in (graph.edges[0].source, graph.edges[0].target))
    assert np.linalg.norm(start - source) < np.linalg.norm(start - target)
    assert np.linalg.norm(end - target) < np.linalg.norm(end - source)


@pytest.mark.parametrize("graph", [complete(4), star(5), complete(30)], ids=repr)
def test_stronger_edges_are_wider_and_less_transparent(graph):
    panel = NodeLinkPanel(graph)
    weights = [edge.weight for edge in panel.drawn_edges]
    widths = [arrow.get_linewidth() for arrow in arrows(panel)]
    opacities = [arrow.get_alpha() for arrow in arrows(panel)]
    assert weights == sorted(weights)
    assert widths == sorted(widths)
    assert widths[-1] > 3 * widths[0] or len(weights) < len(graph.edges)
    assert opacities == sorted(opacities)
    assert opacities[-1] == pytest.approx(0.95)


def test_width_and_opacity_depend_on_the_range_of_the_graph_only():
    graph = complete(4)
    for arrow, other in zip(
        arrows(NodeLinkPanel(graph)), arrows(NodeLinkPanel(rescaled(graph, 0.01, -3))), strict=True
    ):
        assert other.get_linewidth() == pytest.approx(arrow.get_linewidth())
        assert other.get_alpha() == pytest.approx(arrow.get_alpha())


@pytest.mark.parametrize("rounding", [0, 1e-8])
def test_equal_weights_are_drawn_alike_and_visibly(rounding):
    panel = NodeLinkPanel(rescaled(complete(4), rounding, 0.5))
    found = arrows(panel)
    assert panel.title.endswith("all weights: 0.50")
    assert len({(arrow.get_linewidth(), arrow.get_alpha()) for arrow in found}) == 1
    assert found[0].get_alpha() > 0.4


@pytest.mark.parametrize("count", [3, 9, 16, 60])
def test_no_arrow_runs_under_a_node_between(count):
    panel = NodeLinkPanel(complete(count))
    places = panel.positions()
    nodes = {patch.center: patch.radius for patch in drawn(panel).axes[0].patches if isinstance(patch, Circle)}
    share = np.linspace(0, 1, 50)[:, None]
    for edge, arrow in zip(panel.drawn_edges, arrows(panel), strict=True):
        start, middle, end = arrow.get_path().vertices[:3]
        curve = (1 - share) ** 2 * start + 2 * share * (1 - share) * middle + share**2 * end  # (50, 2)
        for place in nodes.keys() - {places[edge.source], places[edge.target]}:
            assert np.linalg.norm(curve - place, axis=1).min() > nodes[place]


def test_edge_and_its_reverse_lie_apart():
    panel = NodeLinkPanel(complete(5))
    middle = {
        (edge.source, edge.target): arrow.get_path().vertices[1]
        for edge, arrow in zip(panel.drawn_edges, arrows(panel), strict=True)
    }
    for source, target in middle:
        assert np.linalg.norm(middle[source, target] - middle[target, source]) > 0.2


def test_few_edges_are_all_drawn():
    panel = NodeLinkPanel(complete(5))
    assert sorted(panel.drawn_edges, key=repr) == sorted(panel.graph.edges, key=repr)
    assert "strongest" not in panel.title


@pytest.mark.parametrize(("count", "kept"), [(6, 3), (16, 3), (20, 3), (21, 2), (60, 2)])
def test_of_many_edges_the_strongest_into_each_task_are_drawn(count, kept):
    panel = NodeLinkPanel(complete(count))
    matrix = np.nan_to_num(panel.graph.matrix(), nan=-1)
    tasks = panel.graph.tasks
    strongest = {(tasks[j], tasks[k]) for k, row in enumerate(matrix) for j in row.argsort()[-kept:]}
    assert {(edge.source, edge.target) for edge in panel.drawn_edges} == strongest
    assert len(arrows(panel)) == kept * count
    assert f"each task's {kept} strongest sources" in panel.title


def test_all_spokes_are_drawn():
    panel = NodeLinkPanel(star(60))
    assert len(arrows(panel)) == 60
    assert "strongest" not in panel.title


def test_title_tells_the_range():
    edges = complete(3).edges[:2]
    graph = replace(complete(3), edges=(replace(edges[0], weight=0.125), replace(edges[1], weight=0.875)))
    assert "thin and pale: 0.12; thick and dark: 0.88" in NodeLinkPanel(graph).title
    assert "thin and pale: 0.0002; thick and dark: 0.0010" in NodeLinkPanel(rescaled(graph, 0.001, 0.0001)).title
    assert "-0.0" not in NodeLinkPanel(rescaled(graph, 1, -0.126)).title


def test_range_is_that_of_what_is_drawn():
    panel = NodeLinkPanel(complete(9))
    weights = [edge.weight for edge in panel.drawn_edges]
    assert f"thin and pale: {min(weights):.2f}; thick and dark: {max(weights):.2f}" in panel.title
    assert min(weights) > min(edge.weight for edge in panel.graph.edges)
    opacities = [arrow.get_alpha() for arrow in arrows(panel)]
    assert min(opacities) == pytest.approx(0.2)
    assert max(opacities) == pytest.approx(0.95)


def test_self_loops_are_left_to_the_heat_map():
    graph = complete(3)
    loops = tuple(Edge(source=task, target=task, weight=0.9, std=0.0, count=1) for task in graph.tasks)
    panel = NodeLinkPanel(replace(graph, edges=graph.edges + loops))
    assert panel.title == NodeLinkPanel(graph).title
    assert [arrow.get_linewidth() for arrow in arrows(panel)] == [
        a.get_linewidth() for a in arrows(NodeLinkPanel(graph))
    ]


@pytest.mark.parametrize("graph", [without_edges(3), without_edges(1), complete(1)], ids=repr)
def test_graph_without_edges_is_its_nodes_and_a_sentence(graph):
    panel = NodeLinkPanel(graph)
    figure = drawn(panel)
    assert len(figure.axes[0].patches) == len(graph.tasks)
    expected = (
        "there is one task" if len(graph.tasks) == 1 else "this architecture does not let tasks read from each other"
    )
    assert panel.title == f"no edges: {expected}"


@pytest.mark.parametrize("graph", [f(n) for f in (complete, star) for n in (1, 2, 3, 9, 16, 60, 80)], ids=repr)
def test_nodes_do_not_touch(graph):
    circles = [patch for patch in drawn(NodeLinkPanel(graph)).axes[0].patches if isinstance(patch, Circle)]
    assert len(circles) == len(graph.nodes)
    for i, circle in enumerate(circles):
        for other in circles[:i]:
            assert np.hypot(*np.subtract(circle.center, other.center)) > circle.radius + other.radius + 0.02


def test_virtual_node_stands_in_the_middle():
    positions = NodeLinkPanel(star(7)).positions()
    assert positions[VIRTUAL] == (0, 0)
    distances = [np.hypot(*positions[task]) for task in star(7).tasks]
    assert distances == pytest.approx([distances[0]] * 7)
    assert distances[0] > 1


def test_labels_of_a_star_tell_its_spokes():
    graph = star(3)
    assert list(NodeLinkPanel(graph).labels.values()) == [f"{edge.target}  {edge.weight:.2f}" for edge in graph.edges]
    assert list(NodeLinkPanel(complete(3)).labels.values()) == list(complete(3).tasks)


def test_long_names_lose_their_middle():
    name = "an/organisation/with-a-very-long-name/and-a-data-set-in-version-2"
    (label,) = NodeLinkPanel(replace(without_edges(1), tasks=(name,))).labels.values()
    assert len(label) <= 28
    assert name.startswith(label.split("…")[0])
    assert name.endswith(label.split("…")[1])
    assert label.endswith("version-2")
