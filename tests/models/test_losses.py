import math

import pytest
import torch
from torch.nn import functional as F

from graphmtl.models.heads import RegressionHead
from graphmtl.models.losses import task_loss
from graphmtl.models.predictions import ModelOutput


def make_batch(size: int = 6, fillers: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Logits (size, 3), labels and weights (size,)."""
    generator = torch.Generator().manual_seed(size)
    logits = torch.randn(size, 3, generator=generator, dtype=torch.float64)
    weights = torch.ones(size)
    weights[size - fillers :] = 0
    labels = torch.randint(3, (size,), generator=generator)
    return logits.requires_grad_(), labels, weights


def loss_of(logits, labels, weights, **options):
    return task_loss(ModelOutput(logits), labels, weights, **options)


def test_loss_is_the_mean_negative_log_likelihood():
    logits, *batch = make_batch()
    expected = -torch.stack([logits[i].log_softmax(0)[y] for i, y in enumerate(batch[0])]).mean()
    torch.testing.assert_close(loss_of(logits, *batch), expected)


def test_label_smoothing_spreads_the_target():
    logits, *batch = make_batch()
    target = 0.7 * F.one_hot(batch[0], 3) + 0.3 / 3
    expected = -(target * logits.log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(loss_of(logits, *batch, label_smoothing=0.3), expected)


def test_scores_that_are_missing_count_for_nothing():
    head = RegressionHead(input_size=2, scale=None, dropout=0.0)
    head.standardise(torch.tensor([1.0, 5.0]))  # mean 3, deviation 2
    logits, labels = torch.tensor([0.0, 9.0, 1.0]), torch.tensor([5.0, math.nan, 3.0])
    output = ModelOutput(logits, losses=head.losses(logits, labels, torch.ones(3)))
    assert task_loss(output, labels, torch.ones(3)).item() == pytest.approx((1 + 1) / 2)
    assert task_loss(output, labels, torch.tensor([1.0, 1.0, 0.0])).item() == pytest.approx(1)


def test_fillers_count_for_nothing():
    logits, *batch = make_batch(6, fillers=2)
    loss = loss_of(logits, *batch)
    torch.testing.assert_close(loss, loss_of(logits[:4], *(values[:4] for values in batch)))
    loss.backward()
    assert torch.all(logits.grad[4:] == 0)
    assert torch.all(logits.grad[:4] != 0)


def test_the_mean_over_processes_is_the_loss_of_the_whole_batch():
    logits, *batch = make_batch(5)
    loss_of(logits, *batch).backward()
    whole, logits.grad = logits.grad, None
    shares = [slice(0, 5, 2), slice(1, 5, 2)]  # 3 and 2 examples
    losses = [loss_of(logits[rows], *(values[rows] for values in batch), total=5 / 2) for rows in shares]
    mean = torch.stack(losses).mean()
    mean.backward()
    torch.testing.assert_close(mean, loss_of(logits, *batch))
    torch.testing.assert_close(logits.grad, whole)


def test_half_precision_logits_are_summed_in_single():
    logits, *batch = make_batch()
    loss = loss_of(logits.detach().bfloat16(), *batch)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, loss_of(logits.detach().bfloat16().float(), *batch))
