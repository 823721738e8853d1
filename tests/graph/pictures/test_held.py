from dataclasses import replace

import numpy as np
import pytest

from graphmtl.data.planted_truth import PlantedTruth
from graphmtl.graph.clustering import clustered
from graphmtl.graph.evidence import evidence, finding
from graphmtl.graph.pictures.held import _MAPS, held
from graphmtl.graph.task_graph import BESIDE
from tests.graph.examples import affinity, by_chance, complete, rescaled, star, without_edges


def test_a_graph_is_held_in_the_clustered_order():
    graph = complete(9)
    (found,) = held(graph, control=by_chance(graph))
    expected = evidence(clustered(graph), by_chance(clustered(graph)))
    assert found.graph == clustered(graph)
    np.testing.assert_allclose(found.evidence.excess, expected.excess)
    np.testing.assert_array_equal(found.evidence.above, expected.above)
    assert found.finding == finding(found.graph, expected)
    assert found.directed


def test_of_a_star_the_affinity_comes_first():
    own = affinity(5)
    pair, spokes = held(star(5), beside={"affinity": own}, beside_controls={"affinity": by_chance(own)})
    assert not pair.directed
    assert pair.evidence.limits is not None
    assert not pair.evidence.ratio
    assert spokes.graph.virtual
    assert spokes.evidence.limits is None


def test_whose_answers_tell_a_tasks_labels_comes_before_the_affinity():
    told = replace(rescaled(complete(5), 0.1, 0), arch="star")
    chance = {"transferability": rescaled(told, 0.1, 0)}
    found = held(star(5), beside={"affinity": affinity(5), "transferability": told}, beside_controls=chance)
    assert [each.verb for each in found] == ["is told by", "", "reads from"]
    assert [each.directed for each in found] == [True, False, True]
    first = found[0]
    assert not first.evidence.ratio
    assert first.cells.ends[2] == "0.15"  # in every picture, however much the strongest tells
    above = first.evidence.above
    limit = first.evidence.limits[0]
    expected = (first.graph.matrix()[above] - limit) / (0.15 - limit)
    assert first.cells.places[above] == pytest.approx(expected.clip(0, 1))


def test_whom_linear_models_read_leads_where_it_shows_anything_and_is_held_against_other_texts():
    own, chance = replace(complete(5), split="train"), rescaled(complete(5), 0.01, 0)
    pairs = {"affinity": affinity(5)}
    first, *rest = held(star(5), beside={**pairs, "linear": own}, beside_controls={"linear": chance})
    assert len(rest) == 2
    assert (first.verb, first.graph.split) == ("is told by", "train")
    assert not first.evidence.ratio
    assert first.evidence.above.any()
    assert "are above what is read of answers to other texts: " in first.finding
    *before, last = held(star(5), beside={**pairs, "linear": chance}, beside_controls={"linear": own})
    assert len(before) == 2
    assert last.finding == "nothing is above what is read of answers to other texts: do not interpret"


def test_the_affinity_of_two_tasks_is_no_share():
    """Though its weights into each task may sum to 1."""
    own = affinity(2)
    ones = replace(own, edges=tuple(replace(edge, weight=1.0) for edge in own.edges))
    assert not held(star(2), beside={"affinity": ones})[0].evidence.ratio


@pytest.mark.parametrize("given", [None, affinity(1)])
def test_without_an_affinity_there_are_spokes_alone(given):
    (found,) = held(star(5), beside={"affinity": given} if given else None)
    assert found.graph.virtual


def test_a_graph_without_edges_has_nothing_to_show():
    assert held(without_edges(3)) == []


def test_the_truth_is_framed_and_counted():
    graph = complete(5)
    truth = PlantedTruth(edges=(graph.tasks[:2],))
    (found,) = held(graph, control=by_chance(graph), truth=truth)
    assert found.cells.frames.sum() == 1
    assert " of 1 true edges" in found.finding


def test_whom_a_task_relies_on_comes_first_where_the_weights_show_nothing():
    weights, cut = complete(5), replace(rescaled(complete(5), 0.2, 0), split="valid")
    chance = {"ablation": rescaled(cut, 0.01, 0)}
    first, second = held(weights, control=weights, beside={"ablation": cut}, beside_controls=chance)
    assert (first.verb, first.graph.split, first.evidence.ratio) == ("relies on", "valid", False)
    assert first.evidence.above.any()
    assert second.verb == "reads from"
    first, second = held(weights, control=by_chance(weights), beside={"ablation": cut}, beside_controls=chance)
    assert (first.verb, second.verb) == ("reads from", "relies on")  # which has fewer edges above its control
    assert first.shown > second.shown > 0


def test_a_graph_of_something_else_is_refused():
    with pytest.raises(ValueError, match="beside: found influence, expected some of transferability, ablation, aff"):
        held(complete(3), beside={"influence": complete(3)})
    with pytest.raises(ValueError, match="beside_controls: found edges, expected some of"):
        held(complete(3), beside_controls={"edges": complete(3)})


def test_the_forms_are_those_that_a_run_may_have():
    assert {*BESIDE} == {*_MAPS} - {"edges", "spokes"}
