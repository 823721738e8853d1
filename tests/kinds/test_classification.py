import pytest
import torch
from torch.nn import functional as F

from graphmtl.kinds.classification import ClassificationHead
from graphmtl.models.predictions import ModelOutput


def make_batch(size: int = 6, fillers: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Logits (size, 3), labels and weights (size,)."""
    generator = torch.Generator().manual_seed(size)
    logits = torch.randn(size, 3, generator=generator, dtype=torch.float64)
    weights = torch.ones(size)
    weights[size - fillers :] = 0
    labels = torch.randint(3, (size,), generator=generator)
    return logits.requires_grad_(), labels, weights


def head(classes: int = 3) -> ClassificationHead:
    return ClassificationHead(input_size=2, classes=classes, dropout=0.0)


def loss_of(logits, labels, weights, total=None, **options):
    made = head()
    losses = made.losses(logits, labels, torch.ones(len(labels)), **options)
    return ModelOutput(logits, losses=losses, counts=made.counts(labels), weights=weights).loss(total)


def test_loss_is_the_mean_negative_log_likelihood():
    logits, *batch = make_batch()
    expected = -torch.stack([logits[i].log_softmax(0)[y] for i, y in enumerate(batch[0])]).mean()
    torch.testing.assert_close(loss_of(logits, *batch), expected)


def test_label_smoothing_spreads_the_target():
    logits, *batch = make_batch()
    target = 0.7 * F.one_hot(batch[0], 3) + 0.3 / 3
    expected = -(target * logits.log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(loss_of(logits, *batch, label_smoothing=0.3), expected)


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


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_an_example_counts_as_its_class_weighs_in_training_alone(smoothing):
    logits, labels, _ = make_batch()
    made, class_weights = head(), torch.tensor([1.0, 5.0, 0.5], dtype=torch.float64)
    plain = made.losses(logits, labels, torch.ones(6))
    made.weigh(class_weights)
    if not smoothing:
        torch.testing.assert_close(made.losses(logits, labels, torch.ones(6)), class_weights[labels] * plain)
    target = (1 - smoothing) * F.one_hot(labels, 3) + smoothing / 3
    expected = -(target * class_weights * logits.log_softmax(1)).sum(1)
    torch.testing.assert_close(made.losses(logits, labels, torch.ones(6), label_smoothing=smoothing), expected)
    torch.testing.assert_close(made.eval().losses(logits, labels, torch.ones(6)), plain)
    assert "class_weights" not in made.state_dict()
