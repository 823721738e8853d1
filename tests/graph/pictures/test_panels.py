from dataclasses import replace

import numpy as np
import pytest
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from graphmtl.graph.edge import Edge
from graphmtl.graph.pictures.panels import HeatMapPanel, SpokesPanel
from tests.graph.examples import affinity, complete, drawn, rescaled, star

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


@pytest.mark.parametrize("rounding", [0, 1e-8])
def test_equal_weights_have_one_colour(rounding):
    figure = drawn(HeatMapPanel(rescaled(complete(4), rounding, 0.5), title=""))
    image = figure.axes[0].images[0]
    shades = image.norm(image.get_array()).compressed()
    assert np.ptp(shades) < 1e-4
    assert set(annotations(figure).values()) == {"0.50"}


def test_what_tasks_read_from_themselves_leaves_the_others_their_colours():
    graph = complete(4)
    loops = tuple(Edge(source=task, target=task, weight=5.0, std=0.0, count=1) for task in graph.tasks)
    figure = drawn(HeatMapPanel(replace(graph, edges=graph.edges + loops), title=""))
    weights = [edge.weight for edge in graph.edges]
    assert figure.axes[0].images[0].get_clim() == (min(weights), max(weights))
    assert figure.axes[0].images[0].colorbar.extend == "max"  # a tip above alone
    assert drawn(HeatMapPanel(graph, title="")).axes[0].images[0].colorbar.extend == "neither"
    assert {annotations(figure)[k, k] for k in range(4)} == {"5.00"}
    alone = drawn(HeatMapPanel(replace(graph, edges=loops), title="")).axes[0].images[0]
    assert alone.norm(5.0) == pytest.approx(0.5)


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
