from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import t

from graphmtl.data.planted_truth import PlantedTruth
from graphmtl.graph.edge import Edge
from graphmtl.graph.evidence import evidence, finding
from graphmtl.graph.task_graph import TaskGraph
from tests.graph.examples import ABOUT, affinity, complete, edge, edges, names, rescaled, star, without_edges


def of_ratios(ratios: np.ndarray) -> TaskGraph:
    """Weights into every task that sum to 1, with these ratios."""
    weights = np.array(ratios, dtype=float)
    np.fill_diagonal(weights, 0)
    weights /= weights.sum(1, keepdims=True)
    return TaskGraph(
        arch="complete", tasks=names(len(weights)), split="test", seed=0, edges=edges(names(len(weights)), weights)
    )


def by_chance(count: int, seed: int, spread: float = 0.3) -> TaskGraph:
    """Every ratio to the equal share is a draw from the same distribution."""
    return of_ratios(np.exp2(np.random.default_rng(seed).normal(0, spread, (count, count))))


def with_strong(graph: TaskGraph, source: str, target: str, times: float) -> TaskGraph:
    matrix = graph.matrix()
    matrix[graph.tasks.index(target), graph.tasks.index(source)] *= times
    return of_ratios(np.nan_to_num(matrix))


@pytest.mark.parametrize("count", [2, 3, 10])
def test_equal_shares_have_no_excess(count):
    found = evidence(of_ratios(np.ones((count, count))))
    assert found.ratio
    assert np.isnan(np.diagonal(found.excess)).all()
    np.testing.assert_allclose(found.excess[~np.eye(count, dtype=bool)], 0, atol=1e-12)


def test_twice_the_equal_share_is_one():
    ratios = np.ones((5, 5))
    ratios[0, 1:] = [2, 0.5, 0.75, 0.75]  # their mean is 1
    assert evidence(of_ratios(ratios)).excess[0, 1:] == pytest.approx(np.log2(ratios[0, 1:]))


def test_what_a_task_reads_from_itself_plays_no_part():
    graph = by_chance(4, 0)
    gates = rescaled(graph, 0.3, 0)
    own = tuple(Edge(source=task, target=task, weight=0.7, std=0, count=1) for task in graph.tasks)
    found, without = (evidence(each) for each in (replace(gates, edges=(*gates.edges, *own)), graph))
    assert found.ratio
    np.testing.assert_allclose(found.excess, without.excess)


def test_spokes_are_held_against_the_mean_spoke():
    graph = star(4)
    weights = np.array([edge.weight for edge in graph.edges])
    found = evidence(graph)
    assert found.sources == ("virtual",)
    assert found.excess[:, 0] == pytest.approx(np.log2(weights / weights.mean()))


def test_the_excess_of_a_signed_measure_is_its_weight():
    graph = affinity(5)
    found = evidence(graph)
    assert not found.ratio
    np.testing.assert_array_equal(found.excess, graph.matrix())


def test_amounts_that_do_not_sum_to_1_are_ratios_where_that_is_asked():
    graph = rescaled(complete(5), 3, 0)
    assert not evidence(graph).ratio
    np.testing.assert_allclose(evidence(graph, of="contribution").excess, evidence(complete(5)).excess)


def test_a_weight_of_0_is_finite():
    ratios = np.ones((3, 3))
    ratios[0, 1] = 0
    assert evidence(of_ratios(ratios)).excess[0, 1] == -10


def test_without_a_control_nothing_is_above_it():
    found = evidence(complete(5))
    assert found.limits is None
    assert not found.above.any()


def test_what_the_control_shows_too_is_not_above_it():
    for graph in (complete(8), affinity(8), star(8)):
        found = evidence(graph, graph)
        assert not found.above.any()
        assert (found.limits >= np.nanmax(found.excess, axis=1)).all()


def test_chance_is_above_the_control_in_one_of_twenty_cases():
    cases = [evidence(by_chance(6, 2 * seed), by_chance(6, 2 * seed + 1)).above.any() for seed in range(300)]
    assert 0.005 < np.mean(cases) < 0.08


def norms(count: int, seed: int) -> TaskGraph:
    """Absolute values of draws from a normal distribution around 0."""
    weights = np.abs(np.random.default_rng(seed).normal(0, 0.3, (count, count)))
    np.fill_diagonal(weights, 0)
    return TaskGraph(arch="shared", tasks=names(count), split="train", seed=0, edges=edges(names(count), weights))


@pytest.mark.parametrize("count", [3, 6])
def test_chance_is_above_the_control_in_one_of_twenty_cases_of_norms_too(count):
    told = {"of": "linear"}
    cases = [evidence(norms(count, 2 * seed), norms(count, 2 * seed + 1), **told).above.any() for seed in range(600)]
    assert 0.03 <= np.mean(cases) <= 0.07


def test_of_one_edge_chance_is_above_the_control_as_seldom():
    draws = np.abs(np.random.default_rng(0).normal(size=(600, 2)))

    def of_one(weight):
        return TaskGraph(**ABOUT | {"tasks": names(2)}, edges=(edge(*names(2), weight),))

    found = [evidence(of_one(a), of_one(b), of="linear").above.any() for a, b in draws]
    assert 0.03 <= np.mean(found) <= 0.07


def test_the_limit_of_norms_is_a_quantile_of_t_times_their_root_mean_square():
    control = norms(3, 0)
    weights = control.matrix()[~np.eye(3, dtype=bool)]  # (6,)
    limit = t.ppf(1 - 0.05 / 12, 6) * np.sqrt(np.mean(weights**2))
    assert evidence(control, control, of="linear").limits == pytest.approx([limit] * 3)


def test_norms_that_are_alike_both_ways_are_no_cosines():
    found = evidence(rescaled(affinity(4), 0, 2), rescaled(affinity(4), 0, 2), of="linear")
    assert found.limits == pytest.approx([2 * t.ppf(1 - 0.05 / 24, 12)] * 4)  # of 12 edges, each of which is 2


def test_only_what_is_stronger_than_chance_is_above_the_control():
    graph = with_strong(by_chance(6, 0), "books", "dvd", 16)
    found = evidence(graph, by_chance(6, 1))
    assert np.argwhere(found.above).tolist() == [[graph.tasks.index("dvd"), graph.tasks.index("books")]]
    weak = with_strong(by_chance(6, 0), "books", "dvd", 1 / 16)
    assert not evidence(weak, by_chance(6, 1)).above.any()


def test_each_pair_of_a_symmetric_measure_counts_once_and_no_limit_is_beyond_1():
    graph = affinity(5)
    values = np.arctanh(graph.matrix()[np.triu_indices(5, 1)])
    bound = np.tanh(values.mean() + 3.25 * values.std(ddof=1) * np.sqrt(1.1))
    assert evidence(graph, graph).limits == pytest.approx([bound] * 5, abs=1e-3)
    assert bound < 1


def lost(rows: list[list[float]]) -> TaskGraph:
    """What each task loses by the cut of each other."""
    weights = np.zeros((len(rows), len(rows)))
    weights[~np.eye(len(rows), dtype=bool)] = np.concatenate(rows)
    tasks = names(len(rows))
    return TaskGraph(arch="complete", tasks=tasks, split="test", seed=0, edges=edges(tasks, weights))


NOISE = [[0.001, -0.001, 0.002, -0.002], *[[0.0, 0.001, -0.001, 0.0]] * 4]


def test_what_every_cut_costs_alike_says_nothing_of_a_source():
    rows = [[0.5, 0.5, 0.5, 0.5], [0.0, 0.0, 0.1, 0.0], *NOISE[2:]]
    found = evidence(lost(rows), lost(NOISE), of="ablation")
    assert np.argwhere(found.above).tolist() == [[1, 3]]
    assert found.excess[0, 1:] == pytest.approx(0)
    assert found.excess[1, 3] == pytest.approx(0.1)
    assert evidence(lost(rows), lost(NOISE), of="transferability").above[0, 1:].all()


def test_of_what_is_lost_a_row_is_held_against_its_own_lowest_edge_too():
    """Of a model on shuffled labels, which cuts hardly change, that is more than the control reaches."""
    rows = [[-0.08, 0.0, 0.0, 0.07], [-0.01, 0.0, 0.0, 0.07], *NOISE[2:]]
    found = evidence(lost(rows), lost(NOISE), of="ablation")
    assert found.limits[:2] == pytest.approx([0.08, max(0.01, found.limits[2:].min())])
    assert np.argwhere(found.above).tolist() == [[1, 4]]
    nothing = evidence(lost([[0.001, -0.001, 0.001, -0.001]] * 5), lost([[0.0] * 4] * 5), of="ablation")
    assert not nothing.above.any()  # of a control whose graph has no part in its answers


def test_of_what_answers_tell_a_row_is_held_against_what_its_texts_make_of_it_too():
    """A model on shuffled labels tells nothing, so that all would be above it."""
    rows = [[0.02, -0.01, 0.0, 0.2], [0.02, 0.01, 0.0, 0.0], *NOISE[2:]]
    told = lost(rows)
    first = told.tasks[0]
    varied = (replace(own, std=0.3 if own.target == first else 0.01) for own in told.edges)
    told = replace(told, edges=tuple(varied))
    found, texts = evidence(told, lost(NOISE), of="transferability"), told.edges[0].count
    assert found.limits[0] == pytest.approx(t.ppf(1 - 0.05 / 20, 4 * (texts - 1)) * 0.3 / np.sqrt(texts - 1))
    assert found.limits[1] < 0.01 < found.limits[0] < 0.2
    assert np.argwhere(found.above).tolist() == [[0, 4], [1, 0], [1, 2]]
    every = [[0, 1], [0, 4], [1, 0], [1, 2]]
    assert np.argwhere(evidence(told, lost(NOISE), of="alone").above).tolist() == every
    runs = TaskGraph.average([told, lost(rows)])  # the texts of a mean over runs are not told
    assert np.argwhere(evidence(runs, lost(NOISE), of="transferability").above).tolist() == every


def test_of_fewer_sources_than_four_what_is_lost_is_not_held_against_their_median():
    rows, noise = [[0.5, 0.4], [0.0, 0.01], [0.0, 0.0]], [[0.001, -0.001]] * 3
    found = evidence(lost(rows), lost(noise), of="ablation")
    assert found.excess[0, 1:] == pytest.approx([0.5, 0.4])
    assert found.above[0, 1:].all()


@pytest.mark.parametrize("control", [complete(4), replace(complete(5), edges=())], ids=["nodes", "edges"])
def test_a_control_of_something_else(control):
    with pytest.raises(ValueError, match="control"):
        evidence(complete(5), control)


def test_finding_names_the_strongest_edges():
    graph = by_chance(6, 0)
    assert finding(graph, evidence(graph)) == "not compared with a control"
    nothing = "nothing is above the control trained on shuffled labels: do not interpret"
    assert finding(graph, evidence(graph, graph)) == nothing
    for source, target, times in (("books", "dvd", 16), ("apparel", "books", 64)):
        graph = with_strong(graph, source, target, times)
    found = evidence(graph, by_chance(6, 1))
    assert finding(graph, found) == "2 of 30 edges are above the control: apparel -> books, books -> dvd"


def test_finding_of_a_graph_without_edges():
    graph = without_edges(3)
    assert finding(graph, evidence(graph, graph)) == "no task reads from another"


def test_finding_of_many_edges_names_three():
    ratios = np.ones((5, 5))
    ratios[range(4), range(1, 5)] = 50
    graph = of_ratios(ratios)
    said = finding(graph, evidence(graph, of_ratios(np.ones((5, 5)))))
    assert said.startswith("4 of 20 edges are above the control: ")
    assert said.count("->") == 3
    assert said.endswith(", ...")


def test_finding_of_pairs_and_spokes():
    pairs = TaskGraph(**ABOUT, edges=(edge("a", "b", 0.8), edge("b", "a", 0.8), edge("a", "c", 0), edge("c", "a", 0)))
    none = rescaled(pairs, 0, 0)
    assert finding(pairs, evidence(pairs, none, of="transferability")) == "1 of 2 pairs are above the control: a - b"
    truth = PlantedTruth(edges=(("b", "a"),))  # which a pair shows, whichever of both comes first
    said = finding(pairs, evidence(pairs, none, of="transferability"), truth=truth)
    assert said == "1 of 1 true pairs are above the control, and no other"
    spokes = star(3)
    flat = rescaled(spokes, 0, 0.1)
    said = finding(spokes, evidence(spokes, flat))
    assert said == "1 of 3 spokes are above the control: books"


def test_finding_counts_true_edges():
    graph = TaskGraph(
        **ABOUT, edges=tuple(edge(s, t, w) for s, t, w in [("a", "b", 0.8), ("a", "c", 0.1), ("b", "c", 0.7)])
    )
    found = evidence(graph, rescaled(graph, 0, 0.1), of="transferability")
    truth = PlantedTruth(edges=(("a", "b"), ("a", "c")))
    assert finding(graph, found, truth=truth) == "1 of 2 true edges are above the control, and 1 of 1 others"
    siblings = PlantedTruth(edges=(("a", "b"), ("a", "c")), siblings=(("c", "b"),))
    said = finding(graph, found, truth=siblings)
    assert said == "1 of 2 true edges are above the control, and no other, 1 between siblings"
