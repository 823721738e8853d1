import numpy as np
import pytest
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from graphmtl.data.planted_truth import PlantedTruth
from graphmtl.graph.evidence import evidence
from graphmtl.graph.pictures.cells import cells
from graphmtl.graph.pictures.panels import HeatMapPanel, SpokesPanel, text_width, wrapped
from graphmtl.graph.task_graph import TaskGraph
from tests.graph.examples import affinity, by_chance, complete, drawn, star

# Heat map


def panel(graph: TaskGraph, control: TaskGraph | None = None, **more) -> HeatMapPanel:
    truth = more.pop("truth", None)
    return HeatMapPanel(cells(graph, evidence(graph, control), truth), title="", **more)


def annotations(figure: Figure) -> dict[tuple[int, int], str]:
    """(row, column): text."""
    found = {(round(t.get_position()[1]), round(t.get_position()[0])): t.get_text() for t in figure.axes[0].texts}
    return {place: text for place, text in found.items() if text}


@pytest.mark.parametrize("graph", [complete(3), affinity(4), complete(21)], ids=repr)
def test_heat_map_shows_the_cells(graph):
    axes = drawn(panel(graph)).axes[0]
    image = axes.images[0].get_array()
    np.testing.assert_array_equal(image.filled(np.nan), cells(graph, evidence(graph)).places)
    assert image.mask.diagonal().all()
    assert axes.images[0].get_clim() == (-1, 1)
    assert [label.get_text() for label in axes.get_yticklabels()] == list(graph.tasks)
    assert [label.get_text() for label in axes.get_xticklabels()] == list(graph.tasks)


def test_heat_map_puts_the_first_target_above():
    axes = drawn(panel(complete(3))).axes[0]
    assert axes.get_ylim()[0] > axes.get_ylim()[1]


@pytest.mark.parametrize("count", [2, 16, 20])
def test_each_cell_tells_its_number(count):
    graph = complete(count)
    found = annotations(drawn(panel(graph)))
    assert len(found) == len(graph.edges)
    for (row, column), text in found.items():
        assert float(text) == pytest.approx(2 ** evidence(graph).excess[row, column], abs=0.0051)


def test_large_heat_map_has_no_numbers():
    assert annotations(drawn(panel(complete(21)))) == {}


@pytest.mark.parametrize("count", [6, 21])
def test_what_is_not_above_the_control_has_a_dot_and_no_number(count):
    graph = complete(count)
    own = panel(graph, by_chance(graph))
    axes = drawn(own).axes[0]
    (dots,) = axes.lines
    places = {(round(y), round(x)) for x, y in zip(*dots.get_data(), strict=True)}
    assert places == {tuple(place) for place in np.argwhere(own.cells.dots).tolist()}
    assert places.isdisjoint(annotations(drawn(own)))


def test_true_edges_have_a_frame():
    graph = complete(4)
    truth = PlantedTruth(edges=(graph.tasks[:2],))
    (frame,) = drawn(panel(graph, truth=truth)).axes[0].patches
    assert frame.get_center() == pytest.approx((0, 1))
    assert not frame.get_fill()


def test_numbers_stand_out_from_their_cells():
    axes = drawn(panel(complete(9))).axes[0]
    for text in (text for text in axes.texts if text.get_text()):
        column, row = text.get_position()
        cell = axes.images[0].to_rgba(axes.images[0].get_array()[round(row), round(column)])
        lightness = np.dot(cell[:3], [0.299, 0.587, 0.114])
        assert abs(to_rgba(text.get_color())[0] - lightness) >= 0.45


def test_the_equal_share_is_white_and_cells_are_darker_the_farther_they_are_from_it():
    image = drawn(panel(complete(5))).axes[0].images[0]
    lightness = image.to_rgba(np.linspace(-1, 1, 21))[:, :3] @ [0.299, 0.587, 0.114]
    assert lightness[10] > 0.99
    assert (np.diff(lightness[:11]) > 0).all()
    assert (np.diff(lightness[10:]) < 0).all()


def test_the_palette_begins_at_white_where_there_is_a_control():
    graph = complete(5)
    for control, ends in ((None, ["half", "equal", "double"]), (by_chance(graph), ["equal", "double"])):
        figure = drawn(panel(graph, control))
        assert [label.get_text() for label in figure.axes[1].get_yticklabels()] == ends
        shown = figure.axes[1].images[0].get_array()
        assert (shown.min(), shown.max()) == (-1 if control is None else 0, 1)


def test_affinity_has_no_readers():
    figure = drawn(panel(affinity(3), verb=""))
    assert figure.axes[0].get_xlabel() == figure.axes[0].get_ylabel() == ""
    assert "source" in drawn(panel(complete(3))).axes[0].get_xlabel()
    assert drawn(panel(complete(3))).axes[0].get_ylabel() == "target: the task that reads from another"


# Spokes


@pytest.mark.parametrize("count", [1, 3, 60])
def test_bars_are_the_ratios_to_the_mean_spoke_on_one_scale(count):
    graph = star(count)
    spokes = {edge.target: edge.weight for edge in graph.edges}
    axes = drawn(SpokesPanel(cells(graph, evidence(graph)), spokes, "")).axes[0]
    widths = [bar.get_width() for bar in axes.patches]
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert axes.get_xlim() == (-1, 1)
    assert widths == sorted(widths)
    assert axes.get_ylim()[0] < axes.get_ylim()[1]
    mean = np.mean([*spokes.values()])
    expected = {f"{task}  {x:.3f}": np.log2(x / mean).clip(-1, 1) for task, x in spokes.items()}
    assert dict(zip(labels, widths, strict=True)) == pytest.approx(expected)


def test_bars_within_chance_are_white_with_a_dot():
    graph = star(6)
    spokes = {edge.target: edge.weight for edge in graph.edges}
    axes = drawn(SpokesPanel(cells(graph, evidence(graph, graph)), spokes, "")).axes[0]
    assert {bar.get_facecolor() for bar in axes.patches} == {axes.patches[0].get_facecolor()}
    assert axes.patches[0].get_facecolor()[:3] == pytest.approx((1, 1, 1), abs=0.01)
    assert len(axes.lines[0].get_xdata()) == 6


@pytest.mark.parametrize("width", [1.5, 3.0, 20.0])
def test_lines_are_no_longer_than_the_width(width):
    text = "what each task reads from the others, over the equal share\nand a second paragraph"
    lines = wrapped(text, 9, width)
    assert " ".join(lines).split() == text.split()
    assert all(text_width(line, 9) <= width for line in lines)
    assert len(lines) >= 2
