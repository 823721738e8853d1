"""Wheels: pure Python unless the loops are asked for, which are then used where there is no compiler."""

import os
import shlex
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.layers.recurrence.test_autograd import needs_compiler

ROOT = Path(__file__).parents[1]
# a compiler that is quick, and compiles once: for other CPUs it takes what it has
QUICK = """
set -e
for last; do :; done
case "$*" in *-mavx*) cp build/once.so "$last" ;; *) c++ "$@" -O0; mkdir -p build; cp "$last" build/once.so ;; esac
"""
READS = """
from graphmtl.layers.recurrence import loops_cpp
from tests.layers.recurrence.test_autograd import architecture_of, states_and_gradients, texts
assert all(found.isfinite().all() for found in states_and_gradients(architecture_of("star"), *texts([3, 1])))
print(loops_cpp.load()._name)
"""


@pytest.fixture
def build(tmp_path):
    def build(asked):
        project = tmp_path / "project"
        project.mkdir()
        for name in ("setup.cfg", "setup.py", "pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(ROOT / name, project)
        shutil.copytree(ROOT / "graphmtl", project / "graphmtl", ignore=shutil.ignore_patterns("__pycache__"))
        code = "from setuptools.build_meta import build_wheel; build_wheel('../dist')"
        environment = {**os.environ, "GRAPHMTL_BUILD_LOOPS": asked, "CXX": shlex.join(["sh", "-c", QUICK, "c++"])}
        command = [sys.executable, "-c", code]
        return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True)

    return build


def only_wheel(folder):
    (wheel,) = (folder / "dist").glob("*.whl")
    return wheel


def test_a_wheel_is_pure_python_unless_the_loops_are_asked_for(build, tmp_path):
    assert build("").returncode == 0
    wheel = only_wheel(tmp_path)
    assert wheel.name.endswith("-py3-none-any.whl")
    assert not [name for name in zipfile.ZipFile(wheel).namelist() if name.endswith(".so")]


def test_what_is_asked_for_is_0_or_1(build, tmp_path):
    done = build("yes")
    assert done.returncode == 1
    assert "GRAPHMTL_BUILD_LOOPS: expected 0 or 1, found 'yes'" in done.stderr


@needs_compiler
def test_loops_in_a_wheel_are_used_without_a_compiler(build, tmp_path):
    done = build("1")
    assert done.returncode == 0, done.stderr
    wheel = only_wheel(tmp_path)
    assert "-py3-none-" in wheel.name  # for every Python
    assert not wheel.name.endswith("-any.whl")  # and for this kind of machine
    installed, nothing = tmp_path / "installed", tmp_path / "nothing"
    zipfile.ZipFile(wheel).extractall(installed)
    environment = {name: value for name, value in os.environ.items() if name not in ("CXX", "GRAPHMTL_NATIVE")}
    environment |= {"PATH": str(nothing), "TORCH_EXTENSIONS_DIR": str(nothing)}
    environment["PYTHONPATH"] = os.pathsep.join([str(installed), str(ROOT)])
    command = [sys.executable, "-c", READS]
    read = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert read.returncode == 0, read.stderr
    assert Path(read.stdout.strip()).parent == installed / "graphmtl" / "layers" / "recurrence"
    assert read.stderr == ""
    assert not nothing.exists()  # nothing was compiled
