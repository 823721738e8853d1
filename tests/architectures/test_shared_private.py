"""SP-MTL against its equations, one text and one token at a time."""

import pytest
import torch

from graphmtl.layers.pooling import pool
from tests.architectures.reference import plain_lstm
from tests.architectures.small import LENGTHS, assert_equal, both_loops, build, texts

both_archs = pytest.mark.parametrize("arch", ["shared-private", "adversarial"])


def reference(architecture, text, k):
    """The states (T, 2 * D * H) of a text (T, I) of task k: the shared LSTM's, and behind them the task's own."""
    states = []
    for lstm in (architecture.lstm, architecture.lstms[k]):
        states.append(torch.stack(plain_lstm(lstm, 0, text)))
        if architecture.directions == 2:
            states.append(torch.stack(plain_lstm(lstm, 1, text.flip(0))).flip(0))
    return torch.cat(states, -1)


@both_archs
@both_loops
@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("tasks", [[2], [3, 0]])
def test_equals_the_reference(arch, bidirectional, tasks):
    architecture = build(arch, bidirectional=bidirectional)
    x, lengths = texts()
    for task, (states, edges) in zip(tasks, architecture.read(x, lengths, tasks, edges=True), strict=True):
        assert edges is None
        for b, length in enumerate(LENGTHS):
            assert_equal(states[b, :length], reference(architecture, x[b, :length], task))
            assert not states[b, length:].any()


@both_archs
def test_gradients_equal_the_references_and_the_other_tasks_lstms_have_none(arch):
    architecture = build(arch)
    x, lengths = texts()
    weight = torch.randn(len(LENGTHS), max(LENGTHS), 24, dtype=torch.float64)
    slow = sum((reference(architecture, x[b, :n], 1) * weight[b, :n]).sum() for b, n in enumerate(LENGTHS))
    fast = (architecture.read(x, lengths, [1])[0][0] * weight).sum()
    leaves = dict(architecture.named_parameters())
    expected = torch.autograd.grad(slow, list(leaves.values()), materialize_grads=True, allow_unused=True)
    actual = torch.autograd.grad(fast, list(leaves.values()), materialize_grads=True, allow_unused=True)
    for name, ours, theirs in zip(leaves, actual, expected, strict=True):
        assert_equal(ours, theirs)
        assert bool(theirs.any()) == name.startswith(("lstm.", "lstms.1."))


@both_archs
def test_what_each_direction_has_read_last_is_pooled_of_both_halves(arch):
    architecture = build(arch)
    x, lengths = texts()
    ((states, _),) = architecture.read(x, lengths, [0])
    last = pool(states, lengths, "last", architecture.ways)  # (batch, 2 * D * H)
    for b, length in enumerate(LENGTHS):
        ends = [states[b, t, 6 * block : 6 * block + 6] for block, t in enumerate([length - 1, 0] * 2)]
        assert_equal(last[b], torch.cat(ends))
