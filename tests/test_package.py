"""The package as a whole: the commands exist, every file is used, and setup.cfg says what the code imports."""

import ast
import configparser
import importlib
import importlib.metadata
import itertools
import re
import runpy
import sys
import tomllib
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from graphmtl.registry import ARCHITECTURES, BALANCINGS, BASELINES, ENCODERS, HEADS, KINDS, OBJECTIVES

ROOT = Path(__file__).parents[1]
VERBS = ["init", "run", "pretrain", "evaluate", "predict", "compare", "transfer", "plot", "report", "explain", "export"]
STARTED = {"graphmtl", "graphmtl.__main__", "graphmtl.cli", *(f"graphmtl.{verb}" for verb in VERBS)}


@cache
def config() -> configparser.ConfigParser:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    return config


def requirements(option: str, section: str = "options") -> dict[str, Requirement]:
    """The requirements of an option of setup.cfg, by canonical name."""
    found = map(Requirement, config()[section][option].strip().splitlines())
    return {canonicalize_name(requirement.name): requirement for requirement in found}


def extras() -> dict[str, Requirement]:
    """The requirements of all extras, without the package itself."""
    section = "options.extras_require"
    found = {name: value for extra in config()[section] for name, value in requirements(extra, section).items()}
    return {name: requirement for name, requirement in found.items() if name != "graphmtl"}


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    found = map(Requirement, (line for line in lines if not line.startswith("#")))
    return {canonicalize_name(pin.name): str(pin.specifier).removeprefix("==") for pin in found}


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def sources(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


@cache  # each file is asked for by every test of another one
def imports(path: Path) -> frozenset[str]:
    """The modules that a file imports, anywhere in it; `from a import b` gives both a and a.b."""
    package, found = module_name(path).split("."), set()
    if path.name != "__init__.py":
        package = package[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            found |= {module, *(f"{module}.{name.name}" for name in node.names)}
    return frozenset(found)


def imported_distributions(paths: list[Path]) -> set[str]:
    """The third-party distributions that files import, by canonical name."""
    top = {name.split(".")[0] for path in paths for name in imports(path)}
    top -= sys.stdlib_module_names | {"graphmtl", "benchmarks", "examples", "tests"}
    known = packages_distributions()
    return {canonicalize_name(known[name][0]) if name in known else name for name in top}


def closure(todo: list[Requirement]) -> set[str]:
    """The names of the requirements, of what they require, and so on, on this machine."""
    seen: set[tuple[str, tuple[str, ...]]] = set()
    while todo:
        requirement = todo.pop()
        key = (canonicalize_name(requirement.name), tuple(sorted(requirement.extras)))
        if key in seen:
            continue
        seen.add(key)
        todo += [need for need in needs(key[0]) if applies(need, requirement.extras)]
    return {name for name, _ in seen}


def needs(name: str) -> list[Requirement]:
    try:
        return [Requirement(need) for need in requires(name) or []]
    except PackageNotFoundError:  # an extra that is not installed here
        return []


def applies(need: Requirement, extras: set[str]) -> bool:
    return need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in ("", *extras))


def console_script():
    """The function behind the command `graphmtl`."""
    script = config()["options.entry_points"]["console_scripts"].strip().split(" = ")
    module, function = script[1].split(":")
    assert script[0] == "graphmtl"
    return getattr(importlib.import_module(module), function)


@pytest.mark.parametrize("verb", VERBS)
def test_help(verb, monkeypatch, capsys):
    """Of ``python -m``, without the seconds that a process takes to load; one stands in tests/test_cli.py."""
    monkeypatch.setattr(sys, "argv", [verb, "--help"])
    monkeypatch.delitem(sys.modules, f"graphmtl.{verb}", raising=False)
    with pytest.raises(SystemExit) as leaving:
        sys.exit(not runpy.run_module(f"graphmtl.{verb}", run_name="__main__"))  # a verb may return
    assert leaving.value.code in (0, None)
    printed = capsys.readouterr()
    assert "usage:" in printed.out
    assert printed.err == ""


def test_the_package_is_run_as_its_command(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["python -m graphmtl", "--version"])
    monkeypatch.delitem(sys.modules, "graphmtl.__main__", raising=False)
    runpy.run_module("graphmtl", run_name="__main__")
    assert capsys.readouterr().out == f"graphmtl {importlib.metadata.version('graphmtl')}\n"


@pytest.mark.parametrize("verb", VERBS)
def test_console_script_knows_the_verb(verb, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["graphmtl", verb, "--help"])
    with pytest.raises(SystemExit) as leaving:
        sys.exit(console_script()())
    assert leaving.value.code in (0, None)
    assert verb in capsys.readouterr().out


@pytest.mark.parametrize("path", sources("graphmtl"), ids=module_name)
def test_every_module_is_imported(path):
    name = module_name(path)
    users = [user for user in sources("graphmtl") if user != path and name in imports(user)]
    tables = (ARCHITECTURES, BALANCINGS, BASELINES, ENCODERS, HEADS, KINDS, OBJECTIVES)
    by_name = {each.partition(":")[0] for table in tables for each in table.values()}
    assert users or name in STARTED | by_name or path.name == "__init__.py"


def test_every_folder_is_a_package():
    folders = {path.parent for path in sources("graphmtl")}
    assert {folder for folder in folders if not (folder / "__init__.py").exists()} == set()


def test_requirements_are_what_the_package_imports():
    required = set(requirements("install_requires"))
    assert imported_distributions(sources("graphmtl")) - set(extras()) == required


def test_extras_are_what_the_rest_imports():
    started = {"bandit", "ipykernel", "mypy", "pytest", "pytest-xdist", "ruff", "setuptools"}
    tools = {*started, "tensorboard", "triton"}  # these are imported by name
    imported = imported_distributions(sources("benchmarks", "examples", "tests"))
    declared = set(extras())
    assert declared - tools <= imported
    assert imported - declared <= set(requirements("install_requires")) | {
        "lightning",  # an example goes without
        "own_parts",  # a test writes it
        "packaging",
    }


def test_every_lower_bound_has_its_reason():
    lines = (ROOT / "setup.cfg").read_text().split("install_requires =\n")[1].split("\n[")[0].splitlines()
    for reason, requirement in itertools.pairwise(lines):
        if not requirement.lstrip().startswith("#") and requirement.strip():
            assert reason.lstrip().startswith("#"), requirement
            assert re.search(r">=\d", requirement)
            assert "==" not in requirement


def test_constraints_fit_the_ranges():
    for name, requirement in (requirements("install_requires") | extras()).items():
        assert requirement.specifier.contains(pins()[name]), requirement


def test_constraints_hold_everything_that_is_installed():
    assert closure([*requirements("install_requires").values(), *extras().values()]) - set(pins()) == set()


def test_make_installs_the_torch_that_is_pinned():
    assert f"torch=={pins()['torch']}" in (ROOT / "Makefile").read_text()


def test_pyproject_holds_build_and_tool_settings_only():
    with open(ROOT / "pyproject.toml", "rb") as file:
        assert set(tomllib.load(file)) == {"build-system", "tool"}
