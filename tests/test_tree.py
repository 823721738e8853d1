"""The tests mirror the package: what is wrong with a module is found, and told, where its name is."""

import ast
from pathlib import Path, PurePath

TESTS = Path(__file__).parent
PACKAGE = TESTS.parent / "graphmtl"
SEVERAL = {  # test files of folders that are of no one module, and why
    "kinds/test_outside.py": "a kind of task from outside the package, in every verb",
    "kinds/test_every_kind.py": "what holds of all kinds of tasks",
    "architectures/test_outside.py": "an architecture, an encoder and a head from outside the package, in every verb",
}


def has_code(path: Path) -> bool:
    """Whether a file has a function or a method; what only declares fields has nothing that could be wrong."""
    tree = ast.parse(path.read_text())
    return any(isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) for node in ast.walk(tree))


def mirrored(module: PurePath) -> PurePath:
    """Where the tests of a module are, relative to ``tests``; those of a folder's own file by the folder's name."""
    module = module.parent if module.name == "__init__.py" else module
    return module.with_name(f"test_{module.stem}.py")


def files(folder: Path, pattern: str) -> list[PurePath]:
    return [path.relative_to(folder) for path in sorted(folder.rglob(pattern))]


def test_every_module_has_a_test_file():
    modules = [path for path in files(PACKAGE, "*.py") if path.name != "__init__.py" and has_code(PACKAGE / path)]
    missing = {path.as_posix() for path in modules if not (TESTS / mirrored(path)).is_file()}
    assert missing == set()


def test_every_test_file_of_a_folder_has_a_module():
    modules = {mirrored(path) for path in files(PACKAGE, "*/*.py")}
    folders = {path.name for path in PACKAGE.iterdir() if path.is_dir()}
    found = [path for path in files(TESTS, "*/test_*.py") if path.parts[0] in folders]
    assert {path.as_posix() for path in found if path not in modules} == {*SEVERAL}


def test_tests_are_where_the_names_say():
    assert mirrored(PurePath("data/table.py")) == PurePath("data/test_table.py")
    assert mirrored(PurePath("options/presets/__init__.py")) == PurePath("options/test_presets.py")
    assert mirrored(PurePath("cli.py")) == PurePath("test_cli.py")
