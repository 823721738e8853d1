from dataclasses import replace

import numpy as np
import pytest

from graphmtl.data.planted_truth import PlantedTruth
from graphmtl.graph.edge import Edge
from graphmtl.graph.evidence import evidence
from graphmtl.graph.pictures.cells import Cells, cells
from graphmtl.graph.task_graph import TaskGraph
from tests.graph.examples import ABOUT, affinity, by_chance, complete, edge, rescaled, star


def of(graph: TaskGraph, control: TaskGraph | None = None, **more) -> Cells:
    return cells(graph, evidence(graph, control), **more)


def test_ratios_go_from_half_to_double_in_every_picture():
    for graph in (complete(4), complete(9, seed=1)):
        found = of(graph)
        assert found.ends == ("half", "equal", "double")
        np.testing.assert_array_equal(found.places, evidence(graph).excess.clip(-1, 1))
    (doubled,) = (e for e in complete(9).edges[:1])
    assert doubled.source == complete(9).tasks[0]


def test_what_is_not_above_its_control_is_white_with_a_dot():
    for graph in (complete(6), affinity(6), star(6)):
        above = evidence(graph, by_chance(graph)).above
        found = of(graph, by_chance(graph))
        known = ~np.isnan(found.places)
        assert above.any()
        np.testing.assert_array_equal(found.dots, known & ~above)
        assert (found.places[found.dots] == 0).all()
        assert (found.places[above] > 0).all()
        assert found.ends[0] is None
        assert of(graph, graph).dots.sum() == known.sum()


def test_without_a_control_there_are_no_dots():
    for graph in (complete(6), affinity(6), star(6)):
        assert not of(graph).dots.any()


def test_an_affinity_goes_from_its_control_to_1():
    graph = affinity(6)
    control = by_chance(graph)
    limit = evidence(graph, control).limits[0]
    found = of(graph, control)
    assert found.ends == (None, f"control {limit:.2f}", "1.00")
    above = evidence(graph, control).above
    assert found.places[above] == pytest.approx((graph.matrix()[above] - limit) / (1 - limit))
    assert of(graph).ends == ("-1.00", "0", "1.00")
    np.testing.assert_array_equal(of(graph).places, graph.matrix())


def test_a_palette_ends_at_a_control_that_nothing_is_above():
    graph = TaskGraph(**ABOUT, edges=(edge("a", "b", 4.0), edge("b", "c", 2.0)))
    found = cells(graph, evidence(graph, rescaled(graph, 2, 5), of="transferability"))
    assert found.dots.sum() == 2
    assert found.ends[0] is None
    assert found.ends[1].startswith("control ")
    assert found.ends[2] == ""


def test_a_palette_begins_where_the_lowest_control_of_rows_with_edges_ends():
    graph = affinity(3)
    found = evidence(graph, by_chance(graph))
    own = cells(graph, replace(found, limits=np.array([0.1, 0.1, 0.3])))
    assert own.ends[1] == "lowest control 0.10"
    without = np.where(np.arange(3)[:, None] == 2, np.nan, found.excess)  # the last row has no edges
    own = cells(graph, replace(found, excess=without, limits=np.array([0.1, 0.1, 0.0])))
    assert own.ends[1] == "control 0.10"


def test_a_palette_goes_beyond_its_end_where_that_is_below_the_control():
    graph = TaskGraph(**ABOUT, edges=(edge("a", "b", 4.0), edge("b", "c", 0.02), edge("c", "a", 0.01)))
    control = TaskGraph(**ABOUT, edges=(edge("a", "b", 0.3), edge("b", "c", 0.31), edge("c", "a", 0.29)))
    found = cells(graph, evidence(graph, control, of="transferability"), end=0.15)
    assert found.dots.sum() == 2
    assert found.ends[2] == "4.00"
    assert np.nanmax(found.places) == 1


def test_other_signed_measures_go_as_far_as_the_strongest():
    graph = TaskGraph(**ABOUT, edges=(edge("a", "b", 4.0), edge("b", "c", -2.0)))
    found = of(graph)
    assert found.ends == ("-4.00", "0", "4.00")
    assert sorted(found.places[~np.isnan(found.places)]) == [-0.5, 1]


def test_numbers_are_ratios_or_weights():
    ratios = np.exp2(evidence(complete(3)).excess)
    for (k, j), ratio in np.ndenumerate(ratios):
        text = of(complete(3)).texts[k][j]
        assert text == "" if k == j else float(text) == pytest.approx(ratio, abs=0.0051)
    close = of(rescaled(affinity(5), 0.005, 0.1)).texts
    assert {len(text) for row in close for text in row} == {0, len("0.1000")}
    assert "-0.00" not in {text for row in of(rescaled(affinity(9), 0.001, 0)).texts for text in row}


def test_what_a_task_reads_from_itself_has_a_number_and_no_colour():
    graph = complete(3)
    halves = tuple(replace(each, weight=each.weight / 2) for each in graph.edges)
    own = tuple(Edge(source=task, target=task, weight=0.5, std=0.0, count=1) for task in graph.tasks)
    found = of(replace(graph, edges=(*halves, *own)))
    assert [found.texts[k][k] for k in range(3)] == ["0.50"] * 3
    assert np.isnan(np.diagonal(found.places)).all()
    np.testing.assert_allclose(found.places, of(graph).places)


def test_true_edges_have_frames_of_an_affinity_both_ways():
    a, b = complete(4).tasks[:2]
    truth = PlantedTruth(edges=((a, b), (a, "not in this graph")))
    assert np.argwhere(of(complete(4), truth=truth).frames).tolist() == [[1, 0]]
    assert np.argwhere(of(affinity(4), truth=truth).frames).tolist() == [[0, 1], [1, 0]]
    assert not of(star(4), truth=truth).frames.any()
    assert not of(complete(4)).frames.any()
