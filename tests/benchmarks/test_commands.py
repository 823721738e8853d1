"""The command at the top of every benchmark runs as it stands there, in the project's folder."""

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = sorted(path for path in (ROOT / "benchmarks").glob("*.py") if "__main__" in path.read_text("utf-8"))


def command(script: Path) -> list[str]:
    """What stands after ``python``, up to the script or the module."""
    found = re.search(r"^    python ((?:-m )?benchmarks[./]\w+(?:\.py)?)", script.read_text("utf-8"), re.MULTILINE)
    assert found is not None
    return found[1].split()


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_the_command_of_its_docstring(script):
    assert command(script)[-1] in (f"benchmarks.{script.stem}", f"benchmarks/{script.stem}.py")


@pytest.mark.parametrize("module", [path.stem for path in SCRIPTS if "-m" in command(path)])
def test_as_a_module(module, monkeypatch, capsys):
    """It finds all that it imports from the project's folder, so a process of its own, which takes seconds to load,
    would say no more."""
    monkeypatch.setattr(sys, "argv", [module, "--help"])
    monkeypatch.delitem(sys.modules, f"benchmarks.{module}", raising=False)
    with pytest.raises(SystemExit) as leaving:
        runpy.run_module(f"benchmarks.{module}", run_name="__main__")
    assert leaving.value.code == 0
    assert "usage:" in capsys.readouterr().out


@pytest.mark.parametrize("script", [path for path in SCRIPTS if "-m" not in command(path)], ids=lambda path: path.stem)
def test_as_a_file(script):
    """Which Python does not look beside for what it imports."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, *command(script), "--help"], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "usage:" in done.stdout
