import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphmtl.training.learning_curves import area_between, curves_table, draw_curves, interval
from graphmtl.training.leave_one_out import Cell

SCORES = st.floats(0, 100)
NONE = {"test": None, "test_dedup": None, "seconds": 1.0}


def cell(target, examples, draw, ours, alone):
    arms = {"star": ours, "shared": alone, "single": alone}
    return Cell(
        target=target,
        examples=examples,
        draw=draw,
        n_train=examples or 400,
        n_valid=0,
        metric="accuracy",
        arms={arm: {"test": score, "test_dedup": score, "seconds": 1.0} for arm, score in arms.items()},
    )


@given(st.dictionaries(st.integers(1, 2000), st.tuples(SCORES, SCORES), min_size=1, max_size=6), SCORES)
def test_the_area_is_a_mean_of_the_differences(points, shift):
    ours, theirs = ({n: pair[i] for n, pair in points.items()} for i in (0, 1))
    area = area_between(ours, theirs)
    differences = [ours[n] - theirs[n] for n in points]
    assert min(differences) - 1e-9 <= area <= max(differences) + 1e-9
    assert area_between(theirs, ours) == pytest.approx(-area)
    assert area_between({n: x + shift for n, x in theirs.items()}, theirs) == pytest.approx(shift)


@given(st.lists(SCORES, min_size=2, max_size=8))
def test_the_interval_is_around_the_mean(differences):
    mean, low, high = interval(differences)
    assert low <= mean <= high
    assert mean - low == pytest.approx(high - mean, abs=1e-9)
    assert all(map(math.isnan, interval(differences[:1])[1:]))


def test_the_table_and_the_picture():
    cells = [cell(t, n, d, 0.8 + d / 100, 0.6) for t in ("books", "dvd") for n in (50, None) for d in (0, 1)]
    zero = {"star mean": {"test": 0.7, "test_dedup": None}}
    cells.append(Cell(target="dvd", examples=0, draw=0, n_train=0, n_valid=0, metric="accuracy", arms=zero))
    lines = curves_table(cells).splitlines()
    assert "| books | accuracy | 50 | 80.5 ± 0.7 | 60.0 ± 0.0 | 60.0 ± 0.0 |" in lines
    assert "| all | +20.5 [+19.6, +21.4] | +0.0 [+0.0, +0.0] |" in lines
    assert "| area between the curves | +20.5 [+19.6, +21.4] | +0.0 [+0.0, +0.0] |" in lines
    assert "| dvd | accuracy | 70.0 |" in lines
    assert "| dvd | accuracy | - |" in curves_table(cells, "test_dedup")
    panels = draw_curves(cells).axes
    assert [panel.get_title() for panel in panels] == ["books", "dvd"]
    assert panels[0].get_ylabel() == "accuracy in points"
    assert [line.get_label() for line in panels[0].get_lines()] == ["star", "shared", "single"]
    assert panels[0].get_lines()[0].get_xydata().tolist() == [[50, 80.5], [400, 80.5]]
    heights = panels[0].collections[0].get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == pytest.approx((80.5 - 0.5**0.5, 80.5 + 0.5**0.5))  # the ± of the table


def test_metrics_are_held_apart_and_what_is_no_share_stays_as_it_is():
    costs = [replace(cell("films", n, d, 140.0 + d, 120.0), metric="my_metrics:cost") for n in (20, 50) for d in (0, 1)]
    cells = [*costs, *(cell("books", n, d, 0.8, 0.6) for n in (20, 50) for d in (0, 1))]
    table = curves_table(cells)
    lines = table.splitlines()
    assert "| films | my_metrics:cost | 20 | 140.5 ± 0.7071 | 120 ± 0 | 120 ± 0 |" in lines
    assert "Differences of my_metrics:cost, each" in table
    assert "Differences of accuracy in points, each" in table
    assert [line for line in lines if line.startswith("| area")] == [
        "| area between the curves | +20.5 [+14.15, +26.85] | +0 [+0, +0] |",
        "| area between the curves | +20.0 [+20.0, +20.0] | +0.0 [+0.0, +0.0] |",
    ]
    panels = draw_curves(cells).axes
    assert [panel.get_title() for panel in panels] == ["films: my_metrics:cost", "books: accuracy in points"]
    assert panels[0].get_lines()[0].get_xydata().tolist() == [[20, 140.5], [50, 140.5]]
    assert panels[0].get_ylim() != panels[1].get_ylim()


def test_a_number_that_not_every_draw_has_is_no_part_of_the_area():
    cells = [cell("books", n, d, 0.8, 0.6) for n in (20, 50) for d in (0, 1)]
    alone = [*cells, cell("books", None, 0, 0.2, 0.9)]
    assert "| area between the curves | +20.0 [+20.0, +20.0] |" in curves_table(alone)


def test_a_split_without_a_text_has_no_differences():
    cells = [replace(cell("books", n, 0, 0.8, 0.6), arms=dict.fromkeys(("star", "single"), NONE)) for n in (20, 50)]
    lines = curves_table(cells).splitlines()
    assert "| books | accuracy | 20 | - | - |" in lines
    assert "| 20 | - |" in lines
