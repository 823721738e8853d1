import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from graphmtl.models.heads import ClassificationHead, pool, pooled_size

POOLINGS = ["max", "mean", "max-mean"]
poolings = pytest.mark.parametrize("pooling", POOLINGS)


def states(lengths, size=3, tokens=None):
    """Token states (batch, tokens, size), 0 at padding."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(len(lengths), tokens or max(lengths), size, generator=generator, dtype=torch.float64) - 1
    for text, length in zip(x, lengths, strict=True):
        text[length:] = 0
    return x, torch.tensor(lengths)


def naive(text, pooling):
    """One text (tokens, dim), a number at a time."""
    columns = [column.tolist() for column in text.T]
    parts = {"max": [max(column) for column in columns], "mean": [sum(column) / len(column) for column in columns]}
    return [value for part in pooling.split("-") for value in parts[part]]


@poolings
@given(lengths=st.lists(st.integers(1, 6), min_size=1, max_size=4), extra=st.integers(0, 3))
def test_pooling_equals_the_naive_one_and_padding_plays_no_part(pooling, lengths, extra):
    x, sizes = states(lengths, tokens=max(lengths) + extra)
    pooled = pool(x, sizes, pooling)
    expected = [naive(text[:length], pooling) for text, length in zip(x, lengths, strict=True)]
    torch.testing.assert_close(pooled, torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-12)
    assert pooled.size(-1) == pooled_size(3, pooling)


@poolings
def test_the_order_of_the_tokens_plays_no_part(pooling):
    x, lengths = states([5])
    torch.testing.assert_close(pool(x[:, [3, 0, 4, 1, 2]], lengths, pooling), pool(x, lengths, pooling))


@poolings
def test_gradients(pooling):
    x, lengths = states([4, 2])
    assert torch.autograd.gradcheck(lambda x: pool(x, lengths, pooling), x.requires_grad_())
    (gradient,) = torch.autograd.grad(pool(x, lengths, pooling)[:, :3].sum(), x)
    if pooling != "mean":
        assert not gradient[1, 2:].any()  # max never picks padding


def test_the_head_is_a_linear_layer():
    head = ClassificationHead(input_size=4, classes=3, dropout=0.5).eval()
    x = torch.randn(2, 4)
    torch.testing.assert_close(head(x), x @ head.linear.weight.T + head.linear.bias)
    assert head(x).shape == (2, 3)


def test_dropout_stands_before_the_layer_and_only_in_training():
    torch.manual_seed(0)
    head = ClassificationHead(input_size=1000, classes=1, dropout=0.25).train()
    torch.nn.init.ones_(head.linear.weight)
    torch.nn.init.zeros_(head.linear.bias)
    kept = (head(torch.ones(500, 1000)) * 0.75).squeeze(-1)  # how many of 1,000 ones are left
    torch.testing.assert_close(kept, kept.round(), rtol=0, atol=1e-2)
    assert abs(kept.mean() / 1000 - 0.75) < 0.01
    assert head.eval()(torch.ones(1, 1000)).item() == pytest.approx(1000)
