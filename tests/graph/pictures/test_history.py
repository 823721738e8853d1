import itertools
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from graphmtl.errors import InputError
from graphmtl.graph.clustering import clustered
from graphmtl.graph.edge import VIRTUAL
from graphmtl.graph.pictures.history import HistoryPanel, draw_history, save_animation
from tests.graph.examples import complete, growing, rescaled, star
from tests.graph.pictures.test_figure import cut_off, drawn_texts, overlapping


def maps(figure):
    """The axes of the heat maps, without the colour bar."""
    return figure.axes[:-1]


@pytest.mark.parametrize("kind", [complete, star])
@pytest.mark.parametrize("count", [2, 3, 16, 60])
@pytest.mark.parametrize("evaluations", [1, 8])
def test_no_text_overlaps_another_or_is_cut_off(kind, count, evaluations):
    figure = draw_history(growing(kind(count), evaluations))
    texts = drawn_texts(figure)
    assert {text.text for text in texts} >= set(kind(count).tasks)
    assert overlapping(texts) == []
    assert cut_off(texts, figure) == []


def test_every_map_has_the_order_and_the_colours_of_all():
    history = growing(complete(9), 5)
    figure = draw_history(history)
    order = clustered(history[-1][1]).tasks
    for axes, (epoch, graph) in zip(maps(figure), history, strict=True):
        assert axes.get_title() == f"epoch {epoch}"
        np.testing.assert_array_equal(axes.images[0].get_array().filled(np.nan), replace(graph, tasks=order).matrix())
        assert [label.get_text() for label in axes.get_xticklabels()] == list(order)
    assert [label.get_text() for label in maps(figure)[0].get_yticklabels()] == list(order)
    weights = [edge.weight for _, graph in history for edge in graph.edges]
    assert {axes.images[0].get_clim() for axes in maps(figure)} == {(min(weights), max(weights))}


def test_maps_of_a_star_have_one_column():
    history = growing(star(4), 3)
    for axes, (_, graph) in zip(maps(draw_history(history)), history, strict=True):
        spokes = [[edge.weight] for edge in graph.edges]
        np.testing.assert_array_equal(axes.images[0].get_array(), spokes)
        assert [label.get_text() for label in axes.get_xticklabels()] == [VIRTUAL]


@pytest.mark.parametrize(
    ("graph", "evaluations", "epochs"),
    [
        (complete(3), 1, [1]),
        (complete(3), 4, [1, 2, 3, 4]),
        (complete(3), 9, [1, 3, 5, 7, 9]),
        (complete(21), 9, [1, 5, 9]),
        (star(21), 9, list(range(1, 10))),
    ],
)
def test_first_and_last_evaluation_are_in_the_strip(graph, evaluations, epochs):
    figure = draw_history(growing(graph, evaluations))
    assert [axes.get_title() for axes in maps(figure)] == [f"epoch {epoch}" for epoch in epochs]


def test_equal_weights_are_neither_strong_nor_weak():
    figure = draw_history(growing(rescaled(complete(3), 0, 0.5), 2))
    image = maps(figure)[0].images[0]
    assert image.norm(0.5) == pytest.approx(0.5)


def test_edges_that_come_later_are_missing_first():
    last = complete(3)
    history = [(1, replace(last, edges=last.edges[:1])), (2, last)]
    first = HistoryPanel(history, [0, 1]).matrices[0]
    assert np.isnan(first).sum() == 8


def test_animation_shows_every_evaluation_and_then_starts_again(tmp_path):
    path = tmp_path / "grows.gif"
    save_animation(growing(complete(4), 5), path)
    with Image.open(path) as image:
        assert image.n_frames >= 5
        assert image.info["loop"] == 0
        frames = []
        for i in range(5):
            image.seek(i)
            frames.append(np.asarray(image.convert("L"), dtype=float))
    for one, other in itertools.pairwise(frames):
        assert np.abs(one - other).mean() > 0.1


def test_animation_cannot_be_written_nowhere(tmp_path):
    with pytest.raises(InputError, match=r"nowhere/g\.gif: cannot be written: No such file"):
        save_animation(growing(complete(3), 2), tmp_path / "nowhere" / "g.gif")
