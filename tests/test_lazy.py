import importlib
import pickle
import subprocess
import sys
from types import ModuleType

import pytest

import graphmtl
import graphmtl.data


@pytest.mark.parametrize("package", [graphmtl, graphmtl.data])
def test_every_public_name_is_there_and_listed(package):
    assert {*package.__all__} <= {*dir(package)}
    for name in package.__all__:
        value = getattr(package, name)
        if isinstance(value, ModuleType):
            assert value is importlib.import_module(f"{package.__name__}.{name}")
        else:
            assert value is getattr(importlib.import_module(value.__module__), name)


def test_a_star_imports_all_of_them():
    found: dict = {}
    exec("from graphmtl import *", found)
    assert {*graphmtl.__all__} == {*found} - {"__builtins__"}


def test_a_name_that_is_not_there():
    with pytest.raises(AttributeError, match="module 'graphmtl' has no attribute 'trian'"):
        graphmtl.trian  # noqa: B018


def test_what_is_pickled_is_found_again_by_a_process_that_has_imported_nothing():
    content = pickle.dumps(graphmtl.PlantedOptions(planted_rich=70))
    code = "import pickle, sys; print(pickle.loads(sys.stdin.buffer.read()).planted_rich)"
    done = subprocess.run([sys.executable, "-c", code], input=content, capture_output=True, check=True)
    assert done.stdout == b"70\n"


def test_verbs_load_what_takes_a_second_when_it_is_needed():
    code = (
        "import importlib, sys; "
        "[importlib.import_module(f'graphmtl.{verb}') for verb in 'run compare transfer explain report'.split()]; "
        "print([name for name in ('sklearn', 'scipy.stats', 'transformers', 'torch_geometric') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_package_alone_loads_nothing_large():
    code = "import sys, graphmtl, graphmtl.data; print([name for name in ('torch', 'numpy') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
