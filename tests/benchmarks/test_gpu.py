"""The script for who has a GPU, where there is none."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "gpu.sh"


@pytest.fixture
def run(tmp_path):
    def run(python):
        environment = {**os.environ, "PYTHON": str(python), "RESULTS": str(tmp_path / "gpu.md")}
        return subprocess.run(["bash", str(SCRIPT)], env=environment, capture_output=True, text=True)

    return run


@pytest.mark.skipif(torch.cuda.is_available(), reason="it would run for minutes")
def test_without_a_gpu_it_says_so_and_leaves_the_results_alone(run, tmp_path):
    done = run(sys.executable)
    assert done.returncode == 2
    (line,) = done.stdout.splitlines()
    assert line.startswith("missing here: ")
    assert line.endswith("a GPU that torch finds")
    assert not (tmp_path / "gpu.md").exists()


def test_on_a_bare_machine_it_names_all_that_is_missing(run, tmp_path):
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec "{sys.base_prefix}/bin/python3" -I -S "$@"\n')  # without site-packages
    bare.chmod(0o755)
    done = run(bare)
    assert done.returncode == 2
    (line,) = done.stdout.splitlines()
    assert line.startswith("missing here: torch, triton, accelerate")
