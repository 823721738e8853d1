import itertools

import pytest

from graphmtl.comparison import bootstrap
from graphmtl.comparison.comparing import Compared
from graphmtl.comparison.pictures import draw_forest, draw_gains
from tests.comparison.small import rows_of

LONG = "a_very_long_name_of_a_task_that_nobody_would_cut_off"


@pytest.fixture(autouse=True)
def _few_draws(monkeypatch):
    monkeypatch.setattr(bootstrap, "DRAWS", 250)


def compared(tasks):
    names = [LONG, *(f"task{i}" for i in range(1, tasks))]
    shares = {"single": 0.6, "shared": 0.7, "star": 0.9, "majority": 0.1}
    rows = rows_of({row: dict.fromkeys(names, share) for row, share in shares.items()}, seeds=1, size=60)
    return Compared(rows, seeds=[0])


@pytest.mark.parametrize("tasks", [1, 3, 16, 60])
@pytest.mark.parametrize("draw", [draw_forest, draw_gains], ids=["forest", "gains"])
def test_no_name_is_cut_off_and_none_lies_over_another(draw, tasks):
    figure = draw(compared(tasks))
    figure.canvas.draw()
    width, height = figure.canvas.get_width_height()
    for axes in figure.axes:
        boxes = [label.get_window_extent() for label in axes.get_yticklabels()]
        assert LONG in [label.get_text() for label in axes.get_yticklabels()]
        assert all(box.x0 >= 0 and box.x1 <= width and box.y0 >= 0 and box.y1 <= height for box in boxes)
        upright = sorted(boxes, key=lambda box: box.y0)
        assert all(a.y1 <= b.y0 + 1 for a, b in itertools.pairwise(upright))


def test_a_forest_has_a_panel_for_each_row_but_the_majority():
    figure = draw_forest(compared(3))
    assert len(figure.axes) == 2
    assert len({axes.get_xlim() for axes in figure.axes}) == 1
    lines = figure.axes[1].get_lines()
    assert [line.get_xdata()[0] for line in lines if line.get_marker() == "o"] == pytest.approx(
        [own.found.mean for own in compared(3).to_reference["star"].tasks.values()]
    )


def test_gains_name_every_row():
    legend = draw_gains(compared(3)).axes[0].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["shared", "star"]
