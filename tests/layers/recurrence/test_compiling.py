"""Compiling ends, whatever was killed, cut short or started at the same time."""

import os
import shlex
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from graphmtl.layers.recurrence import compiling

ANSWER = 'extern "C" int answer() { return 42; }\n'
HANGS = 'echo $$ > "$0"; exec sleep 600'


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def load(tmp_path):
    (tmp_path / "answer.cpp").write_text(ANSWER)

    def load(*flags, functions=("answer",), optional=()):
        asked = {"sources": [tmp_path / "answer.cpp"], "flags": flags, "functions": functions, "optional": [*optional]}
        try:
            library = compiling.load_library("a", **asked)
        except FileNotFoundError:
            pytest.skip("no C++ compiler")
        assert library.answer() == 42
        return Path(library._name)

    return load


@pytest.fixture
def hangs(tmp_path, monkeypatch):
    """A compiler that does not end; where it writes its process's number."""
    monkeypatch.setenv("CXX", shlex.join(["sh", "-c", HANGS, str(tmp_path / "number")]))
    return tmp_path / "number"


def test_it_compiles_once_and_says_so(folder, load, capsys):
    path = load()
    assert capsys.readouterr().err == f"graphmtl: compiling answer.cpp into {folder}, once, some seconds\n"
    assert load() == path
    assert capsys.readouterr().err == ""
    assert list(folder.iterdir()) == [path]


def test_other_flags_and_sources_are_other_libraries(folder, load, tmp_path, monkeypatch):
    paths = {load(), load("-O1")}
    (tmp_path / "answer.cpp").write_text(ANSWER + "// the same\n")
    paths.add(load())
    monkeypatch.setenv("CXX", "c++ -O1")
    paths.add(load())
    assert len(paths) == 4


def test_flags_that_the_compiler_does_not_take_are_left_out_and_it_says_so(folder, load, capsys):
    path = load(optional=["-fno-such-flag"])
    assert capsys.readouterr().err.endswith(", once, some seconds, without -fno-such-flag, which c++ does not take\n")
    assert load(optional=["-fno-such-flag"]) == load() == path
    assert capsys.readouterr().err == ""
    assert load(optional=["-O1"]) == load("-O1") != path


def test_a_library_that_is_cut_short_is_compiled_again(folder, load):
    path = load()
    whole = path.read_bytes()
    path.unlink()  # not written over, since it is loaded
    path.write_bytes(whole[: len(whole) // 2])
    assert load().read_bytes() == whole


def test_what_is_no_library_is_compiled_again(folder, load):
    path = load()
    name = path.stem.rpartition("_")[0]
    content = b"of another machine"
    other = folder / f"{name}_{compiling._checksum(content)}.so"
    path.unlink()
    other.write_bytes(content)
    assert load() == path
    assert other.exists()


def test_a_library_without_a_function_is_not_taken(folder, load):
    load()
    with pytest.raises(RuntimeError, match="cannot be loaded"):
        load(functions=["question"])


def test_all_that_compile_at_once_go_on(folder, load):
    with ThreadPoolExecutor(4) as threads:
        paths = list(threads.map(lambda _: load(), range(4)))
    assert sorted({*paths}) == sorted(folder.iterdir())


def test_a_compiler_that_hangs_is_ended(folder, load, hangs, monkeypatch):
    class Hanging(subprocess.Popen):
        """Patience begins when it hangs, however long the machine takes to start it."""

        def wait(self, timeout=None):
            while not (hangs.exists() and hangs.read_text()):
                assert self.poll() is None
                time.sleep(0.01)
            return super().wait(timeout)

    monkeypatch.setattr(compiling.subprocess, "Popen", Hanging)
    monkeypatch.setattr(compiling, "_PATIENCE", 0.1)
    with pytest.raises(RuntimeError, match=r"has not ended after 0\.1 seconds"):
        load()
    assert list(folder.iterdir()) == []
    with pytest.raises(ProcessLookupError):
        os.kill(int(hangs.read_text()), 0)


def test_a_process_that_was_killed_keeps_nobody_waiting(folder, load, hangs, tmp_path, monkeypatch):
    code = (
        "import sys; from pathlib import Path; from graphmtl.layers.recurrence.compiling import load_library;"
        "load_library('a', sources=[Path(sys.argv[1])], flags=[], functions=['answer'])"
    )
    killed = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "answer.cpp")])
    try:
        while not (hangs.exists() and hangs.read_text()):
            assert killed.poll() is None
            time.sleep(0.05)
    finally:
        killed.kill()
        killed.wait()
    os.kill(int(hangs.read_text()), signal.SIGKILL)
    monkeypatch.delenv("CXX")
    path = load()
    (left,) = {*folder.iterdir()} - {path}
    load()
    assert left.exists()  # it might be another process's
    os.utime(left, (0, 0))
    load()
    assert not left.exists()


@pytest.mark.parametrize(
    ("compiler", "error", "message"),
    [
        ("no-such-compiler", FileNotFoundError, "no-such-compiler"),
        (f"{sys.executable} -c 'import sys; sys.exit(\"no space left\")'", RuntimeError, "exit code 1: no space left"),
    ],
)
def test_a_compiler_that_fails_is_quoted(folder, tmp_path, monkeypatch, compiler, error, message):
    (tmp_path / "answer.cpp").write_text(ANSWER)
    monkeypatch.setenv("CXX", compiler)
    with pytest.raises(error, match=message):
        compiling.load_library("a", sources=[tmp_path / "answer.cpp"], flags=[], functions=["answer"])
    assert list(folder.iterdir()) == []


def test_the_users_cache_is_the_place_unless_torch_has_one(folder, tmp_path, monkeypatch):
    assert compiling._folder() == folder
    monkeypatch.delenv("TORCH_EXTENSIONS_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert compiling._folder() == tmp_path / "graphmtl"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert compiling._folder() == tmp_path / ".cache" / "graphmtl"
