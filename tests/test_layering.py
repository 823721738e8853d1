"""The package is a house: a folder imports only from the floors below it."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from sys import stdlib_module_names as STANDARD

import pytest

PACKAGE = Path(__file__).parents[1] / "graphmtl"
FLOORS = (  # from the ground up; a file in the package's own folder is named, the others there are verbs
    ("errors", "interruption", "lazy", "verbosity"),
    ("layers",),
    ("registry",),
    ("config", "files", "generators"),
    ("data",),
    ("metrics",),
    ("kinds", "printed_tables"),
    ("graph",),
    ("architectures",),
    ("models",),
    ("analysis", "onnx"),
    ("options",),
    ("training",),
    ("baselines",),
    ("reporting", "manual"),
    ("comparison",),
    ("verbs",),
)
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}


@cache  # parsing takes a second; nobody may change a tree
def modules(package: Path) -> dict[str, ast.Module]:
    """The package's files by their names in Python, parsed; a folder is its __init__.py."""
    found = {path.relative_to(package.parent).with_suffix(""): path for path in sorted(package.rglob("*.py"))}
    return {".".join(name.parts).removesuffix(".__init__"): ast.parse(path.read_text()) for name, path in found.items()}


def imports(tree: ast.Module, known: set[str]) -> Iterator[str]:
    """Every module of the package that a file imports, wherever in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module in known:
            whole = (f"{node.module}.{name.name}" for name in node.names)
            yield from (name if name in known else node.module for name in whole)


def room(module: str) -> str:
    """The folder that a module stands in, or its own name where that has a floor of its own."""
    first = [*module.split("."), ""][1]
    return first if first in FLOOR else "verbs"


def upward(trees: dict[str, ast.Module]) -> list[str]:
    """Every import from a floor that is not below, and not the same folder."""
    lines = []
    for module, tree in trees.items():
        for target in imports(tree, set(trees)):
            ours, theirs = room(module), room(target)
            if FLOOR[theirs] > FLOOR[ours] or (FLOOR[theirs] == FLOOR[ours] and ours != theirs and ours != "verbs"):
                lines.append(f"{module} ({ours}) imports {target} ({theirs})")
    return lines


def circle(trees: dict[str, ast.Module]) -> list[str]:
    """Modules that import one another in a ring, or nothing."""
    after = {module: set(imports(tree, set(trees))) - {module} for module, tree in trees.items()}
    while free := [module for module, needs in after.items() if not needs & after.keys()]:
        for module in free:
            del after[module]
    return sorted(after)


def test_no_folder_imports_from_a_floor_above_it():
    assert upward(modules(PACKAGE)) == []


def test_no_modules_import_one_another_in_a_ring():
    assert circle(modules(PACKAGE)) == []


def test_the_ground_floor_imports_torch_alone():  # and, of the package, errors, which is below it
    allowed = {"torch", "triton", "torch_geometric", "graphmtl"}  # torch_geometric: two kinds of interaction ask for it
    for module, tree in modules(PACKAGE).items():
        if room(module) == "layers":
            whole = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module]
            whole += [name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names]
            others = {name.split(".")[0] for name in whole} - allowed - STANDARD
            assert not others, f"{module} imports {others}"


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("graphmtl.layers.packing", "from graphmtl.data.batching import Batch"),
        ("graphmtl.graph.recorder", "def late():\n    from graphmtl.training import trainer"),
        ("graphmtl.kinds.head", "import graphmtl.evaluate"),
    ],
)
def test_an_import_that_is_turned_round_is_found(module, line):
    trees = modules(PACKAGE)
    trees = {**trees, module: ast.parse(ast.unparse(trees[module]) + "\n" + line)}
    (found,) = upward(trees)
    assert found.startswith(f"{module} (")


def test_a_ring_is_found():
    trees, module = modules(PACKAGE), "graphmtl.layers.shapes"
    trees = {**trees, module: ast.parse(ast.unparse(trees[module]) + "\nfrom graphmtl.layers import packing")}
    assert {"graphmtl.layers.packing", "graphmtl.layers.shapes"} <= set(circle(trees))
