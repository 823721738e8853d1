"""The loops in Triton against those in PyTorch: on a GPU where there is one, else in Triton's interpreter."""

import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphmtl.layers.interaction import Ablation
from graphmtl.layers.recurrence import autograd, loops_pytorch
from tests.layers.recurrence.test_autograd import architecture_of, states_and_gradients, texts

pytest.importorskip("triton", reason="Triton is not installed")
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


@pytest.fixture(scope="module", autouse=True)
def loops_triton():
    from graphmtl.layers.recurrence import loops_triton as module
    from graphmtl.layers.recurrence import plan

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "_TILE", 64)  # so that short texts take several tiles of nodes
        yield module


def read_by(backend, architecture, x, lengths, read=states_and_gradients):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(autograd, "_backend", lambda *_: backend)
        return [each.cpu() for each in read(architecture.to(DEVICE), x.to(DEVICE), lengths)]


@pytest.mark.parametrize("arch", ["shared", "complete", "star"])
@pytest.mark.parametrize("score", ["additive", "dot", "static"])
@settings(max_examples=2, deadline=None)
@given(
    hidden=st.sampled_from([1, 3, 16, 17, 40]),  # below, at and above a part of a matrix
    directions=st.sampled_from([1, 2]),
    lengths=st.lists(st.integers(1, 5), min_size=1, max_size=3),
)
def test_kernels_equal_the_loops_in_pytorch(loops_triton, arch, score, hidden, directions, lengths):
    architecture = architecture_of(arch, hidden=hidden, score=score, directions=directions)
    ours = read_by(loops_triton, architecture, *texts(lengths))
    theirs = read_by(loops_pytorch, architecture, *texts(lengths))
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-9)


@pytest.mark.parametrize("arch", ["shared", "complete", "star"])
def test_float32_is_close_to_float64(loops_triton, arch):
    exact = read_by(loops_pytorch, architecture_of(arch, hidden=20), *texts([4, 1, 2]))
    rounded = read_by(loops_triton, architecture_of(arch, hidden=20).float(), *texts([4, 1, 2], torch.float32))
    for ours, theirs in zip(rounded, exact, strict=True):
        assert (ours - theirs).norm() <= 1e-4 * theirs.norm().clamp_min(1e-6)


@pytest.mark.parametrize("renormalise", [True, False])
@pytest.mark.parametrize("edges", [{("a", "b")}, {("a", "b"), ("c", "b")}])
def test_cut_edges(loops_triton, edges, renormalise):
    def read(architecture, x, lengths):
        ablation = Ablation(edges=frozenset(edges), renormalise=renormalise)
        ((states, weights),) = architecture.read(x, lengths, [1], edges=True, ablation=ablation)
        return states, weights.weights

    architecture = architecture_of("complete")
    ours = read_by(loops_triton, architecture, *texts([4, 2]), read)
    theirs = read_by(loops_pytorch, architecture, *texts([4, 2]), read)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-9)


@pytest.mark.parametrize("arch", ["complete", "star"])
def test_frozen_nodes_get_no_gradient(loops_triton, arch):
    def read(architecture, x, lengths):
        nodes = architecture.node_states(x, lengths, [0]).detach()
        states, _ = architecture.read(x, lengths, [0], nodes=nodes)[0]
        return torch.autograd.grad(states.square().sum(), list(architecture.lstms[0].parameters()))

    architecture = architecture_of(arch, score="dot")
    ours, theirs = (read_by(backend, architecture, *texts([4, 2]), read) for backend in (loops_triton, loops_pytorch))
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-9)


@pytest.mark.filterwarnings("ignore:overflow encountered in exp")  # numpy, in the interpreter
def test_gates_saturate_where_the_input_is_huge(loops_triton):
    def read(architecture, x, lengths):
        return [architecture.read(x, lengths, [0])[0][0]]

    for value in (1e4, -1e4):
        x = torch.full((2, 3, 5), value)
        (states,) = read_by(loops_triton, architecture_of("star", dtype=torch.float32), x, torch.tensor([3, 2]), read)
        assert states.isfinite().all()


@pytest.fixture
def choosing_anew():
    autograd._triton.cache_clear()
    yield
    autograd._triton.cache_clear()


def elsewhere(dtype=torch.float32):
    return torch.empty(0, dtype=dtype, device="meta")  # not on the CPU


def test_what_is_not_on_the_cpu_is_read_by_the_kernels(loops_triton, monkeypatch, choosing_anew):
    monkeypatch.delenv("GRAPHMTL_NATIVE", raising=False)
    assert autograd._backend(elsewhere(), bool, 512, 64) is loops_triton
    assert autograd._backend(elsewhere(), bool, 513) is loops_pytorch
    assert autograd._backend(elsewhere(), bool, 8, 513) is loops_pytorch
    assert autograd._backend(elsewhere(torch.bfloat16), bool, 8) is loops_pytorch


def test_the_kernels_can_be_turned_off(monkeypatch, choosing_anew):
    monkeypatch.setenv("GRAPHMTL_NATIVE", "0")
    assert autograd._backend(elsewhere(), bool, 8) is loops_pytorch


def test_without_triton_the_loops_in_pytorch_do_the_work(monkeypatch, caplog, choosing_anew):
    monkeypatch.delenv("GRAPHMTL_NATIVE", raising=False)
    monkeypatch.setitem(sys.modules, "graphmtl.layers.recurrence.loops_triton", None)
    monkeypatch.delattr("graphmtl.layers.recurrence.loops_triton")
    assert autograd._backend(elsewhere(), bool, 8) is loops_pytorch
    assert "many times slower" in caplog.text
