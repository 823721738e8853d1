"""The kernels compile for a GPU; what they compute is told by test_loops_triton.py."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("triton", reason="Triton is not installed")
SCRIPT = Path(__file__).parents[3] / "benchmarks" / "compile_kernels.py"


def test_the_kernels_compile_for_a_gpu_that_is_not_here_and_do_not_spill(tmp_path):
    command = [sys.executable, str(SCRIPT), "--capability", "9.0", "--hidden", "8", "--attention", "4", "--batch", "2"]
    environment = {**os.environ, "TRITON_CACHE_DIR": str(tmp_path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    for kernel in ("plain_forward", "plain_backward", "message_forward", "message_backward", "keys_of_texts"):
        assert kernel in done.stdout
