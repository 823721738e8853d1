"""Architectures x seeds on one task set: trains what is missing, then compares, and writes the tables in Markdown.

    python benchmarks/grid.py --archs single,shared,complete,star --seeds 0,1,2,3,4 --runs runs/planted \
        --results benchmarks/results/planted.md

It is ``graphmtl compare`` without baselines and without a report, and each run is ``RUNS/NAME-SEED``. What stands
after ``--`` goes to every run (``-- --tasks fdu-mtl --hidden 32``); ``{seed}`` in it is the run's seed.
``--variant NAME "ARCH OPTIONS"`` makes NAME, which ``--archs`` may have, an architecture with options of its own:
``--variant taught "cmtr --teachers runs/single-{seed}"``.
Finished runs are taken as they are and an unfinished one is resumed, so the command can be stopped and started again;
several processes may each train a part of it (``--archs``, ``--seeds``) over the same folder.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from graphmtl.arguments import seeds_of
from graphmtl.cli import run_verb
from graphmtl.comparison.comparing import Compared
from graphmtl.comparison.comparison import shown_command
from graphmtl.comparison.grid import Cell, check_same_data, train_cells
from graphmtl.comparison.rows import rows_of_runs
from graphmtl.comparison.tables import markdown
from graphmtl.comparison.variants import variants
from graphmtl.errors import InputError
from graphmtl.training.run import Run


def folder(runs: Path, arch: str, seed: int) -> Path:
    """Where a run of the grid is."""
    return runs / f"{arch}-{seed}"


def train(path: Path, arch: str, seed: int, extra: Sequence[str]) -> None:
    """One run in a process of its own, unless it is finished."""
    own = (each.replace("{seed}", str(seed)) for each in extra)
    flags = ("--control", "never", "--arch", arch, "--seed", str(seed), *own)
    if train_cells([Cell(name=path.name, seed=seed, folder=path, flags=flags)]):
        raise InputError(f"{path}: the run failed; its message stands above")


def tables(runs: Mapping[str, Sequence[Run]]) -> list[str]:
    """All tables of a grid, as lines of Markdown."""
    rows, seeds = rows_of_runs(runs)
    return markdown(Compared(rows, seeds=seeds))


def versions_line(runs: Mapping[str, Sequence[Run]], seeds: str) -> str:
    """Under what the runs were made."""
    versions = next(iter(runs.values()))[0].metrics["versions"]
    named = ", ".join(f"{name} {version}" for name, version in versions.items())
    return f"Seeds {seeds}; {torch.get_num_threads()} thread(s); {named}."


def main(argv: list[str]) -> None:
    """Trains what is missing and writes the table."""
    whole = argv
    argv, extra = (argv[: argv.index("--")], argv[argv.index("--") + 1 :]) if "--" in argv else (argv, [])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--archs", default="single,shared,complete,star")
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--runs", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--results", type=Path, help="Markdown file; without it the table is only printed")
    parser.add_argument("--variant", nargs=2, action="append", default=[], metavar=("NAME", "ARCH OPTIONS"))
    arguments = parser.parse_args(argv)
    seeds, names = seeds_of(arguments.seeds), arguments.archs.split(",")
    runs = {}
    for variant in variants(names, own=[each for each in arguments.variant if each[0] in names]):
        for seed in seeds:
            train(folder(arguments.runs, variant.name, seed), variant.arch, seed, [*extra, *variant.flags])
        runs[variant.name] = [Run.open(folder(arguments.runs, variant.name, seed)) for seed in seeds]
    check_same_data(runs)
    command = shown_command(["python", "-m", "benchmarks.grid", *whole])
    lines = [f"Command: `{command}`", "", versions_line(runs, arguments.seeds), "", *tables(runs)]
    print("\n".join(lines))
    if arguments.results:
        arguments.results.parent.mkdir(parents=True, exist_ok=True)
        arguments.results.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    run_verb(main)
