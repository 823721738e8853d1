import itertools
import json
from functools import partial

import pytest
import torch

from benchmarks import measuring, overhead, speed
from benchmarks.contenders import (
    Contender,
    GeometricComplete,
    Setting,
    Shape,
    make_architecture,
    make_step,
    product_operations,
)
from benchmarks.training_steps import PARTS, training_speed
from graphmtl.cli import run_verb
from graphmtl.layers.recurrence import loops_cpp
from graphmtl.options import make_options
from graphmtl.registry import ARCHITECTURES
from graphmtl.training.run_data import load_run_tasks
from tests import tiny

TINY = Shape(tasks=3, batch=2, tokens=4, input=5, hidden=6, attention=7)
SIZES = [f"--{name}={getattr(TINY, name)}" for name in speed._SIZES]
ONE_THREAD = Setting(threads=1)
KEYS = {"name", "score", "mode", "against", "ratio", "ms", "peak_mib", "shape", "device", "dtype"}


@pytest.fixture(autouse=True)
def _settings():
    """Leaves the process as it was."""
    threads, precision, tf32 = (
        torch.get_num_threads(),
        torch.get_float32_matmul_precision(),
        torch.backends.cudnn.allow_tf32,
    )
    yield
    torch.set_num_threads(threads)
    torch.set_float32_matmul_precision(precision)
    torch.backends.cudnn.allow_tf32 = tf32


@pytest.fixture
def small_machine(monkeypatch):
    """No large products, and no process per row."""
    monkeypatch.setattr(speed, "machine_limits", lambda setting: measuring.machine_limits(setting, size=8, repeats=1))
    alone = measuring.Measurement(ms=1.0, peak_mib=1.0)
    monkeypatch.setattr(speed, "measure_alone", lambda *_: alone)


def run(*arguments):
    speed.main(["--threads=1", "--repeats=2", *SIZES, *arguments])


def test_json_is_an_object_a_line(small_machine, capsys):
    run("--quick", "--json")
    output = capsys.readouterr()
    rows = [json.loads(line) for line in output.out.splitlines()]
    assert all(set(row) == KEYS for row in rows)
    assert {row["against"] for row in rows} == {"lstm", "loop"}
    assert {row["mode"] for row in rows} == {"train", "inference"}
    assert all(row["ratio"] > 0 and row["ms"] > 0 for row in rows)
    assert all(row["ratio"] == 1 for row in rows if row["name"].startswith("nn.LSTM"))
    assert {row["shape"]["tokens"] for row in rows} == {4, 32}
    assert {row["shape"]["tasks"] for row in rows} == {3, 24}
    assert "GFLOP/s" in output.err


def test_every_architecture_has_a_row(small_machine, capsys, tmp_path):
    run("--results", str(tmp_path / "results" / "speed.md"))
    printed = capsys.readouterr().out
    for name in [*ARCHITECTURES, "nn.LSTM x 3", "torch_geometric, complete", "plain loop, star"]:
        assert f"| {name} " in printed
    written = (tmp_path / "results" / "speed.md").read_text()
    assert written == printed.removesuffix("\n")
    assert written.startswith("Command: `python benchmarks/speed.py --threads=1 ")
    assert f"torch {torch.__version__}" in written


def test_columns_are_aligned():
    lines = speed.markdown_table(["a", "b", "c", "d"], [["long name", "", "", "1"], ["x", "", "", "1,000"]])
    assert len({len(line) for line in lines}) == 1


@pytest.mark.parametrize("axis", list(speed.SWEEPS))
def test_sweep_changes_one_size(axis):
    shapes = {contender.shape for section in speed.sweep_sections(axis, TINY, 1) for contender, _ in section.steps}
    full = {shape for shape in shapes if shape.in_degree is None}
    assert {getattr(shape, axis) for shape in full} == set(speed.SWEEPS[axis])
    assert len(full) == len(speed.SWEEPS[axis])


def test_sweep_runs(small_machine, capsys, monkeypatch):
    monkeypatch.setattr(speed, "SWEEPS", {"tokens": (1, 3)})
    monkeypatch.setattr(speed, "reference_section", lambda *_: speed.Section(title="none", steps=(), repeats=1))
    run("--sweep", "tokens")
    assert "## tokens = 3" in capsys.readouterr().out


def test_torch_geometric_equals_complete():
    architecture = make_architecture("complete", "additive", TINY)
    for parameter in architecture.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    x = torch.randn(TINY.batch, TINY.tokens, TINY.input)
    expected, _ = architecture.read(x, torch.full((TINY.batch,), TINY.tokens), [0])[0]
    torch.testing.assert_close(GeometricComplete(architecture)(x)[0], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", list(ARCHITECTURES))
@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_steps_leave_no_gradient(name, precision):
    for mode in ("train", "inference"):
        make_step(Contender(name=name, shape=TINY), mode, Setting(precision=precision, threads=1))()


def test_in_degree():
    shape = Shape(tasks=5, batch=2, tokens=4, input=5, hidden=6, attention=7, in_degree=2)
    architecture = make_architecture("complete", "additive", shape)
    _, edges = architecture.read(torch.randn(2, 4, 5), torch.tensor([4, 4]), [1], edges=True)[0]
    assert set(edges.sources) == {"task2", "task3"}


def test_limits():
    limits = {name: Contender(name=name, shape=TINY).limit.passes for name in ARCHITECTURES}
    of_two = dict.fromkeys(("star", "shared-private", "adversarial"), 2)
    assert limits == dict.fromkeys(ARCHITECTURES, 1) | of_two | {"complete": 3, "cross-stitch": 3}


def test_operations_of_an_lstm():
    lstm = Contender(name="nn.LSTM", kind="lstm", passes=2, shape=TINY)
    per_token = (5 + 6) * 4 * 6
    assert product_operations(lstm, "inference") == 2 * 2 * 4 * 2 * per_token
    assert product_operations(lstm, "train") == 3 * product_operations(lstm, "inference")


@pytest.mark.parametrize("name", ["complete", "star"])
@pytest.mark.parametrize("score", ["additive", "dot"])
def test_operations_are_those_that_torch_counts(name, score, monkeypatch):
    """But for W_n^T W_q, one small product per batch, and the elementwise W x + b. torch sees its own products only."""
    from torch.utils.flop_counter import FlopCounterMode

    monkeypatch.setattr(loops_cpp, "load", lambda: None)
    shape = Shape(tasks=3, batch=8, tokens=16, input=5, hidden=6, attention=7)
    contender = Contender(name=name, score=score, shape=shape)
    step = make_step(contender, "inference", ONE_THREAD)
    with FlopCounterMode(display=False) as counter:
        step()
    assert counter.get_total_flops() == pytest.approx(product_operations(contender, "inference"), rel=0.02)


def test_unknown_products_are_not_counted():
    assert product_operations(Contender(name="later", shape=TINY), "train") is None


def test_steps_take_turns():
    calls = []
    steps = {name: lambda name=name: calls.append(name) for name in "ab"}
    assert set(measuring.median_ms(steps, repeats=2, device="cpu")) == {"a", "b"}
    assert "".join(calls) == "ababab"  # the first of each is not measured


def test_median_is_in_milliseconds(monkeypatch):
    clock = itertools.count()  # a second passes whenever it is looked at
    monkeypatch.setattr(measuring.time, "perf_counter", lambda: next(clock))
    assert measuring.median_ms({"step": lambda: None}, repeats=3, device="cpu") == {"step": 1000}


def test_peak_memory_grows_with_the_batch():
    """A step of nn.LSTM keeps at least its gates and states for backward."""
    shape = Shape(batch=64, tokens=128, input=64, hidden=128)
    kept = shape.batch * shape.tokens * shape.hidden * 4 * 4 / 2**20  # 16 MiB of gates
    lstm = Contender(name="nn.LSTM", kind="lstm", shape=shape)
    assert kept < measuring.measure_alone(lstm, "train", ONE_THREAD).peak_mib < 20 * kept


def test_machine_limits_are_positive():
    limits = measuring.machine_limits(ONE_THREAD, size=64, repeats=1)
    assert limits.products > 0
    assert limits.bandwidth > 0


@pytest.mark.parametrize("arch", ["shared", "star"])
def test_training_speed(arch, tiny_tasks):
    options = make_options(arch=arch, tasks=tiny_tasks, **tiny.OPTIONS)
    result = training_speed(load_run_tasks(options), options, steps=3)
    assert result.tokens_per_second > 0
    assert result.epoch_seconds > 0
    assert set(result.shares) == set(PARTS)
    assert sum(result.shares.values()) == pytest.approx(1)
    assert all(share > 0 for share in result.shares.values())


def test_training_table(small_machine, capsys, monkeypatch, tiny_tasks):
    monkeypatch.setattr(speed, "reference_section", lambda *_: speed.Section(title="none", steps=(), repeats=1))
    monkeypatch.setattr(speed, "_TRAINING_STEPS", 1)
    run("--training", tiny_tasks.split("+")[0])
    printed = capsys.readouterr().out
    assert "## Training steps" in printed
    assert "| star   | additive |" in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--device", "cuda"], "no cuda device"),
        (["--precision", "tf32"], "tf32 is for --device cuda"),
        (["--tokens", "0"], "--tokens: expected a whole number from 1, found '0'"),
        (["--sweep", "hidden"], "--sweep: invalid choice"),
    ],
)
def test_mistakes_are_one_line(capsys, monkeypatch, arguments, message):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit) as leaving:
        run_verb(speed.main, arguments)
    error = capsys.readouterr().err
    assert leaving.value.code == 2
    assert message in error
    assert error.count("\n") == 1


def test_overhead_on_a_transformer(small_machine, capsys, monkeypatch):
    from transformers import BertConfig

    small = BertConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8, vocab_size=50)
    load = overhead.Load(small, tasks=3, texts=4, tokens=5)
    monkeypatch.setattr(speed, "overhead_lines", partial(overhead.overhead_lines, loads=[load]))
    run("--overhead")
    printed = capsys.readouterr().out
    rows = [line.split() for line in printed.splitlines() if line.startswith(("| shared", "| cmtr"))]
    assert [row[1] for row in rows] == ["shared", "cmtr"]
    assert rows[0][5] == rows[0][9] == "1.000"
    assert float(rows[1][11]) > float(rows[0][11])  # KiB
    assert rows[0][13] == "0"
    assert "## Architectures" not in printed
