"""The compiled loops against the loops in PyTorch, and what becomes of a machine without a compiler or OpenMP."""

import ctypes
import shlex
import shutil
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphmtl.layers.recurrence import loops_cpp
from tests.layers.recurrence.test_autograd import architecture_of, needs_compiler, states_and_gradients, texts

LIBRARY = loops_cpp.load()


@needs_compiler
@settings(max_examples=15, deadline=None)
@given(
    arch=st.sampled_from(["shared", "complete", "star"]),
    score=st.sampled_from(["additive", "dot", "static"]),
    hidden=st.sampled_from([1, 3, 8, 17, 40]),  # below, at and above the width of a register, and not a multiple of it
    directions=st.sampled_from([1, 2]),
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=15),
    threads=st.sampled_from([1, 2, 5]),
)
def test_compiled_loops_equal_those_in_pytorch(arch, score, hidden, directions, lengths, threads):
    architecture = architecture_of(arch, hidden=hidden, score=score, directions=directions)
    before = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        torch.set_num_threads(threads)
        try:
            compiled = states_and_gradients(architecture, *texts(lengths))
        finally:
            torch.set_num_threads(before)
        patch.setattr(loops_cpp, "load", lambda: None)
        plain = states_and_gradients(architecture, *texts(lengths))
    for ours, theirs in zip(compiled, plain, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-9)


@needs_compiler
@pytest.mark.parametrize("arch", ["shared", "complete", "star"])
@pytest.mark.parametrize("score", ["additive", "dot"])
def test_compiled_float32_is_close_to_float64(arch, score):
    lengths = [30, 7, 1, 19]
    exact = states_and_gradients(architecture_of(arch, hidden=20, score=score), *texts(lengths))
    rounded = states_and_gradients(
        architecture_of(arch, hidden=20, score=score).float(), *texts(lengths, torch.float32)
    )
    for ours, theirs in zip(rounded, exact, strict=True):
        assert (ours - theirs).norm() <= 1e-4 * theirs.norm().clamp_min(1e-6)


@needs_compiler
@pytest.mark.parametrize("value", [1e4, -1e4])
def test_compiled_gates_saturate_where_the_input_is_huge(value):
    architecture = architecture_of("star", dtype=torch.float32)
    states, _ = architecture.read(torch.full((2, 3, 5), value), torch.tensor([3, 2]), [0])[0]
    assert states.isfinite().all()


@needs_compiler
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("scale", [30, 1e4])
def test_compiled_scores_saturate_where_keys_and_queries_are_large(dtype, scale):
    """The exponentials of keys and queries, which are multiplied with each other, leave the range of the dtype."""
    architecture = architecture_of("star", dtype=dtype)
    with torch.no_grad():
        for lstm in architecture.lstms:
            lstm.W_n *= scale
            lstm.W_q *= scale
    given = texts([9, 4, 1], dtype)
    compiled = states_and_gradients(architecture, *given)
    assert all(own.isfinite().all() for own in compiled)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loops_cpp, "load", lambda: None)
        plain = states_and_gradients(architecture, *given)
    for ours, theirs in zip(compiled, plain, strict=True):
        if dtype == torch.float64 and scale == 30:
            torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


@needs_compiler
def test_compiled_loops_do_not_hide_a_nan():
    x, lengths = texts([4, 2], torch.float32)
    x[0, 1, 0] = torch.nan
    for arch in ("shared", "complete", "star"):
        states = architecture_of(arch, dtype=torch.float32)(x, 0, lengths)
        assert states[0].isnan().any()
        assert not states[1].isnan().any()


@pytest.fixture
def loading_anew():
    loops_cpp.load.cache_clear()
    yield
    loops_cpp.load.cache_clear()


def assert_the_loops_in_pytorch_do_the_work():
    assert loops_cpp.load() is None
    states, _ = architecture_of("star").read(*texts([3, 1]), [0])[0]
    assert states.isfinite().all()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("CXX", "no-such-compiler", id="no compiler"),
        pytest.param("TORCH_EXTENSIONS_DIR", __file__, id="no folder"),
    ],
)
def test_where_nothing_can_be_compiled_the_loops_in_pytorch_do_the_work(
    monkeypatch, caplog, tmp_path, loading_anew, name, value
):
    monkeypatch.delenv("GRAPHMTL_NATIVE", raising=False)
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path))
    monkeypatch.setenv(name, value)
    assert_the_loops_in_pytorch_do_the_work()
    assert "several times slower" in caplog.text
    assert value in caplog.text


def test_the_compiled_loops_can_be_turned_off(monkeypatch, loading_anew):
    monkeypatch.setenv("GRAPHMTL_NATIVE", "0")
    assert_the_loops_in_pytorch_do_the_work()


# a compiler without OpenMP, which is quick here
WITHOUT_OPENMP = 'for each; do [ "$each" = -fopenmp ] && exit 1; done; exec c++ "$@" -O0'


@needs_compiler
@pytest.mark.skipif(sys.platform != "linux", reason="OpenMP is not asked for")
def test_without_openmp_the_loops_are_compiled_for_one_thread(monkeypatch, tmp_path, capsys, loading_anew):
    architecture, given = architecture_of("star"), texts([4, 1])
    expected = states_and_gradients(architecture, *given)
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path))
    monkeypatch.setenv("CXX", shlex.join(["sh", "-c", WITHOUT_OPENMP, "c++"]))
    loops_cpp.load.cache_clear()
    found = states_and_gradients(architecture, *given)
    assert Path(loops_cpp.load()._name).parent == tmp_path
    assert "without -fopenmp, which" in capsys.readouterr().err
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-9)


@pytest.fixture
def brought(monkeypatch, tmp_path, loading_anew):
    """A folder in which a wheel's libraries would lie, on a machine without a compiler."""
    monkeypatch.delenv("GRAPHMTL_NATIVE", raising=False)
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("CXX", "no-such-compiler")
    monkeypatch.setattr(loops_cpp, "_HERE", tmp_path)
    for name in loops_cpp.SOURCES:
        (tmp_path / name).touch()
    return tmp_path


@needs_compiler
@pytest.mark.parametrize(("cpu", "kind"), [("AVX2", "avx2"), ("AVX512", "avx512"), ("DEFAULT", "default")])
def test_what_a_wheel_has_brought_for_this_cpu_is_used(brought, monkeypatch, cpu, kind):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: cpu)
    monkeypatch.setattr(loops_cpp, "VECTORS", {"AVX2": [], "AVX512": []})
    shutil.copy(LIBRARY._name, brought / f"recurrence_{kind}.so")
    assert loops_cpp.load()._name == str(brought / f"recurrence_{kind}.so")
    assert isinstance(loops_cpp.load().plain_forward_f32, ctypes._CFuncPtr)


def test_what_a_wheel_has_brought_and_cannot_be_loaded_is_compiled(brought, caplog):
    for kind in ("avx2", "avx512", "default"):
        (brought / f"recurrence_{kind}.so").write_bytes(b"of another machine")
    assert loops_cpp.load() is None
    assert "no-such-compiler" in caplog.text
