"""attend against a loop over its equation, and its derivative by hand against autograd."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphmtl.layers.interaction import EdgeWeights, attend, attend_backward

D, BATCH, SOURCES, H, A = 2, 3, 4, 5, 6
scores = pytest.mark.parametrize("score", ["additive", "dot", "static"])
biases = pytest.mark.parametrize("bias", ["none", "one for all", "mask"])


def inputs(score, bias="one for all", sources=SOURCES, seed=0):
    """query, keys, nodes, u and bias, float64; with the mask one example may read one node only."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    query, keys, nodes, u = draw(D, BATCH, A), draw(D, BATCH, sources, A), draw(D, BATCH, sources, H), draw(D, A)
    values = torch.zeros(1, sources, dtype=torch.float64) if bias == "none" else draw(1, sources)
    if bias == "mask":
        hidden = torch.arange(sources) >= torch.tensor([[sources], [2], [1]])
        values = values.expand(BATCH, sources).masked_fill(hidden, -torch.inf)
    if score == "static":
        query = keys = None
    return query, keys, nodes, u if score == "additive" else None, values


def naive_attend(query, keys, nodes, u, bias):
    """Message and weights by the equation, one direction, example and node at a time; autograd can go through it."""
    messages, weights = [], []
    for d in range(nodes.size(0)):
        for b in range(nodes.size(1)):
            s = []
            for j in range(nodes.size(2)):
                n = bias[b if bias.size(0) > 1 else 0, j]
                if query is None:
                    s.append(n)
                elif u is None:
                    s.append((keys[d, b, j] * query[d, b]).sum() / math.sqrt(query.size(-1)) + n)
                else:
                    s.append((u[d] * torch.tanh(keys[d, b, j] + query[d, b])).sum() + n)
            powers = [torch.exp(each - max(s).detach()) for each in s]
            a = [power / sum(powers) for power in powers]
            weights.append(torch.stack(a))
            messages.append(sum(a[j] * nodes[d, b, j] for j in range(nodes.size(2))))
    return torch.stack(messages).view(*nodes.shape[:2], -1), torch.stack(weights).view(nodes.shape[:3])


def assert_equal(actual, expected):
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-12)


@scores
@biases
def test_attend_equals_the_loop(score, bias):
    arguments = inputs(score, bias)
    for actual, expected in zip(attend(*arguments), naive_attend(*arguments), strict=True):
        assert_equal(actual, expected)


@scores
@biases
def test_attend_backward_equals_autograd(score, bias):
    query, keys, nodes, u, bias = inputs(score, bias)
    leaves = {
        name: value.clone().requires_grad_()
        for name, value in (("query", query), ("keys", keys), ("nodes", nodes), ("u", u), ("bias", bias))
        if value is not None
    }
    message, weights = naive_attend(*(leaves.get(name) for name in ("query", "keys", "nodes", "u", "bias")))
    grad_message = torch.randn(message.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = torch.autograd.grad((message * grad_message).sum(), list(leaves.values()))
    expected = dict(zip(leaves, found, strict=True))

    arguments = (weights.detach(), query, keys, nodes, u)
    grad_scores, grad_query, grad_keys, grad_u = attend_backward(grad_message, *arguments)
    assert_equal(grad_scores.sum(0).sum_to_size(bias.shape), expected["bias"])
    assert_equal(weights.detach().unsqueeze(-1) * grad_message.unsqueeze(-2), expected["nodes"])
    if score == "static":
        assert (grad_query, grad_keys, grad_u) == (None, None, None)
        return
    assert_equal(grad_query, expected["query"])
    if score == "dot":  # the rest is left to the caller
        assert (grad_keys, grad_u) == (None, None)
        assert_equal(grad_scores.unsqueeze(-1) * query.unsqueeze(-2) / math.sqrt(A), expected["keys"])
        return
    assert_equal(grad_keys, expected["keys"])
    assert_equal(grad_u, expected["u"])


@scores
def test_neither_changes_what_it_is_given(score):
    arguments = inputs(score)
    before = [None if each is None else each.clone() for each in arguments]
    message, weights = attend(*arguments)
    grad, kept = torch.ones_like(message), weights.clone()
    attend_backward(grad, weights, *arguments[:4])
    for value, old in zip([*arguments, weights, grad], [*before, kept, torch.ones_like(message)], strict=True):
        assert (value is None and old is None) or torch.equal(value, old)


@scores
@settings(max_examples=20, deadline=None)
@given(sources=st.integers(1, 6), seed=st.integers(0, 1000), shift=st.floats(-50, 50))
def test_the_weights_are_shares_and_only_differences_of_scores_count(score, sources, seed, shift):
    query, keys, nodes, u, bias = inputs(score, sources=sources, seed=seed)
    message, weights = attend(query, keys, nodes, u, bias)
    assert (weights >= 0).all()
    assert_equal(weights.sum(-1), torch.ones(D, BATCH, dtype=torch.float64))
    assert (message <= nodes.amax(2) + 1e-12).all()
    assert (message >= nodes.amin(2) - 1e-12).all()
    torch.testing.assert_close(attend(query, keys, nodes, u, bias + shift)[1], weights, rtol=0, atol=1e-9)


@scores
def test_permuting_the_nodes_permutes_the_weights_and_nothing_else(score):
    query, keys, nodes, u, bias = inputs(score)
    message, weights = attend(query, keys, nodes, u, bias)
    order = [2, 0, 3, 1]
    permuted = attend(query, None if keys is None else keys[:, :, order], nodes[:, :, order], u, bias[:, order])
    assert_equal(permuted[0], message)
    assert_equal(permuted[1], weights[..., order])


@scores
def test_a_hidden_node_plays_no_part(score):
    query, keys, nodes, u, bias = inputs(score, "mask")
    message, weights = attend(query, keys, nodes, u, bias)
    assert not weights[:, 1, 2:].any()
    assert_equal(weights[:, 2, 0], torch.ones(D, dtype=torch.float64))
    other = nodes.clone()
    other[:, 1, 2:] = 1e3
    if keys is not None:
        keys = keys.clone()
        keys[:, 1, 2:] = 1e3
    assert_equal(attend(query, keys, other, u, bias)[0][:, 1], message[:, 1])
    grad_scores = attend_backward(torch.ones_like(message), weights, query, keys, other, u)[0]
    assert not grad_scores[:, 1, 2:].any()


def test_the_static_score_ignores_the_nodes():
    _, _, nodes, _, bias = inputs("static")
    _, weights = attend(None, None, nodes, None, bias)
    assert_equal(weights, bias.softmax(-1).expand(D, BATCH, SOURCES))


@scores
def test_no_node_no_message(score):
    message, weights = attend(*inputs(score, sources=0))
    assert weights.shape == (D, BATCH, 0)
    assert_equal(message, torch.zeros(D, BATCH, H, dtype=torch.float64))


def test_edge_weights_per_instance_are_means_over_the_tokens_of_each_text():
    weights = torch.tensor([[[1.0, 3.0], [3.0, 5.0], [5.0, 7.0]], [[2.0, 4.0], [0.0, 0.0], [0.0, 0.0]]])
    edges = EdgeWeights(target="a", sources=("b", "c"), weights=weights, lengths=torch.tensor([3, 1]))
    assert edges.per_instance().tolist() == [[3, 5], [2, 4]]
