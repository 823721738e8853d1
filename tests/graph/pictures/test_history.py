import itertools
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from graphmtl.errors import InputError
from graphmtl.graph.evidence import evidence
from graphmtl.graph.pictures.history import LinesPanel, draw_history, save_animation
from graphmtl.graph.task_graph import TaskGraph
from tests.graph.examples import by_chance, complete, growing, star
from tests.graph.pictures.test_figure import cut_off, drawn_texts, overlapping


def history_of(graph: TaskGraph, evaluations: int) -> list[tuple[int, TaskGraph]]:
    """Evaluations at which the ratios grow from the equal share to those of ``graph``."""
    mean = {k: np.mean([e.weight for e in graph.edges if graph.virtual or e.target == k]) for k in graph.tasks}
    shares = [(i + 1) / evaluations for i in range(evaluations)]
    return [
        (
            i,
            replace(
                graph, edges=tuple(replace(e, weight=s * e.weight + (1 - s) * mean[e.target]) for e in graph.edges)
            ),
        )
        for i, s in enumerate(shares, 1)
    ]


def lines(axes) -> dict[str, np.ndarray]:
    """Each line that has a name, by its colour: its heights."""
    named = {text.get_color(): text.get_text() for text in axes.texts}
    return {named[line.get_color()]: line.get_ydata() for line in axes.lines if line.get_color() in named}


@pytest.mark.parametrize("kind", [complete, star])
@pytest.mark.parametrize("count", [2, 3, 16, 60])
@pytest.mark.parametrize("evaluations", [1, 8])
def test_no_text_overlaps_another_or_is_cut_off(kind, count, evaluations):
    figure = draw_history(history_of(kind(count), evaluations), kept=1, control=by_chance(kind(count)))
    texts = drawn_texts(figure)
    assert overlapping(texts) == []
    assert cut_off(texts, figure) == []


def test_each_line_is_the_ratio_to_the_equal_share():
    history = history_of(complete(5), 4)
    ratios = np.stack([evidence(graph).excess for _, graph in history]).clip(-1, 1)
    tasks = complete(5).tasks
    for k, axes in enumerate(draw_history(history).axes):
        assert axes.get_ylim() == (-1.05, 1.05)
        found = lines(axes)
        assert len(found) == 4
        for name, heights in found.items():
            np.testing.assert_allclose(heights, ratios[:, k, tasks.index(name)])


def test_a_star_has_one_panel_of_spokes():
    history = history_of(star(4), 3)
    (axes,) = draw_history(history).axes
    spokes = np.stack([evidence(graph).excess[:, 0] for _, graph in history])
    for name, heights in lines(axes).items():
        np.testing.assert_allclose(heights, spokes[:, star(4).tasks.index(name)])


def test_the_kept_epoch_is_marked_and_said():
    figure = draw_history(history_of(complete(3), 4), kept=2)
    for axes in figure.axes:
        assert [2, 2] in [list(line.get_xdata()) for line in axes.lines]
    assert any("dotted: the kept epoch" in text.get_text() for text in figure.texts)
    assert not any("dotted" in text.get_text() for text in draw_history(history_of(complete(3), 4)).texts)


def test_lines_within_what_the_control_reaches_have_no_name():
    graph = complete(5)
    assert all(not axes.texts for axes in draw_history(history_of(graph, 3), control=graph).axes)
    limits = evidence(graph, by_chance(graph)).limits
    last = evidence(graph).excess
    for k, axes in enumerate(draw_history(history_of(graph, 3), control=by_chance(graph)).axes):
        for name in lines(axes):
            assert abs(last[k, graph.tasks.index(name)]) > limits[k]


def test_of_many_rows_those_that_changed_most_are_drawn():
    graph = complete(16)
    figure = draw_history(history_of(graph, 3))
    change = np.nanmax(np.abs(evidence(graph).excess), axis=1)
    most = {graph.tasks[k] for k in np.argsort(-change)[:12]}
    assert len(figure.axes) == 12
    assert most <= {text.get_text() for text in figure.texts}
    assert any("the 12 of 16 tasks that changed most" in text.get_text() for text in figure.texts)


def test_edges_that_come_later_have_no_line_before():
    last = complete(3)
    figure = draw_history([(1, replace(last, edges=last.edges[:1])), (2, last)])
    first = [line.get_ydata()[0] for axes in figure.axes for line in axes.lines if len(line.get_xdata()) == 2]
    assert np.isnan(first).any()


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


def test_the_control_reaches_as_far_below_the_equal_share_as_above_in_shares():
    panel = LinesPanel(title="a", epochs=[1], excess=np.array([[0.6, -0.6, -0.9]]), sources="xyz", kept=1, limit=0.5)
    assert panel.named == [0, 2]  # 0.66 of the equal share is within 0.59 to 1.41, 0.54 is not
