from dataclasses import replace

import numpy as np
import pytest
from matplotlib.patches import Circle, FancyArrowPatch

from graphmtl.graph.evidence import evidence
from graphmtl.graph.pictures.cells import cells
from graphmtl.graph.pictures.node_link import NodeLinkPanel
from graphmtl.graph.task_graph import TaskGraph
from tests.graph.examples import affinity, by_chance, complete, drawn


def panel_of(graph: TaskGraph, control: TaskGraph | None = None) -> NodeLinkPanel:
    """What is above a control, by default one in which hardly anything differs."""
    held = evidence(graph, by_chance(graph) if control is None else control)
    return NodeLinkPanel(cells(graph, held), directed=graph.arch != "star")


def arrows(panel: NodeLinkPanel) -> list[FancyArrowPatch]:
    """In the order of ``panel.drawn_edges``."""
    patches = drawn(panel).axes[0].patches
    return [patch for patch in patches if isinstance(patch, FancyArrowPatch)]


def test_what_is_above_the_control_is_drawn_and_nothing_else():
    graph = complete(9)
    above = evidence(graph, by_chance(graph)).above
    expected = {(graph.tasks[j], graph.tasks[k]) for k, j in np.argwhere(above)}
    assert 0 < len(expected) < len(graph.edges)
    assert {(source, target) for source, target, _ in panel_of(graph).drawn_edges} == expected
    assert len(arrows(panel_of(graph))) == len(expected)
    assert arrows(panel_of(graph, graph)) == []


def test_arrow_leads_from_source_to_target():
    panel = panel_of(complete(4))
    for (*ends, _), arrow in zip(panel.drawn_edges, arrows(panel), strict=True):
        start, _, end = arrow.get_path().vertices[:3]  # the shaft's curve comes before the head
        source, target = (np.array(panel.positions()[node]) for node in ends)
        assert np.linalg.norm(start - source) < np.linalg.norm(start - target)
        assert np.linalg.norm(end - target) < np.linalg.norm(end - source)


def test_a_pair_is_one_line_without_a_head():
    graph = affinity(5)
    above = evidence(graph, by_chance(graph)).above
    found = arrows(panel_of(graph))
    assert len(found) == above.sum() / 2 > 0
    head = {type(arrow.get_arrowstyle()).__name__ for arrow in found}
    assert head.isdisjoint({type(arrow.get_arrowstyle()).__name__ for arrow in arrows(panel_of(complete(5)))})


@pytest.mark.parametrize("count", [4, 30])
def test_stronger_edges_are_wider_and_less_transparent(count):
    panel = panel_of(complete(count))
    strengths = [strength for *_, strength in panel.drawn_edges]
    widths = [arrow.get_linewidth() for arrow in arrows(panel)]
    opacities = [arrow.get_alpha() for arrow in arrows(panel)]
    assert strengths == sorted(strengths)
    assert widths == sorted(widths)
    assert opacities == sorted(opacities)
    assert widths[-1] > 2 * widths[0]
    assert opacities[0] >= 0.35
    assert opacities[-1] == pytest.approx(0.95)


def test_an_arrow_is_as_wide_in_every_picture():
    """Twice the equal share and more is the widest; a picture without such an edge has none as wide."""
    graph = complete(6)
    flat = replace(graph, edges=tuple(replace(e, weight=0.19 + e.weight * 0.05) for e in graph.edges))
    held = evidence(flat, by_chance(flat), of="contribution")
    assert held.above.any()
    weak = arrows(NodeLinkPanel(cells(flat, held)))
    assert max(arrow.get_linewidth() for arrow in weak) < max(a.get_linewidth() for a in arrows(panel_of(graph)))


@pytest.mark.parametrize("count", [3, 9, 16, 60])
def test_no_arrow_runs_under_a_node_between(count):
    panel = panel_of(complete(count))
    places = panel.positions()
    nodes = {patch.center: patch.radius for patch in drawn(panel).axes[0].patches if isinstance(patch, Circle)}
    share = np.linspace(0, 1, 50)[:, None]
    for (source, target, _), arrow in zip(panel.drawn_edges, arrows(panel), strict=True):
        start, middle, end = arrow.get_path().vertices[:3]
        curve = (1 - share) ** 2 * start + 2 * share * (1 - share) * middle + share**2 * end  # (50, 2)
        for place in nodes.keys() - {places[source], places[target]}:
            assert np.linalg.norm(curve - place, axis=1).min() > nodes[place]


def test_edge_and_its_reverse_lie_apart():
    panel = panel_of(complete(20))
    drawn_edges = zip(panel.drawn_edges, arrows(panel), strict=True)
    middle = {(source, target): arrow.get_path().vertices[1] for (source, target, _), arrow in drawn_edges}
    both = [ends for ends in middle if ends[::-1] in middle]
    assert both
    for ends in both:
        assert np.linalg.norm(middle[ends] - middle[ends[::-1]]) > 0.2


@pytest.mark.parametrize("count", [2, 3, 9, 16, 60, 80])
def test_nodes_do_not_touch(count):
    circles = [patch for patch in drawn(panel_of(complete(count))).axes[0].patches if isinstance(patch, Circle)]
    assert len(circles) == count
    for i, circle in enumerate(circles):
        for other in circles[:i]:
            assert np.hypot(*np.subtract(circle.center, other.center)) > circle.radius + other.radius + 0.02


def test_long_names_lose_their_middle():
    name = "an/organisation/with-a-very-long-name/and-a-data-set-in-version-2"
    panel = panel_of(complete(2))
    (label, _) = replace(panel, cells=replace(panel.cells, targets=(name, "b"))).labels.values()
    assert len(label) <= 28
    assert name.startswith(label.split("…")[0])
    assert name.endswith(label.split("…")[1])
    assert label.endswith("version-2")
