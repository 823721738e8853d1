"""The kernels compile for a GPU; what they compute is told by test_loops_triton.py."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("triton", reason="Triton is not installed")
SCRIPT = Path(__file__).parents[3] / "benchmarks" / "compile_kernels.py"


def test_the_kernels_compile_for_a_gpu_that_is_not_here_and_do_not_spill(tmp_path):
    command = [sys.executable, str(SCRIPT), "--capability", "9.0"]  # of the sizes that are measured
    environment = {**os.environ, "TRITON_CACHE_DIR": str(tmp_path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    for kernel in ("plain_forward", "plain_backward", "message_forward", "message_backward", "keys_of_texts"):
        assert kernel in done.stdout


def test_a_kernel_that_spills_is_a_failure():
    code = """
from benchmarks import compile_kernels as script
def compile_kernel(name, kernel, choices, capability):
    return script.Compiled(name, capability, 255, 8 * ("star" in name), 0, 0.1)
script.compile_kernel = compile_kernel
script.run_verb(script.main)
"""
    command = [sys.executable, "-c", code, "--capability", "9.0"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=SCRIPT.parents[1])
    assert done.returncode == 1, done.stderr
    assert done.stderr == "some kernels spill\n"
    assert "message_forward, star additive       9.0        255       8" in done.stdout
