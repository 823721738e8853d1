"""The pictures of a small model against the same numbers taken one text and one cut at a time."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from graphmtl.analysis.ablation import AblationPlan, measure
from graphmtl.analysis.affinity import probe_batches, task_affinity
from graphmtl.analysis.faithfulness import draw_texts, explain_model, true_edges
from graphmtl.data.batching import EncodedSplit, EncodedTask
from graphmtl.data.planted_truth import PlantedTruth
from graphmtl.data.task import Task
from graphmtl.data.vocabulary import Vocabulary
from graphmtl.graph.recorder import EdgeRecorder
from graphmtl.layers.interaction import Ablation
from graphmtl.models.model import MultiTaskModel
from tests.parts import model_options

NAMES = ("w", "x", "y", "z")
ABOUT = {"split": "test", "seed": 0}
TRUTH = PlantedTruth(edges=(("w", "x"), ("y", "z")), siblings=(("x", "z"),))


def task_data(name: str, labels: int, size: int) -> EncodedTask:
    rng = np.random.default_rng(len(name) + labels + size)
    texts = [rng.integers(3, 10, rng.integers(1, 7)).tolist() for _ in range(size)]
    wanted = rng.integers(0, labels, size).tolist()
    split = EncodedSplit(tasks=[name], texts=texts, labels={name: wanted})
    task = Task(name=name, labels=tuple(map(str, range(labels))))
    return EncodedTask(task=task, train=split, valid=split, test=split)


@pytest.fixture(scope="module")
def data():
    return {name: task_data(name, 2 + i % 2, 9 + i) for i, name in enumerate(NAMES)}


def build(data, arch="complete", **options):
    torch.manual_seed(1)
    options = model_options(arch=arch, hidden=4, attention=3, embedding_size=4, **options)
    vocabulary = Vocabulary.build(["a b c d e f g"])
    model = MultiTaskModel(tasks=[own.task for own in data.values()], vocabulary=vocabulary, options=options).double()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    return model.eval()


def one_by_one(model, data, name):
    """Each text of a task as a batch of its own, and its label."""
    split = data[name].test
    for row in range(len(split)):
        batch = split.batch([row])
        yield batch, int(batch.labels[name][0])


def loss(model, batch, name, label, edges, renormalise=True):
    (output,) = model.ablate(batch, [Ablation(edges=frozenset(edges), renormalise=renormalise)])
    return -output[name].logits[0].log_softmax(-1)[label].item()


def into(target):
    return {(source, target) for source in NAMES if source != target}


@pytest.fixture(scope="module", params=["complete", "cmtr", "adapter-fusion"])
def explained(data, request):
    model = build(data, request.param)
    return model, explain_model(model, data, **ABOUT, truth=TRUTH)


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


def test_attention_is_what_the_run_records(explained, data):
    model, found = explained
    recorder = EdgeRecorder()
    for name in NAMES:
        for batch, _ in one_by_one(model, data, name):
            recorder.update(model(batch, edges=True)[name].edges)
    expected = recorder.graph(arch=model.options.arch, tasks=NAMES, **ABOUT)
    for edge, other in zip(found.pictures["attention"].edges, expected.edges, strict=True):
        assert (edge.source, edge.target) == (other.source, other.target)
        assert (edge.weight, edge.std) == pytest.approx((other.weight, other.std), abs=1e-9)
    for name in NAMES:
        assert sum(edge.weight for edge in found.pictures["attention"].incoming(name)) == pytest.approx(1)


def test_a_source_that_says_nothing_has_no_contribution_and_is_not_relied_on(data):
    model = build(data, score="static")
    for parameter in model.architecture.lstms[1].named_parameters():
        if parameter[0] in ("W", "U", "b"):
            parameter[1].data.zero_()  # the states of x are 0
    pictures = explain_model(model, data, **ABOUT).pictures
    for target in set(NAMES) - {"x"}:
        for picture in ("contribution", "ablation_zeroed"):
            weights = {edge.source: edge.weight for edge in pictures[picture].incoming(target)}
            assert weights.pop("x") == pytest.approx(0, abs=1e-12)
            assert all(abs(weight) > 1e-6 for weight in weights.values())


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


def test_texts_without_a_label_play_no_part():
    """Two layers of one corpus, of which the second has few labels."""
    rng = np.random.default_rng(0)
    texts = [rng.integers(3, 10, 4).tolist() for _ in range(30)]
    rare = [1 if i in (11, 23) else -100 for i in range(30)]
    labels = {"w": rng.integers(0, 2, 30).tolist(), "x": rare}
    split = EncodedSplit(tasks=["w", "x"], texts=texts, labels=labels)
    both = {"train": split, "valid": split, "test": split, "corpus": "c"}
    data = {name: EncodedTask(task=Task(name=name, labels=("no", "yes")), **both) for name in labels}
    model = build(data)
    found = explain_model(model, data, **ABOUT, per_task=5)
    for picture in ("attention", "contribution", "ablation"):
        assert found.pictures[picture].incoming("x")[0].count == 2
        assert 5 <= found.pictures[picture].incoming("w")[0].count <= 7
    recorder = EdgeRecorder()
    for row in (11, 23):
        recorder.update(model(split.batch([row]), edges=True)["x"].edges)
    (edge,) = recorder.edges()
    assert found.pictures["attention"].incoming("x")[0].weight == pytest.approx(edge.weight, abs=1e-9)


def test_without_a_cut_the_loss_is_the_models_own(explained, data):
    model, _ = explained
    texts = {"per_task": 100, "batch_size": 4, "seed": 0, "device": "cpu"}
    measured = measure(model, draw_texts(data, "test", **texts), [Ablation()])
    for name in NAMES:
        expected = [loss(model, batch, name, label, set()) for batch, label in one_by_one(model, data, name)]
        assert sorted(measured[name].losses[0]) == pytest.approx(sorted(expected), abs=1e-9)


def test_batches_change_nothing_and_texts_can_be_fewer(explained, data):
    model, found = explained
    again = explain_model(model, data, **ABOUT, batch_size=2)
    for name, picture in found.pictures.items():
        assert again.pictures[name].matrix() == pytest.approx(picture.matrix(), abs=1e-9, nan_ok=True)
    few = explain_model(model, data, **ABOUT, per_task=3)
    assert {edge.count for picture in few.pictures.values() for edge in picture.edges} == {3}


def test_texts_of_a_task_do_not_depend_on_the_others(data):
    texts = {"per_task": 4, "batch_size": 4, "seed": 0, "device": "cpu"}
    (alone,) = draw_texts({"y": data["y"]}, "test", **texts)
    among = next(batch for batch in draw_texts(data, "test", **texts) if batch.tasks == ("y",))
    assert torch.equal(alone.tokens, among.tokens)


def test_a_topology_has_but_its_own_edges(data):
    found = explain_model(build(data, topology="[[w, x], [y, x], [x, z]]"), data, **ABOUT)
    ends = {("w", "x"), ("y", "x"), ("x", "z")}
    for picture in found.pictures.values():
        assert {(edge.source, edge.target) for edge in picture.edges} == ends
    assert found.removal["edges"] == [1, 2]


def test_what_a_task_reads_from_itself_is_never_cut(data):
    found = explain_model(build(data, "cmtr"), data, **ABOUT)
    assert {edge.source for edge in found.pictures["attention"].incoming("x")} == set(NAMES)
    for picture in ("ablation", "ablation_zeroed", "alone"):
        assert {edge.source for edge in found.pictures[picture].incoming("x")} == set(NAMES) - {"x"}
    assert found.removal["edges"] == [1, 2, 3]


def test_a_regression_has_squared_errors_and_no_accuracy(data):
    rng = np.random.default_rng(0)
    texts = [rng.integers(3, 10, 5).tolist() for _ in range(7)]
    split = EncodedSplit(tasks=["stars"], texts=texts, labels={"stars": [1.5, 2.0, float("nan"), *rng.random(4)]})
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


def test_star_has_spokes_and_affinity(data):
    model = build(data, "star")
    found = explain_model(model, data, **ABOUT, truth=TRUTH)
    assert [*found.pictures] == ["attention", "contribution", "ablation", "ablation_accuracy", "affinity", "logits"]
    assert found.removal is None
    for name in NAMES:
        (edge,) = found.pictures["ablation"].incoming(name)
        pairs = list(one_by_one(model, data, name))
        cut = {("virtual", name)}
        change = np.mean([loss(model, b, name, y, cut) - loss(model, b, name, y, set()) for b, y in pairs])
        assert (edge.source, edge.weight) == ("virtual", pytest.approx(change, abs=1e-9))
    tests = {name: own.test for name, own in data.items()}  # the texts of the other pictures
    expected = task_affinity(model, probe_batches(tests, per_task=4, seed=0), split="test", seed=0)
    assert explain_model(model, data, **ABOUT, probe=4).pictures["affinity"] == expected != found.pictures["affinity"]
    assert {edge.count for edge in expected.edges} == {2 * 4}
    assert set(found.auroc()) == {"affinity", "logits"}
    assert set(found.agreement()) >= {("attention", "contribution"), ("attention", "ablation"), ("affinity", "logits")}
    assert ("attention", "affinity") not in found.agreement()


def test_agreement_and_likeness_compare_rows(explained):
    _, found = explained
    agreement = found.agreement()
    pair = ("attention", "ablation")
    assert agreement[pair] == found.pictures["attention"].compare(found.pictures["ablation"])
    likeness = found.likeness(found)
    assert all(own.within == pytest.approx(1) for own in likeness.values() if own.within is not None)
    assert set(likeness) == set(found.pictures)


def test_true_edges_leave_siblings_and_loops_out():
    nan = np.nan
    expected = np.array([[nan, 0, 0, 0], [1, nan, 0, nan], [0, 0, nan, 0], [0, nan, 1, nan]])
    np.testing.assert_array_equal(true_edges(TRUTH, NAMES), expected)


def test_auroc_is_of_targets_with_true_sources(explained):
    _, found = explained
    areas = found.auroc()
    assert set(areas) == set(found.pictures)
    weights = {(edge.source, edge.target): edge.weight for edge in found.pictures["attention"].edges}

    def area(true: float, false: float) -> float:
        return 0.5 if abs(true - false) < 1e-6 else float(true > false)

    x, z = area(weights["w", "x"], weights["y", "x"]), area(weights["y", "z"], weights["w", "z"])
    assert areas["attention"] == {"x": x, "z": z}
    assert replace(found, truth=None).auroc() == {}
