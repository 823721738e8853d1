from collections.abc import Iterator
from dataclasses import dataclass, replace
from unittest import mock

import matplotlib
import numpy as np
import pytest
from matplotlib._pylab_helpers import Gcf
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.patches import Circle

from graphmtl.data.planted_truth import PlantedTruth
from graphmtl.errors import InputError
from graphmtl.graph.clustering import clustered
from graphmtl.graph.pictures.figure import draw_task_graph, save_figure
from graphmtl.graph.pictures.panels import FONTS
from graphmtl.graph.task_graph import TaskGraph
from tests.graph.examples import affinity, by_chance, complete, names, rescaled, star, without_edges

COUNTS = [1, 2, 3, 9, 16, 17, 20, 21, 60]


@dataclass
class DrawnText:
    """A text as it reached the page: its corners in pixels, counter-clockwise from the lower left, and its angle."""

    text: str
    corners: np.ndarray
    angle: float

    def overlaps(self, other: "DrawnText") -> bool:
        """Whether two rectangles share more than a line: no side of either separates them."""
        for box in (self.corners, other.corners):
            for side in (box[1] - box[0], box[3] - box[0]):
                ours, theirs = self.corners @ side, other.corners @ side
                if ours.max() <= theirs.min() or theirs.max() <= ours.min():
                    return False
        return True

    def distance(self, point: np.ndarray) -> float:
        """From a point to the box, in pixels; 0 inside it."""
        sides = self.corners[[1, 3]] - self.corners[0]
        lengths = np.linalg.norm(sides, axis=1)
        along = (sides / lengths[:, None]) @ (point - self.corners[0])  # from the lower left corner, along both sides
        return float(np.linalg.norm(along - along.clip(0, lengths)))


def drawn_texts(figure: Figure) -> list[DrawnText]:
    """Every text that matplotlib draws."""
    found = []
    canvas = FigureCanvasAgg(figure)
    height = canvas.get_width_height()[1]

    def record(renderer, gc, x, y, text, font, angle, ismath=False, mtext=None):
        assert not ismath
        width, up, down = renderer.get_text_width_height_descent(text, font, ismath)
        box = np.array([(0, -down), (width, -down), (width, up - down), (0, up - down)])
        cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
        found.append(DrawnText(text, box @ [(cos, sin), (-sin, cos)] + (x, height - y), angle))

    with mock.patch.object(RendererAgg, "draw_text", record):
        canvas.draw()
    return found


def overlapping(texts: list[DrawnText]) -> list[tuple[str, str]]:
    """The pairs that overlap; boxes upright on the page are compared first, as most pairs lie far apart."""
    low = np.array([text.corners.min(axis=0) for text in texts])  # (texts, 2)
    high = np.array([text.corners.max(axis=0) for text in texts])
    near = (low[:, None] < high).all(-1) & (low < high[:, None]).all(-1)  # (texts, texts)
    pairs = [(texts[i], texts[j]) for i, j in np.argwhere(np.triu(near, k=1))]
    return [(one.text, other.text) for one, other in pairs if one.overlaps(other)]


def cut_off(texts: list[DrawnText], figure: Figure) -> list[str]:
    return [text.text for text in texts if (text.corners < 0).any() or (text.corners > figure.bbox.size).any()]


def compared(graph: TaskGraph, *, truth: PlantedTruth | None = None, **beside: TaskGraph) -> Figure:
    """The picture of a graph that is held against a control, and of those beside it."""
    own = {"affinity": affinity(len(graph.tasks))} if graph.virtual else {}
    against = {name: by_chance(graph) for name, graph in own.items()}
    beside = own | beside
    return draw_task_graph(graph, control=by_chance(graph), beside=beside, beside_controls=against, truth=truth)


def pictures(count: int) -> Iterator[Figure]:
    yield draw_task_graph(star(count))
    if count > 1:
        yield draw_task_graph(complete(count))
        yield compared(complete(count))
        yield compared(complete(count), ablation=rescaled(complete(count), 0.01, 0))
        yield compared(complete(count), truth=PlantedTruth(edges=(names(count)[:2],)))
        yield compared(star(count))
        yield draw_task_graph(star(count), beside={"affinity": affinity(count)})
        yield compared(star(count), transferability=rescaled(complete(count), 0.2, 0))


@pytest.mark.parametrize("count", COUNTS)
def test_no_text_overlaps_another_or_is_cut_off(count):
    for figure in pictures(count):
        texts = drawn_texts(figure)
        assert len(texts) > count
        assert overlapping(texts) == []
        assert cut_off(texts, figure) == []


@pytest.mark.parametrize("count", [3, 16, 17, 60])
def test_labels_stand_beside_the_nodes_and_are_never_upside_down(count):
    figure = compared(complete(count))
    texts = drawn_texts(figure)
    axes = figure.axes[2]
    nodes = [patch for patch in axes.patches if isinstance(patch, Circle)]
    assert len(nodes) == count
    for node in nodes:
        middle = axes.transData.transform(node.center)
        radius = axes.transData.transform((node.radius, 0))[0] - axes.transData.transform((0, 0))[0]
        assert [text.text for text in texts if text.distance(middle) <= radius] == []
    assert [text.text for text in texts if not -90.1 <= (text.angle + 180) % 360 - 180 <= 90.1] == []


@pytest.mark.parametrize("count", [3, 16, 60])
def test_very_long_names_do_not_overlap(count):
    tasks = tuple(f"WWW/{i:02} a task whose name is far too long WWW{i:02}" for i in range(count))
    graph = complete(count)
    new = dict(zip(graph.tasks, tasks, strict=True))
    edges = tuple(replace(edge, source=new[edge.source], target=new[edge.target]) for edge in graph.edges)
    figure = compared(replace(graph, tasks=tasks, edges=edges))
    texts = drawn_texts(figure)
    assert overlapping(texts) == []
    assert cut_off(texts, figure) == []


def test_long_numbers_do_not_overlap():
    graph = rescaled(affinity(20), 0.005, -0.05)
    texts = drawn_texts(draw_task_graph(star(20), beside={"affinity": graph}))
    assert sum(text.text.startswith("-0.0") and len(text.text) == len("-0.0500") for text in texts) >= 20 * 19
    assert overlapping(texts) == []


def test_overlaps_are_found():
    figure = Figure(figsize=(4, 4))
    figure.text(0.5, 0.5, "one")
    figure.text(0.5, 0.5, "two", rotation=45)
    figure.text(0.1, 0.1, "three")
    figure.text(0.95, 0.9, "four five six")
    assert overlapping(drawn_texts(figure)) == [("one", "two")]
    assert cut_off(drawn_texts(figure), figure) == ["four five six"]


def test_slanted_neighbours_do_not_overlap():
    figure = Figure(figsize=(4, 4))
    for x in (0.2, 0.3):
        figure.text(x, 0.2, "a long line of text", rotation=45)
    assert overlapping(drawn_texts(figure)) == []


@pytest.mark.parametrize("count", [3, 60])
def test_every_task_is_named_in_both_panels(count):
    graph = complete(count)
    texts = [text.text for text in drawn_texts(compared(graph))]
    assert {task: texts.count(task) for task in graph.tasks} == dict.fromkeys(graph.tasks, 3)


def renamed(graph: TaskGraph, tasks: tuple[str, ...]) -> TaskGraph:
    new = dict(zip(graph.tasks, tasks, strict=True))
    edges = tuple(replace(edge, source=new[edge.source], target=new[edge.target]) for edge in graph.edges)
    return replace(graph, tasks=tasks, edges=edges)


def test_names_are_drawn_as_they_are():
    odd = ("$x$", "<script>alert(1)</script>", r"\frac{a}{b}_^")
    assert set(odd) <= {text.text for text in drawn_texts(draw_task_graph(renamed(complete(3), odd)))}


@pytest.mark.skipif(len(FONTS) == 1, reason="no font with Chinese, Japanese or Korean letters is installed")
def test_names_in_other_scripts_are_drawn_with_a_font_that_has_them(tmp_path):
    graph = renamed(complete(2), ("書評", "영화"))
    save_figure(draw_task_graph(graph), tmp_path / "graph.png")  # a missing letter is a warning, here an error


def said(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.texts]


def test_the_heading_is_what_is_found():
    graph = complete(5, seed=5)
    assert said(draw_task_graph(graph))[:2] == ["not compared with a control", "complete: 5 tasks, test split, seed 5"]
    nothing = "nothing is above the control trained on shuffled labels: do not interpret"
    assert " ".join(said(draw_task_graph(graph, control=graph))).startswith(nothing)
    assert "of 20 edges are above the control: " in " ".join(said(compared(graph)))
    chance = "trained on shuffled labels: what is seen here is chance"
    assert " ".join(said(draw_task_graph(graph, is_control=True))).startswith(chance)


def test_below_the_heading_stands_each_split_that_is_drawn():
    linear = replace(complete(5, seed=5), split="train")
    beside, chance = {"linear": linear}, {"linear": rescaled(linear, 0.01, 0)}
    figure = draw_task_graph(complete(5, seed=5), beside=beside, beside_controls=chance)
    assert "complete: 5 tasks, train and test split, seed 5" in said(figure)


def test_nodes_and_arrows_are_of_what_is_above_the_control_alone():
    graph = complete(5)
    for figure in (draw_task_graph(graph), draw_task_graph(graph, control=graph)):
        assert len(figure.axes) == 2  # the map and its palette
    assert len(compared(graph).axes) == 3


def test_true_edges_have_a_frame():
    graph = complete(5)
    truth = PlantedTruth(edges=((graph.tasks[0], graph.tasks[3]),))
    (frame,) = compared(graph, truth=truth).axes[0].patches
    order = clustered(graph).tasks
    place = (order.index(graph.tasks[0]), order.index(graph.tasks[3]))  # across, down
    assert frame.get_center() == pytest.approx(place)
    assert not compared(graph).axes[0].patches


def test_the_map_of_a_star_is_that_of_its_affinity():
    image = draw_task_graph(star(5), beside={"affinity": affinity(5)}).axes[0].images[0]
    np.testing.assert_allclose(image.get_array().filled(np.nan), clustered(affinity(5)).matrix())


def test_both_panels_have_the_clustered_order():
    order = list(clustered(complete(9)).tasks)
    assert order != list(complete(9).tasks)
    left, _, right = compared(complete(9)).axes
    assert [text.get_text() for text in right.texts] == order
    assert [label.get_text() for label in left.get_yticklabels()] == order
    assert [label.get_text() for label in left.get_xticklabels()] == order


@pytest.mark.parametrize("given", [None, affinity(1)])
def test_star_without_affinity_shows_its_spokes(given):
    (axes,) = draw_task_graph(star(5), beside={"affinity": given} if given else None).axes
    assert not axes.images
    assert len(axes.patches) == 5


def test_a_graph_without_edges_is_not_drawn():
    with pytest.raises(ValueError, match="expected one with edges"):
        draw_task_graph(without_edges(4))


@pytest.mark.parametrize("ending", ["png", "svg", "PNG"])
def test_same_graph_gives_the_same_file(ending, tmp_path):
    paths = [tmp_path / f"{name}.{ending}" for name in "ab"]
    save_figure(draw_task_graph(star(9), beside={"affinity": affinity(9)}), paths[0])
    with matplotlib.rc_context({"font.size": 30, "figure.dpi": 50, "axes.facecolor": "black", "savefig.bbox": "tight"}):
        save_figure(draw_task_graph(star(9), beside={"affinity": affinity(9)}), paths[1])
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_picture_is_white_and_has_150_pixels_an_inch(tmp_path):
    figure = draw_task_graph(complete(3))
    save_figure(figure, tmp_path / "g.png")
    pixels = imread(tmp_path / "g.png")  # (height, width, 4)
    assert pixels[0, 0].tolist() == [1, 1, 1, 1]
    assert pixels.shape[1] == pytest.approx(150 * figure.get_size_inches()[0], abs=1)


@pytest.mark.parametrize("name", ["graph.gif", "graph", "graph.png.txt"])
def test_other_formats_are_refused(name, tmp_path):
    with pytest.raises(InputError, match=r"unknown picture format '.*'; accepted: \.png, \.svg"):
        save_figure(draw_task_graph(complete(2)), tmp_path / name)


def test_missing_folder_is_named(tmp_path):
    with pytest.raises(InputError, match=r"nowhere/g\.png: cannot be written \(No such file or directory\)"):
        save_figure(draw_task_graph(complete(2)), tmp_path / "nowhere" / "g.png")


def test_drawing_leaves_the_state_of_pyplot_alone(tmp_path):
    save_figure(draw_task_graph(complete(2)), tmp_path / "g.png")
    assert Gcf.get_all_fig_managers() == []


@pytest.mark.parametrize("graph", [3, None, "graph.json"])
def test_what_is_no_graph_or_no_figure(graph, tmp_path):
    with pytest.raises(InputError, match=r"graph: found .*, expected a TaskGraph"):
        draw_task_graph(graph)
    with pytest.raises(InputError, match=r"figure: found .*, expected a figure of matplotlib"):
        save_figure(graph, tmp_path / "x.png")
    assert not any(tmp_path.iterdir())
