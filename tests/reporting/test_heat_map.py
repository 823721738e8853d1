from dataclasses import replace

import numpy as np
import pytest

from graphmtl.data.planted_truth import PlantedTruth
from graphmtl.graph.evidence import evidence
from graphmtl.graph.pictures.cells import cells
from graphmtl.reporting.heat_map import confusion_map, edge_map, heat_map
from tests.graph.examples import affinity, by_chance, complete, edge


def shares(found: dict) -> list[list]:
    return [[cell and cell["share"] for cell in row] for row in found["rows"]]


def test_zero_is_white_and_the_palette_goes_as_far_as_the_largest_number_between_two_tasks():
    found = heat_map("", "abc", np.array([[9.0, 1.0, 4.0], [np.nan, 0.0, 2.0], [1.0, np.nan, 0.0]]))
    assert shares(found) == [[0, 0.25, 1], [None, 0, 0.5], [0.25, None, 0]]
    assert found["ends"] == [None, "0", "4.00"]
    assert [found["rows"][k][k]["own"] for k in range(3)] == [True] * 3
    below = heat_map("", "ab", np.array([[np.nan, -4.0], [1.0, np.nan]]))
    assert shares(below) == [[None, -1], [0.25, None]]
    assert below["ends"] == ["-4.00", "0", "4.00"]
    nothing = heat_map("", "ab", np.array([[np.nan, 0.0], [0.0, np.nan]]))
    assert shares(nothing) == [[None, 0], [0, None]]


@pytest.mark.parametrize("graph", [complete(5), affinity(5)], ids=repr)
def test_a_map_of_edges_is_that_of_the_files(graph):
    truth = PlantedTruth(edges=(graph.tasks[:2],))
    drawn = cells(graph, evidence(graph, by_chance(graph)), truth)
    found = edge_map("a title", drawn)
    assert (found["title"], found["names"], found["ends"]) == ("a title", [*graph.tasks], [*drawn.ends])
    for (k, j), place in np.ndenumerate(drawn.places):
        cell = found["rows"][k][j]
        if k == j:
            assert cell is None
            continue
        assert cell["share"] == pytest.approx(place, abs=1e-3)
        assert (cell["dot"], cell["frame"]) == (drawn.dots[k, j], drawn.frames[k, j])
        assert cell["text"] == ("·" if drawn.dots[k, j] else drawn.texts[k][j])
        assert cell["said"].startswith(drawn.texts[k][j])
        assert ("not above the control" in cell["said"]) == drawn.dots[k, j]


def test_what_a_task_reads_from_itself_has_no_colour():
    graph = complete(3)
    own = tuple(edge(task, task, 0.5) for task in graph.tasks)
    halves = tuple(replace(each, weight=each.weight / 2) for each in graph.edges)
    graph = replace(graph, edges=(*halves, *own))
    found = edge_map("", cells(graph, evidence(graph)))
    assert [(found["rows"][k][k]["own"], found["rows"][k][k]["share"]) for k in range(3)] == [(True, 0)] * 3
    assert found["rows"][0][0]["said"] == "0.50"


@pytest.mark.parametrize(("count", "numbers"), [(20, True), (21, False)])
def test_large_maps_have_no_numbers(count, numbers):
    assert heat_map("", [""] * count, np.eye(count))["numbers"] is numbers


def test_a_confusion_is_coloured_by_the_share_of_the_row():
    found = confusion_map(["joy", "fear", "none"], [[6, 2, 0], [1, 0, 0], [0, 0, 0]], [8, 4, 0])
    assert [[cell["text"] for cell in row] for row in found["rows"]] == [["6", "2", "0"], ["1", "0", "0"], ["0"] * 3]
    assert shares(found) == [[0.75, 0.25, 0], [0.25, 0, 0], [0, 0, 0]]  # 3 of fear have an answer that is not shown
    assert found.keys() == heat_map("", "ab", np.eye(2)).keys()


@pytest.mark.parametrize(("count", "numbers"), [(20, True), (21, False)])
def test_large_confusions_have_no_numbers(count, numbers):
    assert confusion_map([""] * count, [[1] * count] * count, [count] * count)["numbers"] is numbers
