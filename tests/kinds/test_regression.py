import math

import pytest
import torch

from graphmtl.kinds.regression import RegressionHead
from graphmtl.models.predictions import ModelOutput


def regression(scale=None, **buffers):
    head = RegressionHead(input_size=4, scale=scale, dropout=0.0).double()
    head.learn_from(torch.tensor([1.0, 3.0, math.nan, 5.0], dtype=torch.float64))
    return head


def test_a_regression_standardises_its_labels():
    head = regression()
    assert head.mean.item() == 3
    assert head.std.item() == pytest.approx(math.sqrt(8 / 3))
    pooled = torch.randn(5, 4, dtype=torch.float64)
    logits = head(pooled)
    assert logits.shape == (5,)
    torch.testing.assert_close(
        head.answers(logits, None), 3 + head.std * (pooled @ head.linear.weight[0] + head.linear.bias)
    )
    labels = torch.tensor([1.0, 2.0, math.nan, 4.0, 5.0], dtype=torch.float64)
    losses = head.losses(logits, labels, torch.ones(5))
    expected = [
        0 if math.isnan(y) else ((head.answers(z, None) - y) / head.std).item() ** 2
        for z, y in zip(logits, labels, strict=True)
    ]
    assert losses.tolist() == pytest.approx(expected, abs=1e-12)
    losses.sum().backward()
    assert head.linear.weight.grad.isfinite().all()


def test_scores_that_are_all_equal_can_be_learned():
    head = regression()
    head.learn_from(torch.tensor([2.0, 2.0, float("nan")]))
    losses = head.losses(torch.tensor([0.5, 0.0]), torch.tensor([2.0, 3.0]), torch.ones(2))
    assert losses.tolist() == [0.25, 1.0]


def test_no_score_outside_the_scale():
    logits = torch.tensor([-100.0, 0.0, 100.0], dtype=torch.float64)
    assert regression((0.0, 4.0)).answers(logits, None).tolist() == [0, 3, 4]
    assert regression().answers(logits, None)[2] > 100


def test_a_common_head_is_added_to_a_regression():
    head, common = regression(), torch.nn.Linear(4, 1).double()
    head.reset_to_zero()
    pooled = torch.randn(5, 4, dtype=torch.float64)
    torch.testing.assert_close(head(pooled, common), common(pooled)[:, 0])


def test_scores_that_are_missing_count_for_nothing():
    head = RegressionHead(input_size=2, scale=None, dropout=0.0)
    head.learn_from(torch.tensor([1.0, 5.0]))  # mean 3, deviation 2
    logits, labels = torch.tensor([0.0, 9.0, 1.0]), torch.tensor([5.0, math.nan, 3.0])
    output = ModelOutput(logits, losses=head.losses(logits, labels, torch.ones(3)), counts=head.counts(labels))
    output.weights = torch.ones(3)
    assert output.loss().item() == pytest.approx((1 + 1) / 2)
    output.weights = torch.tensor([1.0, 1.0, 0.0])
    assert output.loss().item() == pytest.approx(1)
