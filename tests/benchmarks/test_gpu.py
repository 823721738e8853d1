"""The script for who has a GPU, where there is none."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "gpu.sh"


@pytest.mark.skipif(torch.cuda.is_available(), reason="it would run for minutes")
def test_without_a_gpu_it_says_so_and_leaves_the_results_alone(tmp_path):
    environment = {**os.environ, "PYTHON": sys.executable, "RESULTS": str(tmp_path / "gpu.md")}
    done = subprocess.run(["bash", str(SCRIPT)], env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert "missing here: " in done.stdout
    assert "torch finds no GPU here" in done.stdout
    assert not (tmp_path / "gpu.md").exists()
