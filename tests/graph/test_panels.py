from dataclasses import replace

import numpy as np
import pytest
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch

from graphmtl.graph.panels import Area, HeatMapPanel, NodeLinkPanel, SpokesPanel
from graphmtl.graph.task_graph import VIRTUAL, Edge, TaskGraph
from tests.graph.examples import affinity, complete, star, without_edges


def drawn(panel) -> Figure:
    figure = Figure(figsize=(panel.width, panel.height))
    panel.draw(Area(figure, 0, 0, panel.width, panel.height))
    return figure


def arrows(panel: NodeLinkPanel) -> list[FancyArrowPatch]:
    """In the order of ``panel.drawn_edges``."""
    patches = drawn(panel).axes[0].patches
    return [patch for patch in patches if isinstance(patch, FancyArrowPatch)]


def rescaled(graph: TaskGraph, scale: float, shift: float) -> TaskGraph:
    return replace(graph, edges=tuple(replace(e, weight=scale * e.weight + shift) for e in graph.edges))


# Node-link


def test_arrow_leads_from_source_to_target():
    graph = replace(complete(4), edges=complete(4).edges[:1])
    panel = NodeLinkPanel(graph)
    (arrow,) = arrows(panel)
    start, end = arrow.get_path().vertices[0], arrow.get_path().vertices[-1]
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


def test_equal_weights_are_drawn_alike_and_visibly():
    found = arrows(NodeLinkPanel(rescaled(complete(4), 0, 0.5)))
    assert len({(arrow.get_linewidth(), arrow.get_alpha()) for arrow in found}) == 1
    assert found[0].get_alpha() > 0.4


def test_few_edges_are_all_drawn():
    panel = NodeLinkPanel(complete(5))
    assert sorted(panel.drawn_edges, key=repr) == sorted(panel.graph.edges, key=repr)
    assert "strongest" not in panel.title


@pytest.mark.parametrize(("count", "kept"), [(6, 3), (16, 3), (20, 3), (21, 2), (60, 2)])
def test_of_many_edges_the_strongest_into_each_task_are_drawn(count, kept):
    panel = NodeLinkPanel(complete(count))
    matrix = np.nan_to_num(panel.graph.matrix(), nan=-1)
    strongest = {
        (panel.graph.tasks[j], task) for task, row in zip(panel.graph.tasks, matrix) for j in row.argsort()[-kept:]
    }
    assert {(edge.source, edge.target) for edge in panel.drawn_edges} == strongest
    assert len(arrows(panel)) == kept * count
    assert f"the strongest {kept} sources of each task" in panel.title


def test_all_spokes_are_drawn():
    panel = NodeLinkPanel(star(60))
    assert len(arrows(panel)) == 60
    assert "strongest" not in panel.title


def test_title_tells_the_range():
    edges = complete(3).edges[:2]
    graph = replace(complete(3), edges=(replace(edges[0], weight=0.125), replace(edges[1], weight=0.875)))
    assert "thin and pale: 0.12; thick and dark: 0.88" in NodeLinkPanel(graph).title
    assert "thin and pale: 0.0003; thick and dark: 0.0010" in NodeLinkPanel(rescaled(graph, 0.001, 0.0001)).title
    assert "-0.0" not in NodeLinkPanel(rescaled(graph, 1, -0.126)).title


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


@pytest.mark.parametrize("graph", [f(n) for f in (complete, star) for n in (1, 2, 3, 9, 16, 60, 150)], ids=repr)
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


# Heat map


def annotations(figure: Figure) -> dict[tuple[int, int], str]:
    """(row, column): text."""
    return {(round(t.get_position()[1]), round(t.get_position()[0])): t.get_text() for t in figure.axes[0].texts}


@pytest.mark.parametrize("graph", [complete(3), affinity(4), complete(21)], ids=repr)
def test_heat_map_shows_the_matrix(graph):
    axes = drawn(HeatMapPanel(graph, title="")).axes[0]
    image = axes.images[0].get_array()
    np.testing.assert_array_equal(image.filled(np.nan), graph.matrix())
    assert image.mask.diagonal().all()
    assert [label.get_text() for label in axes.get_yticklabels()] == list(graph.tasks)
    assert [label.get_text() for label in axes.get_xticklabels()] == list(graph.tasks)


def test_heat_map_puts_the_first_target_above():
    axes = drawn(HeatMapPanel(complete(3), title="")).axes[0]
    assert axes.get_ylim()[0] > axes.get_ylim()[1]


@pytest.mark.parametrize("count", [2, 16, 20])
def test_each_cell_tells_its_number(count):
    graph = complete(count)
    found = annotations(drawn(HeatMapPanel(graph, title="")))
    assert len(found) == len(graph.edges)
    for (row, column), text in found.items():
        assert float(text) == pytest.approx(graph.matrix()[row, column], abs=0.0051)


def test_large_heat_map_has_no_numbers():
    assert annotations(drawn(HeatMapPanel(complete(21), title=""))) == {}


def test_close_weights_get_more_decimals():
    texts = annotations(drawn(HeatMapPanel(rescaled(complete(3), 0.001, 0.33), title=""))).values()
    assert {len(text) for text in texts} == {len("0.3333")}
    assert "-0.00" not in annotations(drawn(HeatMapPanel(rescaled(complete(9), 1, -0.004), title=""))).values()


def test_numbers_stand_out_from_their_cells():
    axes = drawn(HeatMapPanel(complete(9), title="")).axes[0]
    for text in axes.texts:
        column, row = text.get_position()
        cell = axes.images[0].to_rgba(axes.images[0].get_array()[round(row), round(column)])
        lightness = np.dot(cell[:3], [0.299, 0.587, 0.114])
        assert abs(to_rgba(text.get_color())[0] - lightness) >= 0.5


def test_stronger_cells_are_darker():
    axes = drawn(HeatMapPanel(complete(5), title="")).axes[0]
    weights = np.sort(axes.images[0].get_array().compressed())
    lightness = axes.images[0].to_rgba(weights)[:, :3] @ [0.299, 0.587, 0.114]
    assert (np.diff(lightness) <= 0.01).all()
    assert lightness[0] - lightness[-1] > 0.5


def test_affinity_has_no_readers():
    figure = drawn(HeatMapPanel(affinity(3), title="", directed=False))
    assert figure.axes[0].get_xlabel() == figure.axes[0].get_ylabel() == ""
    assert "source" in drawn(HeatMapPanel(complete(3), title="")).axes[0].get_xlabel()
    assert "target" in drawn(HeatMapPanel(complete(3), title="")).axes[0].get_ylabel()


# Spokes


@pytest.mark.parametrize("count", [1, 3, 60])
def test_bars_are_the_spokes_with_the_strongest_above(count):
    graph = star(count)
    axes = drawn(SpokesPanel(graph)).axes[0]
    widths = [bar.get_width() for bar in axes.patches]
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert widths == sorted(widths)
    assert axes.get_ylim()[0] < axes.get_ylim()[1]
    assert dict(zip(labels, widths, strict=True)) == pytest.approx({edge.target: edge.weight for edge in graph.edges})
