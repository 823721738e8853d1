"""Gates made by hand, of which it is known how far they follow the text."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from graphmtl.analysis.faithfulness import explain_model
from graphmtl.analysis.switching import TextWeights, text_auroc
from graphmtl.data.batching import EncodedSplit, EncodedTask
from graphmtl.data.planted_truth import PlantedTruth
from graphmtl.data.task import Task
from tests.analysis.small import ABOUT, NAMES, build, one_by_one
from tests.parts import label_arrays


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def gates(decided_by, parents, rng):
    """More weight for the parent that decides, as much as the text reads from all parents."""
    weights = 0.1 + np.eye(parents)[decided_by]
    return weights * rng.uniform(0.1, 0.6, (len(decided_by), 1)) / weights.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("parents", [2, 3])
def test_gates_that_follow_the_text_turn_from_it_and_ignore_it(parents, rng):
    decided_by = rng.permutation(np.resize(np.arange(parents), 60))
    follow = gates(decided_by, parents, rng)
    assert text_auroc(follow, decided_by) == pytest.approx(1)
    assert text_auroc(1 / follow, decided_by) == pytest.approx(0)
    constant = np.tile(rng.uniform(0.1, 0.4, (1, parents)), (60, 1))
    assert text_auroc(constant, decided_by) == 0.5
    assert text_auroc(constant * rng.uniform(0.1, 1, (60, 1)), decided_by) == 0.5  # more of all parents alike
    assert text_auroc(np.zeros((60, parents)), decided_by) == 0.5


def test_the_preferred_parent_of_the_task_plays_no_part(rng):
    decided_by = rng.integers(0, 2, 200)
    logits = rng.normal(size=(200, 2)) + 2 * np.eye(2)[decided_by]
    plain, leaning = (np.exp(logits + lean) for lean in ([0, 0], [3, 0]))
    assert 0.8 < text_auroc(plain, decided_by) < 1
    assert text_auroc(leaning, decided_by) == pytest.approx(text_auroc(plain, decided_by))


def test_it_is_the_share_of_pairs_of_texts_in_the_right_order(rng):
    decided_by, weights = rng.integers(0, 2, 30), rng.uniform(size=(30, 2))
    ratio = np.log(weights[:, 0]) - np.log(weights[:, 1])
    order = [np.sign(a - b) for a in ratio[decided_by == 0] for b in ratio[decided_by == 1]]
    assert text_auroc(weights, decided_by) == pytest.approx((np.mean(order) + 1) / 2)


def test_of_three_parents_it_is_the_mean_over_pairs():
    decided_by = np.array([0, 1, 2])
    weights = np.array([[0.5, 0.1, 0.5], [0.1, 0.5, 0.1], [0.5, 0.1, 0.5]])  # the first and the third look alike
    assert text_auroc(weights, decided_by) == pytest.approx((1 + 0.5 + 1) / 3)


def test_one_parent_that_decides_all_texts_says_nothing():
    assert np.isnan(text_auroc(np.ones((3, 2)), np.array([1, 1, 1])))
    found = TextWeights({"x": ("w", "y")})
    found.add("x", ("w", "y"), torch.ones(3, 2), torch.ones(3, dtype=torch.int64))
    assert found.auroc() == {}


def test_batches_are_put_together_and_sources_are_found_by_name(rng):
    decided_by = rng.permutation(np.resize([0, 1], 20))
    a, b = gates(decided_by, 2, rng).T
    found = TextWeights({"x": ("w", "y"), "z": ("w", "v")})
    for rows in (slice(0, 5), slice(5, 20)):
        weights = torch.tensor(np.stack([b, rng.uniform(size=20), a], axis=1)[rows])
        found.add("x", ("y", "v", "w"), weights, torch.from_numpy(decided_by[rows]))
        found.add("z", ("v",), weights[:, :1], torch.from_numpy(decided_by[rows]))
        found.add("other", ("v",), weights[:, :1], torch.from_numpy(decided_by[rows]))
    assert found.auroc() == pytest.approx({"x": 1, "z": 0.5})  # a parent that is not read has weight 0


DECIDERS = PlantedTruth(edges=(("w", "x"), ("y", "x")), deciders={"x": ("y", "w")})


@pytest.fixture(scope="module")
def switching(data):
    """The small task set, in which it is known of most texts of x whether y or w decides them."""
    split = data["x"].test
    rng = np.random.default_rng(1)
    texts = [split.batch([row]).tokens[0].tolist() for row in range(len(split))]
    labels = [int(split.batch([row]).labels["x"][0]) for row in range(len(split))]
    labels[3] = -100
    decided = EncodedSplit(
        tasks=["x"], texts=texts, labels={"x": label_arrays(labels)}, decided_by=rng.integers(0, 2, len(split))
    )
    task = Task(name="x", labels=data["x"].task.labels)
    return {**data, "x": EncodedTask(task=task, train=decided, valid=decided, test=decided)}


@pytest.mark.parametrize("arch", ["complete", "cmtr", "adapter-fusion"])
def test_a_model_is_measured_text_by_text(switching, arch):
    model = build(switching, arch)
    found = explain_model(model, switching, **ABOUT, truth=DECIDERS, batch_size=4)
    assert all(set(own) == {"x"} for own in found.text_auroc.values())
    weights, decided_by = [], []
    for (batch, label), who in zip(one_by_one(model, switching, "x"), switching["x"].test.decided_by, strict=True):
        edges = model(batch, edges=True)["x"].edges
        if label != -100:
            read = dict(zip(edges.sources, edges.per_instance()[0].tolist(), strict=True))
            weights.append([read["y"], read["w"]])
            decided_by.append(who)
    assert len(weights) == len(switching["x"].test) - 1
    expected = text_auroc(np.array(weights), np.array(decided_by))
    assert found.text_auroc["attention"]["x"] == pytest.approx(expected)
    assert found.to_json()["text_auroc"] == found.text_auroc


def test_nothing_is_measured_where_nobody_knows_who_decides_or_tasks_are_not_read(switching, data):
    without = replace(DECIDERS, deciders={})
    assert explain_model(build(switching), switching, **ABOUT, truth=without).text_auroc == {}
    assert explain_model(build(switching), switching, **ABOUT).text_auroc == {}
    assert explain_model(build(switching, "star"), switching, **ABOUT, truth=DECIDERS).text_auroc == {}
    assert explain_model(build(data), data, **ABOUT, truth=DECIDERS).text_auroc == {}
    assert set(NAMES) == set(data)
