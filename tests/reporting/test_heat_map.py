import numpy as np
import pytest

from graphmtl.reporting.heat_map import confusion_map, heat_map


def test_shares_run_from_the_smallest_to_the_largest():
    found = heat_map("", "abc", np.array([[9.0, 1.0, 3.0], [np.nan, 0.0, 2.0], [1.0, np.nan, 0.0]]))
    shares = [[cell and cell["share"] for cell in row] for row in found["rows"]]
    assert shares == [[1, 0, 1], [None, 0, 0.5], [0, None, 0]]  # a task's own weight is as strong as any, not stronger
    alike = heat_map("", "ab", np.array([[2.0, 2.0], [np.nan, 2.0]]))
    assert {cell["share"] for row in alike["rows"] for cell in row if cell} == {0.5}
    assert [(map["low"], map["high"]) for map in (found, alike)] == [("1.00 and less", "3.00 and more"), (None, None)]


def test_weights_below_zero_have_a_colour_of_their_own():
    found = heat_map("", "ab", np.array([[np.nan, -1.0], [4.0, np.nan]]))
    assert found["signed"]
    assert [[cell and cell["share"] for cell in row] for row in found["rows"]] == [[None, -0.25], [1, None]]
    assert (found["low"], found["high"]) == ("-4.00", "4.00")
    assert not heat_map("", "ab", np.eye(2) - 1e-8)["signed"]
    below = heat_map("", "ab", np.array([[np.nan, -4.0], [1.0, np.nan]]))
    assert [[cell and cell["share"] for cell in row] for row in below["rows"]] == [[None, -1], [0.25, None]]


@pytest.mark.parametrize(("count", "numbers"), [(20, True), (21, False)])
def test_large_maps_have_no_numbers(count, numbers):
    assert heat_map("", [""] * count, np.eye(count))["numbers"] is numbers


def test_a_confusion_is_coloured_by_the_share_of_the_row():
    found = confusion_map(["joy", "fear", "none"], [[6, 2, 0], [1, 0, 0], [0, 0, 0]], [8, 4, 0])
    assert [[cell["text"] for cell in row] for row in found["rows"]] == [["6", "2", "0"], ["1", "0", "0"], ["0"] * 3]
    shares = [[cell["share"] for cell in row] for row in found["rows"]]
    assert shares == [[0.75, 0.25, 0], [0.25, 0, 0], [0, 0, 0]]  # 3 of fear have an answer that is not shown
    assert found.keys() == heat_map("", "ab", np.eye(2)).keys()


@pytest.mark.parametrize(("count", "numbers"), [(20, True), (21, False)])
def test_large_confusions_have_no_numbers(count, numbers):
    assert confusion_map([""] * count, [[1] * count] * count, [count] * count)["numbers"] is numbers
