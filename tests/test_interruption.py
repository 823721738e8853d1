import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from graphmtl.cli import run_verb
from graphmtl.interruption import (
    Interrupted,
    dropped_signals_come_again,
    end_at_once_while_loading,
    exit_code,
    leave,
    signals_wait,
    terminated,
)

ROOT = Path(__file__).parents[1]
BOTH = pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
pytestmark = pytest.mark.usefixtures("default_handlers")


@BOTH
def test_a_signal_waits(signum, capfd):
    before = signal.getsignal(signum)
    with signals_wait() as signals:
        assert not signals.wanted
        os.kill(os.getpid(), signum)
        assert signals.wanted == signum
    assert signal.getsignal(signum) == before
    assert capfd.readouterr().err == "graphmtl: ends after this update; a second signal ends at once\n"


class Finalised:
    def __init__(self, what):
        self.what = what

    def __del__(self):
        self.what()


@BOTH
def test_a_signal_that_falls_into_a_finaliser_ends_a_verb_all_the_same(signum, capsys):
    def verb(_):
        Finalised(lambda: signal.raise_signal(signum))
        time.sleep(30)

    began = time.perf_counter()
    with pytest.raises(SystemExit) as left:
        run_verb(verb, [])
    assert left.value.code == exit_code(signum)
    assert capsys.readouterr().err == "graphmtl: interrupted\n"
    assert time.perf_counter() - began < 15


@BOTH
def test_a_signal_that_falls_into_a_finaliser_at_the_end_of_a_verb_is_not_lost(signum):
    with pytest.raises(SystemExit) as left:
        run_verb(lambda _: Finalised(lambda: signal.raise_signal(signum)) and None, [])
    assert left.value.code == exit_code(signum)
    time.sleep(0.2)  # and does not come again


def test_another_error_in_a_finaliser_is_told_as_ever(monkeypatch):
    told = []
    monkeypatch.setattr(sys, "unraisablehook", told.append)
    with dropped_signals_come_again():
        Finalised(lambda: 1 / 0)
    assert [type(each.exc_value) for each in told] == [ZeroDivisionError]
    assert sys.unraisablehook == told.append


@pytest.mark.parametrize("handler", [signal.SIG_IGN, lambda *_: None])
def test_signals_that_somebody_else_handles_are_left_to_them(handler):
    signal.signal(signal.SIGINT, handler)
    with signals_wait() as signals:
        os.kill(os.getpid(), signal.SIGINT)
    assert not signals.wanted
    assert signal.getsignal(signal.SIGINT) == handler


def test_a_signal_that_a_verb_hears_waits_too():
    signal.signal(signal.SIGTERM, terminated)
    wanted = None
    with suppress(Interrupted), signals_wait() as signals:
        os.kill(os.getpid(), signal.SIGTERM)
        wanted = signals.wanted
    assert wanted == signal.SIGTERM


def test_in_another_thread_nothing_waits():
    found = []

    def work():
        with signals_wait() as signals:
            found.append(signals.wanted)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [0]


@BOTH
def test_a_second_signal_ends_at_once(signum):
    code = (
        "import os, time\nfrom graphmtl.interruption import signals_wait\n"
        f"with signals_wait():\n    for _ in range(2): os.kill(os.getpid(), {int(signum)})\n    time.sleep(60)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=50, cwd=ROOT)
    assert ended.returncode == exit_code(signum)
    assert ended.stderr.splitlines()[-1] == "graphmtl: interrupted"


@BOTH
def test_a_verb_ends_with_a_line_and_its_exit_code(signum, capsys):
    def verb(_):
        raise Interrupted(signum, "ended in epoch 3")

    with pytest.raises(SystemExit) as ended:
        run_verb(verb, [])
    assert ended.value.code == {signal.SIGINT: 130, signal.SIGTERM: 143}[signum]
    assert capsys.readouterr().err == "graphmtl: ended in epoch 3\n"


def test_sigterm_is_heard_by_a_verb(capsys):
    with pytest.raises(SystemExit) as ended:
        run_verb(lambda _: os.kill(os.getpid(), signal.SIGTERM), [])
    assert ended.value.code == 143
    assert capsys.readouterr().err == "graphmtl: interrupted\n"
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


@pytest.mark.parametrize(
    ("given", "handler"),
    [
        (["-m", "graphmtl.plot", "RUN"], leave),
        (["-m", "own.plot"], signal.default_int_handler),
        (["own.py", "-m", "graphmtl.plot"], signal.default_int_handler),  # an argument of somebody's script
        (["own.py", "-m"], signal.default_int_handler),
        (["/bin/graphmtl", "plot", "RUN"], leave),
        (["/bin/my-graphmtl", "plot", "RUN"], signal.default_int_handler),
    ],
)
def test_only_a_verb_that_loads_ends_at_once(given, handler, monkeypatch):
    monkeypatch.setattr(sys, "orig_argv", ["python", *given])
    monkeypatch.setattr(sys, "argv", [given[0]])
    end_at_once_while_loading()
    assert signal.getsignal(signal.SIGINT) == handler


def test_ctrl_c_while_a_module_of_a_verb_loads_is_one_line(tmp_path):
    (tmp_path / "torch.py").write_text("import time\nprint('loading', flush=True)\ntime.sleep(60)")
    paths = os.pathsep.join([str(tmp_path), str(ROOT)])
    with subprocess.Popen(
        [sys.executable, "-m", "graphmtl.plot", "RUN"],
        env={**os.environ, "PYTHONPATH": paths},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "loading\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        assert process.stderr.read() == "graphmtl: interrupted\n"
