"""What recurrence.cpp is compiled with, for loops_cpp.py and, where nothing is installed yet, for setup.py."""

import platform
import sys

__all__ = ["FLAGS", "SOURCES", "THREADS", "VECTORS"]

SOURCES = ["recurrence.cpp", "vectors.h"]  # the first one is compiled, and includes the others
FLAGS = ["-std=c++17", "-O3", "-fno-math-errno", "-fno-trapping-math"]
# Elsewhere compilers seldom have it, and on macOS a second OpenMP beside torch's own ends the process: one thread then.
THREADS = ["-fopenmp"] if sys.platform == "linux" else []
# By torch's name for the CPU. NEON needs no flag on ARM.
_X86 = {"AVX2": ["-mavx2", "-mfma"], "AVX512": ["-mavx512f", "-mavx512dq", "-mfma"]}
VECTORS = _X86 if platform.machine().lower() in ("x86_64", "amd64") else {}
