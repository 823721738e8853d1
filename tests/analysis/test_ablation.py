"""What ablation says against the same numbers taken one text and one cut at a time."""

import numpy as np
import pytest

from graphmtl.analysis.ablation import AblationPlan, measure
from graphmtl.analysis.faithfulness import draw_texts, explain_model
from graphmtl.data.batching import EncodedSplit, EncodedTask
from graphmtl.data.task import Task
from graphmtl.layers.interaction import Ablation
from graphmtl.models.model import MultiTaskModel
from tests.analysis.small import ABOUT, NAMES, build, into, loss, one_by_one
from tests.parts import label_arrays


@pytest.mark.parametrize("picture", ["ablation", "ablation_zeroed", "alone"])
def test_ablation_is_the_paired_change_text_by_text(picture, explained, data):
    model, found = explained
    for edge in found.pictures[picture].edges:
        changes = []
        for batch, label in one_by_one(model, data, edge.target):
            ends, every = {(edge.source, edge.target)}, into(edge.target)
            first = every if picture == "alone" else set()
            second = every - ends if picture == "alone" else ends
            before = loss(model, batch, edge.target, label, first)
            after = loss(model, batch, edge.target, label, second, picture != "ablation_zeroed")
            changes.append(before - after if picture == "alone" else after - before)
        assert edge.weight == pytest.approx(np.mean(changes), abs=1e-9)
        assert edge.std == pytest.approx(np.std(changes), abs=1e-9)
        assert edge.count == len(data[edge.target].test)


def test_accuracy_that_is_lost(explained, data):
    model, found = explained
    for edge in found.pictures["ablation_accuracy"].edges:
        lost = []
        for batch, label in one_by_one(model, data, edge.target):
            cut = Ablation(edges=frozenset({(edge.source, edge.target)}))
            before, after = (own[edge.target].logits.argmax().item() for own in model.ablate(batch, [Ablation(), cut]))
            lost.append(int(before == label) - int(after == label))
        assert edge.weight == pytest.approx(np.mean(lost))


def test_removal_ends_where_no_edge_is_left(explained, data):
    model, found = explained
    assert found.removal["edges"] == [1, 2, 3]
    changes = []
    for name in NAMES:
        pairs = list(one_by_one(model, data, name))
        own = [loss(model, b, name, y, into(name)) - loss(model, b, name, y, set()) for b, y in pairs]
        changes.append(np.mean(own))
    for order in ("strongest", "random", "weakest"):
        assert found.removal[order][-1] == pytest.approx(np.mean(changes), abs=1e-9)


def test_removal_goes_by_attention(explained, data):
    model, found = explained
    attention = found.pictures["attention"]
    for order, place in (("strongest", 0), ("weakest", -1)):
        changes = []
        for name in NAMES:
            others = [edge for edge in attention.incoming(name) if edge.source != name]
            cut = {(others[place].source, name)}
            pairs = list(one_by_one(model, data, name))
            changes.append(np.mean([loss(model, b, name, y, cut) - loss(model, b, name, y, set()) for b, y in pairs]))
        assert found.removal[order][0] == pytest.approx(np.mean(changes), abs=1e-9)


def test_random_and_larger_removals_are_of_the_edges_they_name(explained, data):
    """Of every size as many edges into every task as it says, the strongest and weakest by attention, three draws."""
    model, found = explained
    attention = found.pictures["attention"]
    ranked = {t: [edge.source for edge in attention.incoming(t) if edge.source != t] for t in NAMES}
    plan = AblationPlan(attention, seed=0)
    for size in (1, 2):
        draws = [plan.cuts["removal", ("random", i), size].edges for i in range(3)]
        assert len(set(draws)) == 3
        strongest, weakest = (plan.cuts["removal", order, size].edges for order in ("strongest", "weakest"))
        assert strongest == {(source, t) for t in NAMES for source in ranked[t][:size]}
        assert weakest == {(source, t) for t in NAMES for source in ranked[t][-size:]}
        for cut in draws:
            assert {t: sum(target == t for _, target in cut) for t in NAMES} == dict.fromkeys(NAMES, size)
    for i in range(3):  # a larger draw holds the smaller one
        assert plan.cuts["removal", ("random", i), 1].edges < plan.cuts["removal", ("random", i), 2].edges
    changes = []
    for cut in draws:
        for name in NAMES:
            own = {edge for edge in cut if edge[1] == name}
            pairs = list(one_by_one(model, data, name))
            changes.append(np.mean([loss(model, b, name, y, own) - loss(model, b, name, y, set()) for b, y in pairs]))
    assert found.removal["random"][1] == pytest.approx(np.mean(changes), abs=1e-9)


def test_without_a_cut_the_loss_is_the_models_own(explained, data):
    model, _ = explained
    texts = {"per_task": 100, "batch_size": 4, "seed": 0, "device": "cpu"}
    measured = measure(model, draw_texts(data, "test", **texts), [Ablation()])
    for name in NAMES:
        expected = [loss(model, batch, name, label, set()) for batch, label in one_by_one(model, data, name)]
        assert sorted(measured[name].losses[0]) == pytest.approx(sorted(expected), abs=1e-9)


def test_what_a_task_reads_from_itself_is_never_cut(data):
    found = explain_model(build(data, "cmtr"), data, **ABOUT)
    assert {edge.source for edge in found.pictures["attention"].incoming("x")} == set(NAMES)
    for picture in ("ablation", "ablation_zeroed", "alone"):
        assert {edge.source for edge in found.pictures[picture].incoming("x")} == set(NAMES) - {"x"}
    assert found.removal["edges"] == [1, 2, 3]


def test_a_regression_has_squared_errors_and_no_accuracy(data):
    rng = np.random.default_rng(0)
    texts = [rng.integers(3, 10, 5).tolist() for _ in range(7)]
    split = EncodedSplit(
        tasks=["stars"], texts=texts, labels={"stars": label_arrays([1.5, 2.0, float("nan"), *rng.random(4)])}
    )
    stars = Task(name="stars", kind="regression")
    data = {**data, "stars": EncodedTask(task=stars, train=split, valid=split, test=split)}
    model = build(data)
    pictures = explain_model(model, data, **ABOUT).pictures
    assert pictures["ablation_accuracy"].incoming("stars") == []
    assert len(pictures["ablation_accuracy"].incoming("w")) == len(NAMES)
    (edge, *_) = pictures["ablation"].incoming("stars")
    changes = []
    for row in (0, 1, 3, 4, 5, 6):
        batch = split.batch([row])
        cuts = [Ablation(), Ablation(edges=frozenset({(edge.source, "stars")}))]
        before, after = (output["stars"].losses.item() for output in model.ablate(batch, cuts))
        changes.append(after - before)
    assert (edge.count, edge.weight) == (6, pytest.approx(np.mean(changes), abs=1e-9))


@pytest.mark.parametrize("arch", ["complete", "cmtr"])
def test_cuts_that_come_to_the_same_for_a_task_are_read_once(arch, data, monkeypatch):
    """In ``complete`` nothing hangs on the edges into other tasks; of ``cmtr`` that is not said."""
    read, whole = [], MultiTaskModel.ablate
    monkeypatch.setattr(MultiTaskModel, "ablate", lambda *given: read.append([*given[2]]) or whole(*given))
    model = build(data, arch)
    cuts = [Ablation(edges=frozenset({("w", target)})) for target in ("x", "y", "z")]
    every = Ablation(edges=frozenset().union(*(cut.edges for cut in cuts)))
    measured = measure(model, [data["x"].test.batch([0, 1])], [Ablation(), *cuts, every])
    assert len(read[0]) == {"complete": 2, "cmtr": 5}[arch]
    losses = measured["x"].losses  # (ablations, texts)
    assert losses.shape == (5, 2)
    assert losses[[0, 2, 3]] == pytest.approx(np.stack([losses[0]] * 3))
    assert losses[1] == pytest.approx(losses[4])
    assert abs(losses[1] - losses[0]).max() > 1e-6
