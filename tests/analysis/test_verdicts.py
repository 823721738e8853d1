"""What is said of pictures that are made so that a rule must find what is wrong with them."""

from dataclasses import replace

import numpy as np
import pytest

from graphmtl.analysis.faithfulness import Explanation
from graphmtl.analysis.verdicts import verdicts
from graphmtl.data.planted_truth import PlantedTruth
from graphmtl.graph.edge import Edge
from graphmtl.graph.task_graph import TaskGraph
from tests.graph.examples import complete, edges, names, rescaled, star

TASKS = names(6)
TRUTH = PlantedTruth(edges=tuple((TASKS[(k + 1) % 6], TASKS[k]) for k in range(6)))  # each reads from the next


def graph(true: float, seed: int = 0, spread: float = 0.1) -> TaskGraph:
    """Shares into six tasks, that of the true source ``true`` times the others'."""
    weights = np.exp(np.random.default_rng(seed).normal(0, spread, (6, 6)))
    weights[range(6), [(k + 1) % 6 for k in range(6)]] *= true
    np.fill_diagonal(weights, 0)
    weights /= weights.sum(1, keepdims=True)
    return TaskGraph(arch="complete", tasks=TASKS, split="test", seed=seed, edges=edges(TASKS, weights))


def explanation(attention: TaskGraph, truth: PlantedTruth | None = TRUTH, **others: TaskGraph) -> Explanation:
    return Explanation(pictures={"attention": attention, **others}, removal=None, truth=truth)


def said(trained: Explanation, controls: dict[str, Explanation], picture: str = "attention", **more):
    return next(each for each in verdicts(trained, controls, **more) if each.picture == picture)


CHANCE = explanation(graph(1, seed=1))


def test_a_picture_of_the_true_edges():
    found = said(explanation(graph(20)), {"shuffled": CHANCE})
    assert found.holds
    shuffled = np.mean([*CHANCE.auroc()["attention"].values()])
    assert found.says == (
        f"6 of 6 true edges are above the control, and no other (AUROC 1.00, shuffled labels {shuffled:.2f})"
    )


def test_what_the_control_shows_as_strongly_is_not_to_be_interpreted():
    found = said(explanation(graph(1), truth=None), {"shuffled": CHANCE})
    assert found.holds is False
    assert found.says == "nothing is above the control trained on shuffled labels: do not interpret"


@pytest.mark.parametrize("control", ["untrained", "shuffled"])
def test_what_a_control_ranks_alike_is_not_to_be_interpreted(control):
    weaker = explanation(graph(20, spread=1), truth=None)
    own = rescaled(weaker.pictures["attention"], 0.3, 0.7 / 5)  # the same order, drawn to the equal share
    found = said(weaker, {"shuffled": CHANCE, control: explanation(own, truth=None)})
    assert found.holds is False
    model = {"untrained": "an untrained model", "shuffled": "a model trained on shuffled labels"}[control]
    assert found.says.endswith(f"{model} shows the same (1.00); do not interpret")


def test_what_a_control_ranks_somewhat_alike_may_be_interpreted():
    own = graph(20, spread=1)
    noise = np.exp(np.random.default_rng(5).normal(0, 1.5, (6, 6)))
    weights = np.nan_to_num(own.matrix()) * noise
    other = replace(own, edges=edges(TASKS, weights / weights.sum(1, keepdims=True)))
    alike = own.compare(other)
    assert 0.4 < alike.within < 0.7
    assert alike.p_value < 0.01
    found = said(explanation(own, truth=None), {"shuffled": CHANCE, "untrained": explanation(other, truth=None)})
    assert found.holds


def test_a_control_that_shows_the_true_edges_better_speaks_against_a_picture():
    wrong = PlantedTruth(edges=((TASKS[2], TASKS[0]), *TRUTH.edges[1:]))
    trained, better = explanation(graph(20), truth=wrong), explanation(graph(2, seed=1, spread=0.05))
    ours, theirs = (np.mean([*each.auroc()["attention"].values()]) for each in (trained, better))
    assert 0.7 < ours < theirs == 1
    found = said(trained, {"shuffled": better})
    assert found.holds is False
    assert "it does not show the true edges" in found.says


def test_contributions_are_held_against_their_mean_into_a_target_whatever_their_scale():
    chance = explanation(graph(1, seed=1), truth=None, contribution=rescaled(graph(1, seed=1), 1000, 0))
    found = said(
        explanation(graph(20), truth=None, contribution=rescaled(graph(20), 2, 0)), {"shuffled": chance}, "contribution"
    )
    assert found.says.startswith("6 of 30 edges are above the control")


def test_edges_that_are_not_the_true_ones_are_not_to_be_interpreted():
    others = PlantedTruth(edges=tuple((TASKS[(k + 2) % 6], TASKS[k]) for k in range(6)))
    found = said(explanation(graph(20), truth=others), {"shuffled": CHANCE})
    assert found.holds is False
    assert "6 of 24 others" in found.says
    assert found.says.endswith("it does not show the true edges; do not interpret")


def test_without_a_control_nothing_is_known():
    found = said(explanation(graph(20), truth=None), {})
    assert (found.holds, found.says) == (None, "not compared with a control")


@pytest.mark.parametrize(
    ("ablation", "holds", "words"),
    [
        (graph(20), True, "ablation agrees (1.00)"),
        (graph(1, seed=2), False, "so it need not be relied upon"),
    ],
    ids=["agrees", "does not"],
)
def test_what_is_looked_at_is_held_against_ablation(ablation, holds, words):
    found = said(explanation(graph(20), truth=None, ablation=ablation), {"shuffled": CHANCE})
    assert found.holds is holds
    assert found.says.startswith("6 of 30 edges are above the control: ")
    assert words in found.says
    cut = said(explanation(graph(20), truth=None, ablation=ablation), {"shuffled": CHANCE}, "ablation")
    assert "ablation" not in cut.says  # it is not held against itself


@pytest.mark.parametrize(("alike", "holds"), [(0.3, False), (0.8, True), (None, True)])
def test_other_runs_may_show_something_else(alike, holds):
    found = said(explanation(graph(20), truth=None), {"shuffled": CHANCE}, stability={"attention": alike})
    assert found.holds is holds
    assert ("other runs show something else (0.30); do not interpret" in found.says) != holds


def test_with_three_tasks_no_test_is_made():
    """Two sources each: the best of 8 orders has a probability of 0.125."""
    attention = replace(complete(3), tasks=complete(3).tasks)
    control = rescaled(attention, 0, 1 / 2)
    trained = explanation(attention, truth=None, ablation=rescaled(attention, 1, 0))
    assert attention.compare(attention).p_value is None
    found = said(trained, {"shuffled": explanation(control, truth=None)})
    assert found.says.endswith("with so few tasks ablation cannot tell whether it is relied upon")


def test_spokes_are_told_by_task():
    flat = rescaled(star(5), 0, 0.2)
    found = said(
        Explanation(pictures={"attention": star(5)}, removal=None), {"shuffled": explanation(flat, truth=None)}
    )
    assert "spokes are above the control" in found.says


def test_gains_of_noise_are_not_beyond_chance():
    rng, beyond = np.random.default_rng(0), 0
    for _ in range(100):
        found = rng.normal(scale=0.03, size=(len(graph(1).edges), 3))  # of three seeds
        own = tuple(
            replace(edge, weight=float(each.mean()), std=float(each.std(ddof=1)), count=3)
            for edge, each in zip(graph(1).edges, found, strict=True)
        )
        says = said(explanation(graph(1), benefit=replace(graph(1), edges=own)), {}, "benefit").says
        beyond += "0 help their target and 0 harm it" not in says
    assert beyond <= 10  # 5 % of all, and a little more by chance


def test_gains_are_counted_beyond_the_chance_of_the_seeds():
    gains = graph(1)
    weights = {0: 1.0, 1: -1.0}
    own = tuple(replace(edge, weight=weights.get(i, 0.0), std=1.0, count=100) for i, edge in enumerate(gains.edges))
    own += (Edge(source=TASKS[0], target=TASKS[0], weight=1.0, std=1.0, count=100),)  # nobody's gain
    found = said(explanation(graph(1), benefit=replace(gains, edges=own)), {}, "benefit")
    assert found.says == "of 30 sources 1 helps its target and 1 harms it, beyond the chance of the seeds"
