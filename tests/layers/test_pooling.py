import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from graphmtl.layers.pooling import AttentionPooling, pool, pooled_size

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


def test_last_is_where_each_direction_ends():
    x, lengths = states([2, 4, 1], size=4)
    forward, backward = x[range(3), lengths - 1], x[:, 0]
    assert torch.equal(pool(x, lengths, "last"), forward)
    assert torch.equal(pool(x, lengths, "last", (0, 1)), torch.cat([forward[:, :2], backward[:, 2:]], -1))
    mixed = pool(x, lengths, "last", (0, 1, 0, 1))
    assert torch.equal(mixed, torch.stack([forward[:, 0], backward[:, 1], forward[:, 2], backward[:, 3]], -1))


def test_attention_pooling_begins_as_the_mean_and_ignores_padding():
    x, lengths = states([2, 5, 1])
    pooling = AttentionPooling(size=3).double()
    torch.testing.assert_close(pooling(x, lengths), pool(x, lengths, "mean"))
    torch.nn.init.normal_(pooling.query)
    weights = (x[0, :2] @ pooling.query).softmax(0)
    torch.testing.assert_close(pooling(x, lengths)[0], weights @ x[0, :2])
    padded = torch.cat([x, torch.full((3, 2, 3), 7.0)], 1)
    torch.testing.assert_close(pooling(padded, lengths), pooling(x, lengths))
