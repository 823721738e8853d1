"""The pictures of a small model against the same numbers taken one text at a time."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from graphmtl.analysis.affinity import probe_batches, task_affinity
from graphmtl.analysis.faithfulness import draw_texts, explain_model, true_edges
from graphmtl.analysis.transferability import transferability
from graphmtl.data.batching import EncodedSplit, EncodedTask
from graphmtl.data.task import Task
from graphmtl.graph.recorder import EdgeRecorder
from tests.analysis.small import ABOUT, NAMES, TRUTH, build, loss, one_by_one, task_data
from tests.parts import label_arrays


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


def test_texts_without_a_label_play_no_part():
    """Two layers of one corpus, of which the second has few labels."""
    rng = np.random.default_rng(0)
    texts = [rng.integers(3, 10, 4).tolist() for _ in range(30)]
    rare = [1 if i in (11, 23) else -100 for i in range(30)]
    labels = {"w": rng.integers(0, 2, 30).tolist(), "x": rare}
    split = EncodedSplit(
        tasks=["w", "x"], texts=texts, labels={name: label_arrays(own) for name, own in labels.items()}
    )
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


def test_of_a_corpus_that_two_splits_stand_for_both_are_drawn(data):
    """As where a task joins that is another layer of the old tasks' corpus."""
    corpus = data["x"].corpus
    both = {"x": data["x"], "y": replace(data["y"], corpus=corpus)}
    drawn = draw_texts(both, "test", per_task=4, batch_size=4, seed=0, device="cpu")
    assert [batch.tasks for batch in drawn] == [("x",), ("y",)]


def test_a_topology_has_but_its_own_edges(data):
    found = explain_model(build(data, topology="[[w, x], [y, x], [x, z]]"), data, **ABOUT)
    ends = {("w", "x"), ("y", "x"), ("x", "z")}
    for picture in found.pictures.values():
        assert {(edge.source, edge.target) for edge in picture.edges} == ends
    assert found.removal["edges"] == [1, 2]


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


def test_a_star_with_texts_enough_shows_whose_answers_say_a_tasks_labels():
    data = {name: task_data(name, 2, 40) for name in NAMES}
    model = build(data, "star")
    texts = [own.test.batch(range(40)) for own in data.values()]
    expected = transferability(model, texts, data, split="test", seed=0)
    found = explain_model(model, data, **ABOUT, truth=TRUTH)
    assert {(edge.source, edge.target): edge.count for edge in expected.edges} == {
        (a, b): 40 for a in NAMES for b in NAMES if a != b
    }
    assert {edge.count for edge in found.pictures["transferability"].edges} == {40}
    assert "transferability" in found.auroc()
    few = explain_model(model, data, **ABOUT, per_task=19)
    assert "transferability" not in few.pictures  # nothing is fitted
    training = explain_model(model, data, **ABOUT | {"split": "train", "per_task": 40})
    assert "transferability" not in training.pictures  # what the training texts say is known of them


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


def test_all_batches_pass_through_what_watches_them(data):
    seen = {}

    def watched(batches, part):
        for i, batch in enumerate(batches, start=1):
            seen[part] = (i, len(batches))
            yield batch

    model = build(data)
    found = explain_model(model, data, **ABOUT, batch_size=2, watched=watched)
    assert found == explain_model(model, data, **ABOUT, batch_size=2)
    assert list(seen) == ["attention", "ablation"]
    assert all(done == of > len(NAMES) for done, of in seen.values())


def test_without_cutting_there_is_what_the_model_looks_at(explained, data):
    model, found = explained
    without = explain_model(model, data, **ABOUT, cut=False)
    assert without.removal is None
    kept = {name: graph for name, graph in found.pictures.items() if name in ("attention", "contribution")}
    assert without.pictures == kept
