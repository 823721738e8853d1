"""What ``pip install .`` installs: an sdist and a wheel made of it, which holds all that runs, and runs from itself."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests import tiny

ROOT = Path(__file__).parents[1]
DESCRIPTION = ROOT / "graphmtl" / "description.md"


def built(folder, kind):
    """The archive that setuptools makes of a folder, with nothing from the network."""
    code = f"from setuptools.build_meta import build_{kind}; build_{kind}('dist')"
    subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, check=True)
    (archive,) = (folder / "dist").iterdir()
    return archive


@pytest.fixture(scope="module")
def distribution(tmp_path_factory):
    """An empty folder in which the wheel was unpacked, which was made of the sdist alone."""
    folder = tmp_path_factory.mktemp("distribution")
    for name in ("setup.cfg", "setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / "graphmtl", folder / "graphmtl", ignore=shutil.ignore_patterns("__pycache__"))
    with tarfile.open(built(folder, "sdist")) as sdist:
        sdist.extractall(folder / "unpacked", filter="data")
    (unpacked,) = (folder / "unpacked").iterdir()
    with zipfile.ZipFile(built(unpacked, "wheel")) as wheel:
        wheel.extractall(folder / "site")
    return folder / "site"


@pytest.fixture
def run(distribution, tmp_path):
    """Runs the command graphmtl of the wheel, elsewhere."""
    code = (
        "import sys; from importlib.metadata import distribution; import graphmtl; "
        "print(graphmtl.__file__, file=sys.stderr); (script,) = distribution('graphmtl').entry_points; "
        "assert script.name == 'graphmtl'; sys.exit(script.load()())"
    )

    def run(*arguments):
        command = [sys.executable, "-c", code, *arguments]
        done = subprocess.run(
            command,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            env=os.environ | {"PYTHONPATH": str(distribution)},
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr.startswith(f"{distribution / 'graphmtl' / '__init__.py'}\n")
        return done.stdout

    return run


def metadata(distribution):
    (folder,) = distribution.glob("*.dist-info")
    about, _, description = (folder / "METADATA").read_text(encoding="utf-8").partition("\n\n")
    return about, description


def test_the_wheel_of_the_sdist_holds_the_package_and_nothing_else(distribution):
    """Also ``py.typed``, without which a type checker takes nothing from the package."""
    held = {path.relative_to(distribution).as_posix() for path in distribution.rglob("*") if path.is_file()}
    held = {name for name in held if not name.partition("/")[0].endswith(".dist-info")}
    files = [path for path in (ROOT / "graphmtl").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert "graphmtl/py.typed" in held
    assert held == {path.relative_to(ROOT).as_posix() for path in files}


def test_the_command_of_the_wheel_tells_its_version_and_prints_the_manual(run, distribution):
    about, _ = metadata(distribution)
    assert f"Version: {run('--version').split()[1]}\n" in about
    assert "trust" in run("help")
    assert run("help", "trust").startswith("# Can I trust the picture?\n")


def test_the_command_of_the_wheel_trains(run, tmp_path):
    run("run", *tiny.flags(**tiny.OPTIONS | {"arch": "star", "epochs": 1}), "--output", "made")
    assert (tmp_path / "made" / "model" / "README.md").is_file()


def test_an_index_shows_what_needs_nothing_that_is_not_there(distribution):
    """A page of an index has no files of the project beside it, which README's pictures and links lead to."""
    about, description = metadata(distribution)
    assert "Description-Content-Type: text/markdown" in about
    assert description.strip() == DESCRIPTION.read_text(encoding="utf-8").strip()
    assert re.findall(r"\]\((?!https://)", description) == []
    assert description.count("```") % 2 == 0
    assert "License-Expression: MIT" in about or "License: MIT" in about
