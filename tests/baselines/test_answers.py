"""From probabilities to what is said: as a model's heads say it."""

import numpy as np
import pytest
import torch
from scipy.special import softmax

from graphmtl.baselines.answers import by_example, of_choices, of_classes, of_label_sets, of_numbers, of_tags
from graphmtl.baselines.examples import Examples
from tests.baselines.of_kinds import of_kind


def examples_and_head(kind):
    data = of_kind(kind)[kind]
    head = data.task.of_kind.head(input_size=4, dropout=0.0, tag_head="linear").eval()
    return Examples(data, "test"), head


def losses(head, logits, labels, lengths=None):
    with torch.no_grad():
        return head.losses(torch.tensor(logits), torch.tensor(np.asarray(labels)), lengths).double().numpy()


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("kind", ["text-classification", "ordinal"])
def test_classes(kind, rng):
    examples, head = examples_and_head(kind)
    logits = rng.standard_normal((len(examples), len(examples.task.labels)))
    said = of_classes(softmax(logits, axis=1), examples)
    assert np.array_equal(said.answers, logits.argmax(1))
    log_p = logits if kind == "text-classification" else np.log(softmax(logits, axis=1))
    np.testing.assert_allclose(said.losses, losses(head, log_p, examples.values.astype(np.int64)))


def test_tags(rng):
    examples, head = examples_and_head("token-classification")
    logits = rng.standard_normal((len(examples.values), len(examples.task.labels)))
    said = of_tags(softmax(logits, axis=1), examples)
    assert np.array_equal(said.answers, logits.argmax(1))
    each = losses(head, logits[:, None], examples.values.astype(np.int64)[:, None])  # tokens as texts of one
    np.testing.assert_allclose(said.losses, by_example(each, examples.lengths))


def test_choices(rng):
    examples, head = examples_and_head("multiple-choice")
    scores = rng.standard_normal(2 * len(examples))
    said = of_choices(scores, examples)
    np.testing.assert_allclose(said.losses, losses(head, scores.reshape(-1, 2), examples.values))
    assert np.array_equal(said.answers, scores.reshape(-1, 2).argmax(1))
    np.testing.assert_allclose(said.probabilities.sum(1), 1, rtol=1e-6)


def test_label_sets(rng):
    examples, head = examples_and_head("multi-label")
    logits = rng.standard_normal((len(examples), 2))
    said = of_label_sets(1 / (1 + np.exp(-logits)), examples, threshold=0.5)
    np.testing.assert_allclose(said.losses, losses(head, logits, examples.values.astype(np.int64)), rtol=1e-5)
    assert np.array_equal(said.answers, logits >= 0)
    assert (of_label_sets(np.full((len(examples), 2), 0.3), examples, threshold=0.3).answers == 1).all()


def test_numbers(rng):
    examples, head = examples_and_head("regression")
    head.learn_from(examples.values)
    scores = rng.standard_normal(len(examples))
    said = of_numbers(scores, examples, std=examples.moments()[1])
    z = (scores - head.mean.item()) / head.std.item()
    np.testing.assert_allclose(said.losses, losses(head, z, examples.values.astype(np.float64)), rtol=1e-4)
    np.testing.assert_allclose(said.answers, scores, rtol=1e-6)


def test_a_probability_of_0_has_a_loss():
    examples, _ = examples_and_head("text-classification")
    p = np.zeros((len(examples), 2))
    p[np.arange(len(examples)), 1 - examples.values] = 1
    assert np.isfinite(of_classes(p, examples).losses).all()
