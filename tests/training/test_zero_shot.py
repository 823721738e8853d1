from dataclasses import replace

import numpy as np
import pytest
import torch
from accelerate import Accelerator

from graphmtl.data.kind import NO_LABEL
from graphmtl.training.zero_shot import answering_tasks, task_weights, zero_shot
from tests.models.test_new_tasks import LONGER, PLAIN, POS, SCALE, make
from tests.tagging import tagging_tasks


def test_tasks_with_the_same_labels_answer():
    model = make(PLAIN, POS, SCALE)
    assert answering_tasks(model, LONGER) == ["plain"]
    assert answering_tasks(model, POS) == []


def test_weights_tell_whose_texts_a_text_looks_like():
    tasks = tagging_tasks("plain", "mood", missing=0.1)
    other = tasks["mood"].train.map(lambda row: {"tokens": ["quite", "another", "domain", *row["tokens"]]})
    tasks["mood"].train = other
    weights = task_weights(tasks, tasks["plain"].test)
    assert weights.shape == (len(tasks["plain"].test), 2)
    np.testing.assert_allclose(weights.sum(1), 1)
    assert (weights[:, 0] > 0.5).all()
    assert (task_weights({"plain": tasks["plain"]}, tasks["plain"].test) == 1).all()


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_the_mixture_of_the_old_tasks_probabilities(share):
    model = make(PLAIN, LONGER, chars="none")
    target = tagging_tasks("plain")["plain"]
    weights = np.tile([share, 1 - share], (len(target.test), 1))
    about = {"model": model, "names": ["plain", "longer"], "target": target, "accelerator": Accelerator(cpu=True)}
    found = zero_shot(**about, weights=weights)
    answers = model.predict(target.test["text"], ["plain", "longer"])
    own = torch.tensor([list(answer["probabilities"].values()) for answer in answers]).view(-1, 2, 2)
    expected = share * own[:, 0] + (1 - share) * own[:, 1]
    np.testing.assert_allclose(found.probabilities, expected, atol=1e-5, rtol=1e-4)
    assert found.labels.tolist() == target.test["label"]


def test_tasks_with_the_same_labels_in_another_order_answer_too():
    turned = replace(LONGER, labels=LONGER.labels[::-1])
    model, target = make(PLAIN, turned, chars="none"), tagging_tasks("plain")["plain"]
    assert answering_tasks(model, PLAIN) == ["plain", "longer"]
    assert answering_tasks(model, replace(PLAIN, kind="ordinal")) == []
    ordinal = make(replace(PLAIN, kind="ordinal"), chars="none")
    assert answering_tasks(ordinal, replace(turned, kind="ordinal")) == []
    weights = np.ones((len(target.test), 1))
    about = {"model": model, "target": target, "accelerator": Accelerator(cpu=True), "weights": weights}
    found = zero_shot(**about, names=["longer"])
    answers = [answer["probabilities"] for answer in model.predict(target.test["text"], "longer")]
    expected = np.array([[own[label] for label in PLAIN.labels] for own in answers])
    np.testing.assert_allclose(found.probabilities, expected, atol=1e-5, rtol=1e-4)
    right = expected[np.arange(len(expected)), target.test["label"]]
    np.testing.assert_allclose(found.losses, -np.log(right), atol=1e-4)


def test_texts_without_a_label_are_left_out():
    model = make(PLAIN, LONGER, chars="none")
    whole = tagging_tasks("plain")["plain"]
    gaps = lambda row, i: {"label": NO_LABEL if i % 3 == 0 else row["label"]}  # noqa: E731
    target = replace(whole, test=whole.test.map(gaps, with_indices=True))
    labels = np.asarray(target.test["label"])
    weights = np.random.default_rng(0).dirichlet([1, 1], len(labels))
    about = {"model": model, "names": ["plain", "longer"], "accelerator": Accelerator(cpu=True)}
    found = zero_shot(**about, target=target, weights=weights)
    every = zero_shot(**about, target=whole, weights=weights)
    np.testing.assert_allclose(found.probabilities, every.probabilities[labels != NO_LABEL])
    assert found.labels.tolist() == labels[labels != NO_LABEL].tolist()
