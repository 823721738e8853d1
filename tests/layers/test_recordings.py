"""Recordings against the functions themselves: on a GPU where there is one, else with calls that are made again."""

import copy
import pickle

import pytest
import torch
from torch import nn

from graphmtl.layers import recordings
from graphmtl.layers.recordings import Recordings

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


class CalledAgain:
    """What stands in for a CUDA graph: the call is made again, and what it returns is written where it stood."""

    def __init__(self, call):
        self.call, self.result = call, call()

    def replay(self):
        again = self.call()
        for old, new in zip(*(r if isinstance(r, tuple) else (r,) for r in (self.result, again)), strict=True):
            old.detach().copy_(new)


@pytest.fixture(autouse=True)
def recording(monkeypatch):
    """Everything is recorded from the second call on; gives what was recorded."""
    made = []
    if DEVICE == "cpu":
        monkeypatch.setattr(recordings, "_record", lambda call, _: made.append(call) or CalledAgain(call))
        monkeypatch.setattr(Recordings, "_can_record", lambda *_: True)
    else:
        monkeypatch.setenv("GRAPHMTL_RECORD", "1")
        record = recordings._record
        monkeypatch.setattr(recordings, "_record", lambda call, device: made.append(call) or record(call, device))
    monkeypatch.setattr(recordings, "_BEFORE", 1)
    return made


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second, self.unused = nn.Linear(3, 4), nn.Linear(4, 2), nn.Linear(2, 2)
        self.recordings = Recordings()

    def plain(self, x):
        inner = self.first(x).tanh()
        return self.second(inner), inner.square(), inner.detach()

    def forward(self, x):
        return self.recordings.run("net", self.plain, x, list(self.parameters()))


def inputs(seed, *, rows=5):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, 3, generator=generator).to(DEVICE).requires_grad_()


def gradients(net, outputs, x):
    loss = sum(output.square().sum() for output in outputs if output.requires_grad)
    grads = torch.autograd.grad(loss, [x, *net.parameters()], allow_unused=True, materialize_grads=True)
    return [*(output.detach() for output in outputs), *grads]


def check(net, x, found):
    for one, other in zip(found, gradients(net, net.plain(x), x), strict=True):
        torch.testing.assert_close(one, other)


def test_a_recording_gives_what_the_function_gives(recording):
    net = Net().to(DEVICE)
    for seed in range(4):
        x = inputs(seed)
        check(net, x, gradients(net, net(x), x))
    assert len(recording) == 2  # forward, and backward with it


def test_several_calls_may_come_before_their_gradients(recording):
    net = Net().to(DEVICE)
    net(inputs(9))
    first, second = inputs(0), inputs(1)
    answers = [net(first), net(second)]
    for x, outputs in zip((first, second), answers, strict=True):
        check(net, x, gradients(net, outputs, x))
    assert recording


def test_an_update_of_the_parameters_is_seen():
    net = Net().to(DEVICE)
    x = inputs(0)
    net(x), net(x)
    with torch.no_grad():
        net.first.weight.mul_(2)
    check(net, x, gradients(net, net(x), x))


def test_gradients_accumulate_as_they_do_without():
    net, x = Net().to(DEVICE), inputs(0)
    net(x)
    for _ in range(2):
        (output, *_) = net(x)
        output.sum().backward()
    kept = net.first.weight.grad.clone()
    net.zero_grad()
    for _ in range(2):
        net.plain(x)[0].sum().backward()
    torch.testing.assert_close(kept, net.first.weight.grad)


def test_other_shapes_and_parameters_have_recordings_of_their_own(recording):
    net = Net().to(DEVICE)
    for rows in (5, 5, 7, 7):
        x = inputs(0, rows=rows)
        check(net, x, gradients(net, net(x), x))
    assert len(recording) == 4
    net.first.weight = nn.Parameter(torch.ones_like(net.first.weight))
    for _ in range(2):
        check(net, x, gradients(net, net(x), x))
    assert len(recording) == 6


def test_what_is_frozen_gets_no_gradient():
    net = Net().to(DEVICE)
    net.first.requires_grad_(False)
    for _ in range(2):
        x = inputs(0).detach()
        net(x)[0].sum().backward()
    assert net.first.weight.grad is None
    torch.testing.assert_close(net.second.bias.grad, torch.full_like(net.second.bias, 10))


def test_autocast_is_recorded_with_its_dtype(recording):
    net, x = Net().to(DEVICE), inputs(0)
    for _ in range(3):
        with torch.autocast(DEVICE, torch.bfloat16):
            outputs = net(x)
            expected = net.plain(x)
        assert [output.dtype for output in outputs] == [output.dtype for output in expected]
        for ours, theirs in zip(outputs, expected, strict=True):
            torch.testing.assert_close(ours, theirs)
    net(x)
    assert len(recording) == 2


def test_recordings_are_bounded(recording, monkeypatch):
    monkeypatch.setattr(recordings, "_MOST", 2)
    net = Net().to(DEVICE)
    for rows in (1, 1, 2, 2, 3, 3):
        x = inputs(0, rows=rows)
        check(net, x, gradients(net, net(x), x))
    assert len(recording) == 4


def test_a_recording_that_gives_other_numbers_is_not_used(monkeypatch, caplog):
    monkeypatch.setattr(CalledAgain, "replay", lambda own: [each.zero_() for each in own.result[:1]], raising=True)
    if DEVICE == "cuda":
        monkeypatch.setattr(recordings._Graph, "replay", lambda own: [each.zero_() for each in own.result[:1]])
    net = Net().to(DEVICE)
    for seed in range(3):
        x = inputs(seed)
        check(net, x, gradients(net, net(x), x))
    assert "its numbers are others" in caplog.text


def test_a_recording_that_keeps_its_first_numbers_is_not_used(monkeypatch, caplog):
    graph = CalledAgain if DEVICE == "cpu" else recordings._Graph
    replay = graph.replay
    monkeypatch.setattr(graph, "replay", lambda own: None if isinstance(own.result, tuple) else replay(own))
    net = Net().to(DEVICE)
    for seed in range(3):
        x = inputs(seed)
        check(net, x, gradients(net, net(x), x))
    assert "its numbers are others" in caplog.text


def test_where_a_recording_fails_the_function_does_the_work(monkeypatch, caplog):
    def fails(*_):
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(recordings, "_record", fails)
    net = Net().to(DEVICE)
    for seed in range(3):
        x = inputs(seed)
        check(net, x, gradients(net, net(x), x))
    assert caplog.text.count("not permitted") == 1


def test_without_gradients_nothing_is_recorded(recording):
    net = Net().to(DEVICE)
    with torch.no_grad():
        for _ in range(3):
            net(inputs(0))
    assert not recording


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_a_copy_begins_without_recordings(recording, duplicate):
    net = Net().to(DEVICE)
    net(inputs(0)), net(inputs(0))
    other = duplicate(net)
    other(inputs(0))
    assert len(recording) == 2
