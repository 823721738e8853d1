import os
import signal

import pytest

from benchmarks import torture
from benchmarks.torture import PARTS, Ended, Torture, child


@pytest.fixture(scope="module")
def tortured(tmp_path_factory):
    """Of runs that are even shorter: their controls are ended and gone on with in tests/training/test_controls.py."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torture, "TINY", [*torture.TINY, "--control", "never", "--epochs", "2"])
        yield Torture(tmp_path_factory.mktemp("torture"), rounds=1, seed=3)


@pytest.mark.parametrize("part", PARTS)
def test_nothing_is_lost(tortured, part):
    count = getattr(tortured, part)()
    assert count.tries or part == "kills"  # moments are those of the first run: a later, faster one may end before them
    assert [*count.differences, *count.dead_ends, *count.tracebacks] == []


def test_what_is_wrong_is_counted(tortured, monkeypatch):
    """A run that comes out otherwise, one that cannot be gone on with, and one that ends in a traceback."""
    kind, path = tortured.kinds()[0], tortured.folder / "other"
    count = torture.Count()
    with monkeypatch.context() as patch:
        patch.setitem(tortured.expected, kind, {"metrics": {}, "weights": {}})
        tortured.finish(kind, path, count, "other weights")
    monkeypatch.setattr(torture, "child", lambda *_, **__: Ended(2, "graphmtl: error", 0.1))
    tortured.finish(kind, path, count, "refused")
    monkeypatch.setattr(torture, "child", lambda *_, **__: Ended(1, "Traceback (most recent call last)", 0.1))
    tortured.finish(kind, path, count, "a bug")
    assert (len(count.differences), len(count.dead_ends), len(count.tracebacks)) == (1, 1, 1)
    assert count.row("kills", "kills") == "| kills | 0 kills | 1 | 1 | 1 |"


def test_a_run_must_be_gone_on_with_from_another_checkpoint(tmp_path):
    for name in ("epoch-2", "epoch-3"):
        (tmp_path / "checkpoints" / name).mkdir(parents=True)
    damaged = tmp_path / "checkpoints" / "epoch-3" / "model.safetensors"
    assert not torture._has_another(tmp_path, damaged)  # the other one was not written to its end
    (tmp_path / "checkpoints" / "epoch-2" / "checksums.json").write_text("{}")
    assert torture._has_another(tmp_path, damaged)
    assert not torture._has_another(tmp_path, tmp_path / "metrics.json")


def test_how_a_process_ends():
    ended = child(["--version"])
    assert (ended.code, ended.said.split()[0]) == (0, "graphmtl")
    assert child(["nothing"]).code == 2
    assert child(["--version"], before=lambda: os.kill(os.getpid(), signal.SIGKILL)).code == -signal.SIGKILL
    assert child(["--version"], before=lambda: 1 / 0).is_traceback
    assert not Ended(-signal.SIGKILL, "", 0.0).is_traceback
    assert Ended(-signal.SIGSEGV, "", 0.0).is_traceback
