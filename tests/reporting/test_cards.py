"""The first that is said of a run, of runs whose files are changed so that there is something to say."""

import copy
import re
from dataclasses import replace

import pytest

from graphmtl.baselines.scores import read_scores
from graphmtl.reporting.cards import baseline_gains, data_card, gain_card, trust_card
from graphmtl.training.run import Run
from graphmtl.training.run_files import REMARKS
from graphmtl.training.run_picture import held_graphs
from tests.graph.examples import write_control

NOTHING = {"test_in_own": 0, "test_in_others": 0, "repeated": 0, "dropped": 0, "test_seen": 0, "valid_seen": 0}


@pytest.fixture
def run(copy_of):
    return Run.open(copy_of("complete"))


def changed(run: Run, change) -> Run:
    metrics = copy.deepcopy(run.metrics)
    change(metrics)
    run.write_json("metrics.json", metrics)
    return Run.open(run.folder)


def test_the_gain_is_that_over_the_linear_baseline(run):
    scores = read_scores(run)
    tasks = run.metrics["tasks"]
    gains = {
        n: 100 * (own["test"][own["metric"]] - scores["tfidf"][n]["test"][own["metric"]]) for n, own in tasks.items()
    }
    above, mean = sum(gain > 0 for gain in gains.values()), sum(gains.values()) / len(gains)
    card = gain_card(run, scores)
    assert card["lines"][0] == f"Above tfidf on test for {above} of 3 tasks, {mean:+.1f} points on average"
    assert card["level"] == ("good" if mean > 0 and above > 1 else "bad")
    rows = baseline_gains(run, scores)["rows"]
    assert {row["name"]: row["mean"] for row in rows} == {n: f"{x:+.1f}" for n, x in (gains | {"mean": mean}).items()}


def test_what_other_runs_say_comes_first_and_without_any_it_is_said_how(run):
    assert gain_card(run, {}, "star is better")["lines"] == ["star is better"]
    lines = gain_card(run, {})["lines"]
    assert lines[0].startswith("Not compared")
    assert "graphmtl compare" in lines[1]
    assert baseline_gains(run, {}) is None


@pytest.mark.parametrize("holds", [True, False, None])
def test_the_trust_is_that_of_the_picture_that_is_drawn_beside_ablation(holds, run):
    verdicts = [{"picture": name, "says": f"of {name}", "holds": holds} for name in ("attention", "alone", "ablation")]
    graphs = held_graphs(run)
    card = trust_card(graphs, {"verdicts": verdicts})
    assert card["lines"] == ["attention: of attention", "ablation: of ablation"]
    assert card["level"] == {True: "good", False: "bad", None: "open"}[holds]
    star = [replace(graphs[0], name="affinity")]
    card = trust_card(star, {"verdicts": [*verdicts, {"picture": "affinity", "says": "alike", "holds": True}]})
    assert card["lines"] == ["affinity: alike", "ablation: of ablation"]
    told = [replace(graphs[0], name="transferability")]  # of which the explanation says nothing
    card = trust_card(told, {"verdicts": verdicts})
    assert (card["level"], card["lines"]) == ("open", [graphs[0].finding, "ablation: of ablation"])


def test_a_picture_that_was_not_explained_is_held_against_the_control_that_there_is(run):
    card = trust_card(held_graphs(run), None)
    assert (card["level"], card["lines"][0]) == ("open", "not compared with a control")
    assert "graphmtl explain RUN" in card["lines"][1]
    write_control(run.folder)
    card = trust_card(held_graphs(Run.open(run.folder)), None)
    assert (card["level"], card["lines"][0]) == ("good", held_graphs(run)[0].finding)
    run.task_graph.save(run.folder / "controls" / "shuffled" / "task_graph.json")
    assert trust_card(held_graphs(Run.open(run.folder)), None)["level"] == "bad"


def test_without_a_picture_there_is_no_trust(finished):
    assert trust_card(held_graphs(finished("shared").run), None) is None


def test_seen_and_dropped_texts_cut_ones_and_a_short_training_are_named(run):
    def change(metrics):
        for i, own in enumerate(metrics["tasks"].values()):
            own |= {"n_test": 1000, "n_test_dedup": 1000 - 10 * i}
        metrics |= {"cut_short": ["mean"], "budget": {"mean": {"batch_size": 8, "batches": 4, "epochs": 2}}}

    run = changed(run, change)
    overlap = {"pairs": NOTHING | {"dropped": 3}, "child1": NOTHING | {"dropped": 1, "empty": 2}}
    run.write_json(REMARKS, {"overlap": overlap, "lines": ["pairs: 7 of 9 texts cut"]})
    card = data_card(run)
    names = [*run.metrics["tasks"]]
    assert card["level"] == "bad"
    assert card["lines"] == [
        f"30 of 3,000 test texts stand in training ({names[2]} 20, {names[1]} 10); test_dedup is without them",
        "training texts left out, since they stand in the validation or test split of another task: 4 "
        "(pairs 3, child1 1)",
        "examples without a text: 2 (child1 2)",
        "pairs: 7 of 9 texts cut",
        "the validation score still rose in the last epoch; more of them (--epochs) may give a better one",
    ]


@pytest.mark.parametrize("known", [True, False], ids=["remarks", "an earlier run"])
def test_where_nothing_is_odd_that_is_said(known, run):
    def change(metrics):
        for own in metrics["tasks"].values():
            own["n_test_dedup"] = own["n_test"]
        metrics["cut_short"] = []

    run = changed(run, change)
    (run.folder / REMARKS).unlink()
    if known:
        run.write_json(REMARKS, {"overlap": {"pairs": NOTHING}, "lines": []})
    card = data_card(Run.open(run.folder))
    assert card["level"] == ("good" if known else "open")
    assert bool(re.match("Nothing was dropped", card["lines"][0])) == known


def test_of_linear_models_nothing_can_be_cut(run):
    graphs = [replace(each, name="linear") for each in held_graphs(run)]
    assert trust_card(graphs, None)["lines"] == [f"Linear models: {graphs[0].finding}"]


def test_beside_linear_models_the_graph_itself_is_judged_too(run):
    write_control(run.folder)
    (own,) = held_graphs(Run.open(run.folder))
    nothing = replace(own.evidence, above=own.evidence.above & False)
    graphs = [replace(own, name="linear"), replace(own, evidence=nothing, finding="nothing is above")]
    card = trust_card(graphs, None)
    assert card["level"] == "good"
    assert card["lines"][:2] == [f"Linear models: {own.finding}", "The graph beside them: nothing is above"]
    assert "graphmtl explain RUN" in card["lines"][2]
    verdict = {"picture": "attention", "says": "not stable", "holds": False}
    card = trust_card(graphs, {"verdicts": [verdict]})
    assert (card["level"], card["lines"]) == ("good", [f"Linear models: {own.finding}", "attention: not stable"])
