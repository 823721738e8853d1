"""Builds the package that setup.cfg describes; with GRAPHMTL_BUILD_LOOPS=1 its wheel brings the loops in C++.

Such a wheel is one machine's, for every Python: a library for each kind of CPU, which loops_cpp.py calls through
ctypes. Without it the wheel is pure Python, and the loops are compiled where they are first needed.
"""

import os
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

from setuptools import Distribution, setup
from setuptools.command.build_py import build_py

LOOPS = Path("graphmtl", "layers", "recurrence")


class BuildLoops(build_py):
    """Compiles the loops beside the modules."""

    def run(self):
        super().run()
        flags = runpy.run_path(str(LOOPS / "flags.py"))
        compiler = [*shlex.split(os.environ.get("CXX") or "c++"), *flags["FLAGS"], *flags["THREADS"]]
        for name, vectors in {"default": [], **flags["VECTORS"]}.items():
            library = Path(self.build_lib) / LOOPS / f"recurrence_{name.lower()}.so"
            source = LOOPS / flags["SOURCES"][0]
            subprocess.run([*compiler, *vectors, str(source), "-shared", "-fPIC", "-o", str(library)], check=True)


class MachineDistribution(Distribution):
    """What is built is for this kind of machine."""

    def has_ext_modules(self):
        return True


def loops() -> dict:
    """What builds the loops: setuptools from 70.1 on."""
    from setuptools.command.bdist_wheel import bdist_wheel

    class EveryPythonsWheel(bdist_wheel):
        """Nothing in it is of one Python."""

        def get_tag(self):
            return "py3", "none", super().get_tag()[2]

    return {"cmdclass": {"build_py": BuildLoops, "bdist_wheel": EveryPythonsWheel}, "distclass": MachineDistribution}


asked = os.environ.get("GRAPHMTL_BUILD_LOOPS") or "0"
if asked not in ("0", "1"):
    sys.exit(f"GRAPHMTL_BUILD_LOOPS: expected 0 or 1, found {asked!r}")
setup(**loops() if asked == "1" else {})
