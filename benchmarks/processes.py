"""Tokens per second of a training in one process and in two, which torchrun starts.

    python -m benchmarks.processes --archs shared,star --rounds 3 --results benchmarks/results/processes.md

Every round trains each architecture with each number of processes once, one after the other, so that what else runs on
the machine falls on all alike. What is told is the median over the rounds of ``tokens_per_second`` of ``metrics.json``:
padding, evaluation and the start of the processes are not in it.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from graphmtl.cli import run_verb

_OPTIONS = ["--device", "cpu", "--epochs", "2", "--no-progress", "--no-baselines", "--control", "never", "--overwrite"]


def speed(arch: str, processes: int, batch_size: int, folder: Path) -> float:
    """Tokens per second of a run of so many processes on the generated task set."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
    run = ["-m", "graphmtl.run", "--arch", arch, "--batch-size", str(batch_size), "--output", str(folder), *_OPTIONS]
    command = [sys.executable, *(launcher if processes > 1 else []), *run]
    done = subprocess.run(command, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: exit code {done.returncode}: {done.stderr[-500:]}")
    return float(json.loads((folder / "metrics.json").read_text())["tokens_per_second"])


def table(found: Mapping[tuple[str, int], Mapping[int, Sequence[float]]]) -> list[str]:
    """The medians as lines of Markdown.

    Args:
        found: by architecture and batch size the tokens per second of every round, by number of processes.
    """
    lines = ["| arch | texts of a batch | 1 process | 2 processes | ratio |", "|---|--:|--:|--:|--:|"]
    for (arch, size), own in found.items():
        one, two = (statistics.median(own[processes]) for processes in (1, 2))
        lines.append(f"| {arch} | {size} | {one:,.0f} | {two:,.0f} | {two / one:.2f} |")
    return lines


def main(argv: Sequence[str]) -> None:
    """See the top of this file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--archs", default="shared,star")
    parser.add_argument("--batch-sizes", default="32,256", help="of all processes together")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--results", type=Path, help="Markdown file; without it the table is only printed")
    arguments = parser.parse_args(argv)
    settings = [(arch, int(size)) for arch in arguments.archs.split(",") for size in arguments.batch_sizes.split(",")]
    found: dict[tuple[str, int], dict[int, list[float]]] = {setting: {1: [], 2: []} for setting in settings}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(arguments.rounds):
            for (arch, size), own in found.items():
                for processes, speeds in own.items():
                    speeds.append(speed(arch, processes, size, Path(folder) / "run"))
                    print(f"{arch}, {size} texts, {processes} processes: {speeds[-1]:,.0f}", flush=True)
    load = os.getloadavg()[2]
    lines = [
        f"Command: `python -m benchmarks.processes {' '.join(argv)}`; tokens per second, the median of "
        f"{arguments.rounds}; {os.cpu_count()} CPU cores, the load over the last 15 minutes {load:.1f}.",
        "",
        *table(found),
    ]
    print("\n".join(lines))
    if arguments.results:
        arguments.results.write_text("\n".join([*lines, ""]), encoding="utf-8")


if __name__ == "__main__":
    run_verb(main)
