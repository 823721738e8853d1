"""The loops in PyTorch against torch's own LSTM, and their derivatives against autograd's."""

import pytest
import torch

from graphmtl.layers.packing import Graph, Packing, Weights
from graphmtl.layers.recurrence import loops_pytorch

D, K, I, H, A, S = 2, 3, 4, 5, 3, 2
LENGTHS = (4, 1, 3)


def random(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=torch.float64)


@pytest.fixture
def packing():
    return Packing(torch.tensor(LENGTHS), max(LENGTHS))


def test_plain_lstms_are_those_of_torch(packing):
    x, W, b, U = random(D, sum(LENGTHS), I), random(D, K, I, 4 * H), random(D, K, 4 * H), random(D, K, H, 4 * H)
    states, _, _ = loops_pytorch.plain_forward(x, W, b, U, packing, keep=False)
    for d in range(D):
        for k in range(K):
            lstm = torch.nn.LSTM(I, H, batch_first=True).double()
            weights = (W[d, k].T, U[d, k].T, b[d, k], torch.zeros(4 * H, dtype=torch.float64))
            for parameter, value in zip(lstm.parameters(), weights, strict=True):
                parameter.data.copy_(value)
            for text, own in zip(packing.by_text(x[d : d + 1]), packing.by_text(states[d : d + 1, :, k]), strict=True):
                torch.testing.assert_close(own, lstm(text)[0], rtol=0, atol=1e-12)


def test_the_way_back_of_plain_lstms(packing):
    given = (random(D, sum(LENGTHS), I), random(D, K, I, 4 * H), random(D, K, 4 * H), random(D, K, H, 4 * H))
    leaves = [each.requires_grad_() for each in given]
    states, gates, cells = loops_pytorch.plain_forward(*(each.detach() for each in leaves), packing, keep=True)
    upstream = random(*states.shape)
    x, W, b, U = leaves
    expected = []
    for d in range(D):
        for k in range(K):
            for n, text in zip(LENGTHS, packing.by_text(x[d : d + 1]), strict=True):
                h = c = x.new_zeros(H)
                for t in range(n):
                    i, f, g, o = (text[0, t] @ W[d, k] + h @ U[d, k] + b[d, k]).chunk(4)
                    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
                    h = o.sigmoid() * c.tanh()
                    expected.append((d, k, h))
    order = [(d, k) for d, k, _ in expected]
    slow = torch.stack([h for *_, h in expected])  # (D * K * N, H)
    fast = torch.cat([upstream[d, :, k] for d, k in dict.fromkeys(order)])  # (D * K * N, H)
    theirs = torch.autograd.grad((slow * fast).sum(), leaves)
    ours = loops_pytorch.plain_backward(
        x.detach(), W.detach(), U.detach(), states, gates, cells, upstream, packing, of_x=True
    )
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-10)


def test_a_text_of_one_token_has_no_memory(packing):
    x, W, b, U = random(D, sum(LENGTHS), I), random(D, K, I, 4 * H), random(D, K, 4 * H), random(D, K, H, 4 * H)
    states, _, _ = loops_pytorch.plain_forward(x, W, b, U, packing, keep=False)
    others, _, _ = loops_pytorch.plain_forward(x, W, b, -U, packing, keep=False)
    assert torch.equal(packing.by_text(states)[1], packing.by_text(others)[1])
    assert not torch.equal(packing.by_text(states)[0], packing.by_text(others)[0])


def test_without_sources_the_message_lstm_is_a_plain_one(packing):
    x, W, b, U = random(D, sum(LENGTHS), I), random(D, 1, I, 4 * H), random(D, 1, 4 * H), random(D, 1, H, 4 * H)
    nodes = x.new_empty(D, sum(LENGTHS), 0, H)
    weights = Weights(W[:, 0], b[:, 0], U[:, 0], random(D, H, H), random(D, H, 2 * H))
    trace = loops_pytorch.message_forward(x, weights, Graph(nodes, None, None, None), packing)
    states, _, _ = loops_pytorch.plain_forward(x, W, b, U, packing, keep=False)
    torch.testing.assert_close(trace.states, states.squeeze(2), rtol=0, atol=1e-12)
    assert not trace.shares.any()
