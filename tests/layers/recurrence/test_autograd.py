"""What the recurrences promise, whichever loops do the work."""

import pytest
import torch

from graphmtl.layers.recurrence import loops_cpp, loops_pytorch
from tests.parts import build_architecture

needs_compiler = pytest.mark.skipif(loops_cpp.load() is None, reason="no C++ compiler")


def architecture_of(arch, *, hidden=6, score="additive", directions=2, dtype=torch.float64):
    torch.manual_seed(0)
    sizes = {"hidden": hidden, "attention": 5, "score": score, "bidirectional": directions == 2}
    return build_architecture(arch, tasks=["a", "b", "c"], input_size=5, **sizes).to(dtype)


def texts(lengths, dtype=torch.float64):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(len(lengths), max(lengths), 5, generator=generator, dtype=torch.float64)
    return x.to(dtype), torch.tensor(lengths)


def states_and_gradients(architecture, x, lengths):
    x = x.clone().requires_grad_()
    states, edges = architecture.read(x, lengths, [1], edges=True)[0]
    weight = torch.randn(states.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64).to(x)
    leaves = [x, *architecture.parameters()]
    grads = torch.autograd.grad((states * weight).sum(), leaves, materialize_grads=True, allow_unused=True)
    return [states.detach(), *([] if edges is None else [edges.weights]), *grads]


@needs_compiler
@pytest.mark.parametrize("arch", ["complete", "star"])
@pytest.mark.parametrize("score", ["additive", "dot"])
def test_allocations_do_not_grow_with_the_tokens(arch, score):
    architecture = architecture_of(arch, score=score, dtype=torch.float32)

    def allocations(tokens):
        x = torch.randn(4, tokens, 5, requires_grad=True)
        activities = [torch.profiler.ProfilerActivity.CPU]
        with torch.profiler.profile(activities=activities, profile_memory=True) as profile:
            architecture.read(x, torch.full((4,), tokens), [0])[0][0].sum().backward()
        return sum(event.name == "[memory]" for event in profile.events())

    allocations(10)
    assert allocations(20) == allocations(80)


@pytest.mark.parametrize("arch", ["complete", "star"])
@pytest.mark.parametrize("score", ["additive", "dot", "static"])
def test_frozen_nodes_change_no_other_gradient(arch, score):
    architecture = architecture_of(arch, score=score)
    x, lengths = texts([4, 2])
    gradients = []
    for frozen in (False, True):
        nodes = architecture.node_states(x, lengths, [0])
        states, _ = architecture.read(x, lengths, [0], nodes=nodes.detach() if frozen else nodes)[0]
        lstm = architecture.lstms[0]
        gradients.append(torch.autograd.grad(states.square().sum(), list(lstm.parameters())))
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("way_back", [True, False])
def test_what_only_the_way_back_needs_is_kept_for_it_alone(monkeypatch, way_back):
    kept, read = [], loops_pytorch.plain_forward
    monkeypatch.setattr(loops_cpp, "load", lambda: None)
    monkeypatch.setattr(
        loops_pytorch, "plain_forward", lambda *given, keep: kept.append(keep) or read(*given, keep=keep)
    )
    with torch.set_grad_enabled(way_back):
        architecture_of("shared").read(*texts([3, 1]), [0])
    assert {*kept} == {way_back}


@needs_compiler
@pytest.mark.parametrize("arch", ["shared", "complete", "star"])
def test_states_are_the_same_with_and_without_a_way_back(arch):
    architecture, given = architecture_of(arch, hidden=17), texts([9, 1, 4])
    states = architecture.read(*given, [0])[0][0]
    with torch.no_grad():
        assert torch.equal(architecture.read(*given, [0])[0][0], states)
