import ctypes
import importlib
import importlib.metadata
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from graphmtl.cli import VERBS, Parser, main, run_verb
from graphmtl.errors import InputError

ROOT = Path(__file__).parents[1]


def fails_with(error: BaseException):
    def verb(argv):
        raise error

    return verb


def test_a_mistake_is_one_line_on_stderr_and_exit_code_2(capsys):
    with pytest.raises(SystemExit) as leaving:
        run_verb(fails_with(InputError("a.tsv, line 3:\n  no label\there\n")), [])
    assert leaving.value.code == 2
    assert capsys.readouterr() == ("", "graphmtl: error: a.tsv, line 3: no label here\n")


def test_the_version_is_told(capsys):
    main(["--version"])
    assert capsys.readouterr().out == f"graphmtl {importlib.metadata.version('graphmtl')}\n"


def test_an_interruption_is_exit_code_130(capsys):
    with pytest.raises(SystemExit) as leaving:
        run_verb(fails_with(KeyboardInterrupt()), [])
    assert leaving.value.code == 130
    assert capsys.readouterr() == ("", "")


def test_a_reader_that_has_gone_is_no_failure(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    run_verb(fails_with(BrokenPipeError()), [])


@pytest.mark.parametrize("error", [KeyError("a"), ValueError("a"), FileNotFoundError("a")])
def test_a_fault_of_the_program_is_not_hidden(error):
    with pytest.raises(type(error)):
        run_verb(fails_with(error), [])


def test_the_arguments_are_those_of_the_process_unless_given(monkeypatch):
    seen = []
    monkeypatch.setattr(sys, "argv", ["graphmtl", "a", "b"])
    run_verb(seen.append)
    run_verb(seen.append, ["c"])
    assert seen == [["a", "b"], ["c"]]


@pytest.mark.parametrize("arguments", [[], ["-h"], ["--help"]])
def test_without_a_verb_the_verbs_are_listed(arguments, capsys):
    main(arguments)
    printed, error = capsys.readouterr()
    assert error == ""
    for verb, what in VERBS.items():
        assert f"  {verb:<10} {what}\n" in printed


def test_main_takes_the_arguments_of_the_process(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["graphmtl", "pedict"])
    with pytest.raises(SystemExit):
        main()
    assert "unknown verb 'pedict'" in capsys.readouterr().err


def test_unknown_verb(error_of):
    assert "unknown verb 'pedict'; did you mean 'predict'?" in error_of("pedict", "--task", "all")


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_gets_what_stands_after_it(verb, monkeypatch):
    seen = []
    monkeypatch.setattr(importlib.import_module(f"graphmtl.{verb}"), "main", seen.append)
    main([verb, "RUN", "--option", "value"])
    assert seen == [["RUN", "--option", "value"]]


def test_the_parsers_faults_are_the_users():
    parser = Parser(prog="graphmtl verb")
    parser.add_argument("run")
    with pytest.raises(InputError, match="required: run"):
        parser.parse_args([])


def test_as_a_process(tmp_path):
    options = tmp_path / "options.yaml"
    options.write_text("epochs: 3\nhiden: 8\n")
    command = [sys.executable, "-m", "graphmtl.run", "--config", options, "--output", tmp_path / "run"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith(f"graphmtl: error: {options}, line 2: unknown key 'hiden'")
    assert result.stdout == ""
    assert not (tmp_path / "run").exists()


_BLOCK = """
import ctypes
from graphmtl.cli import run_verb

class Memory(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in "arena ordblks smblks hblks hblkhd u f uordblks kept k".split()]

libc = ctypes.CDLL(None)
libc.mallinfo2.restype, libc.malloc.restype, libc.free.argtypes = Memory, ctypes.c_void_p, [ctypes.c_void_p]
run_verb(lambda _: None, [])
before = libc.mallinfo2()
block = libc.malloc(2**24)
during = libc.mallinfo2()
libc.free(block)
print(during.hblks - before.hblks, libc.mallinfo2().kept >= 2**24)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="another C library, or an old one")
@pytest.mark.parametrize(("given", "expected"), [({}, "0 True"), ({"MALLOC_TRIM_THRESHOLD_": "131072"}, "1 False")])
def test_freed_memory_is_kept_for_the_next_batch_unless_the_user_has_set_it(given, expected):
    """A block of 16 MiB is no mapping of its own, and is not given back to the system."""
    environment = {name: value for name, value in os.environ.items() if "MALLOC" not in name}
    command = [sys.executable, "-c", _BLOCK]
    done = subprocess.run(command, env=environment | given, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == expected
