"""Five GLUE tasks over a published encoder: the same small search for every architecture, then several seeds, one test.

    python -m benchmarks.glue --runs runs/glue --results benchmarks/results/glue.md -- \
        --config glue --encoder $GRAPHMTL_DATA/minilm

1. Every architecture is trained with each of `TRIALS` with the first seed; the trial with the best mean validation
   score is its own. ``single`` keeps each task's own best epoch. No test score is looked at.
2. With its trial it is trained with all ``--seeds`` and tested (tables and intervals as ``graphmtl compare`` has
   them). The first stage of ``adapter-fusion`` and the teachers of ``cmtr-taught`` are the runs of the same seed.
3. ``cmtr`` is trained again on shuffled labels (``--control-seeds``): gates that say something about the tasks differ
   between sources by more than there, and agree between seeds.

Finished runs are taken as they are; an unfinished one is resumed.
"""

import argparse
import shlex
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np

from benchmarks import grid
from graphmtl.cli import run_verb
from graphmtl.comparison.comparison import shown_command
from graphmtl.comparison.grid import check_same_data
from graphmtl.training.learning_curves import interval
from graphmtl.training.run import Run

TRIALS = ("--encoder-lr 3e-4 --lr 2e-3", "--encoder-lr 3e-4 --lr 5e-4")
ARCHS = {  # by the name in the tables: what is trained, after the one that it needs, if any
    "single": ("single", None),
    "shared": ("shared", None),
    "mmoe": ("mmoe", None),
    "ple": ("ple", None),
    "adapters": ("adapters", None),
    "adapter-fusion": ("adapter-fusion --adapters {needed}", "adapters"),
    "cmtr": ("cmtr", None),
    "cmtr-taught": ("cmtr --teachers {needed}", "shared"),  # what --teachers auto trains
}
AS = {"cmtr-taught": "cmtr"}  # whose trial is taken, without a search of its own


class Search:
    """The runs of all architectures in a folder, and which trial each has chosen.

    Args:
        runs: the folder.
        seed: of the search.
        extra: options of every run.
        trials: so many of `TRIALS`; with one there is nothing to search.
    """

    def __init__(self, *, runs: Path, seed: int, extra: Sequence[str], trials: int = len(TRIALS)):
        self.runs, self.seed, self.extra, self.trials = runs, seed, list(extra), TRIALS[:trials]
        self.validation: dict[str, list[float]] = {}  # of each trial, points

    def chosen(self, name: str) -> int:
        """The trial of the best validation score; it is found where it is not known yet."""
        if name in AS:
            return self.chosen(AS[name])
        if name not in self.validation:
            found = [self.run(name, trial, self.seed) for trial in range(len(self.trials))]
            self.validation[name] = [100 * run.metrics["mean"]["valid"] for run in found]
        return int(np.argmax(self.validation[name]))

    def run(self, name: str, trial: int, seed: int, *, shuffled: bool = False) -> Run:
        """A finished run; it is trained where it is not there."""
        text, needed = ARCHS[name]
        if needed is not None:
            text = text.replace("{needed}", str(self.run(needed, self.chosen(needed), seed).folder))
        arch, *own = shlex.split(text)
        path = grid.folder(self.runs, f"{name}{'-shuffled' if shuffled else ''}-{trial}", seed)
        control = ["--shuffle-labels"] if shuffled else []
        grid.train(path, arch, seed, [*self.extra, *own, *shlex.split(self.trials[trial]), *control])
        return Run.open(path)

    def rows(self) -> list[str]:
        """The validation scores of all trials; the chosen one is bold."""
        rows = ["| validation mean | " + " | ".join(f"`{trial}`" for trial in self.trials) + " |"]
        rows.append("|---" * (1 + len(self.trials)) + "|")
        for name, values in self.validation.items():
            best = int(np.argmax(values))
            cells = [f"**{value:.2f}**" if i == best else f"{value:.2f}" for i, value in enumerate(values)]
            rows.append(f"| {name} | " + " | ".join(cells) + " |")
        return rows


def gates_of(runs: Sequence[Run]) -> np.ndarray:
    """The gates of every run, percent: (seeds, K targets, K sources)."""
    return 100 * np.stack([run.task_graph.matrix() for run in runs])


def gate_rows(tasks: Sequence[str], gates: np.ndarray) -> list[str]:
    """The mean over seeds and its standard deviation, a row for each target."""
    mean, spread = gates.mean(0), gates.std(0, ddof=1) if len(gates) > 1 else np.zeros(gates.shape[1:])  # (K, K)
    rows = ["| reads | " + " | ".join(f"from {task}" for task in tasks) + " |", "|---" * (1 + len(tasks)) + "|"]
    for k, task in enumerate(tasks):
        cells = [f"{m:.1f} ± {s:.1f}" for m, s in zip(mean[k], spread[k], strict=True)]
        rows.append(f"| {task} | " + " | ".join(cells) + " |")
    return rows


def shares_of_others(gates: np.ndarray) -> np.ndarray:
    """What a task reads from each other one, as a percentage of all that it reads from others: (seeds, K, K - 1)."""
    K = gates.shape[-1]
    others = np.stack([np.delete(gates[:, k], k, axis=-1) for k in range(K)], 1)  # (seeds, K, K - 1)
    return 100 * others / others.sum(-1, keepdims=True)


def spread_between_sources(gates: np.ndarray) -> np.ndarray:
    """The standard deviation of those shares over the sources, the mean over targets: (seeds,)."""
    return shares_of_others(gates).std(-1).mean(-1)


def agreement(gates: np.ndarray) -> float:
    """The mean correlation of two seeds' shares, within targets; 0 where they have nothing in common."""
    shares = shares_of_others(gates)
    centred = (shares - shares.mean(-1, keepdims=True)).reshape(len(gates), -1)  # (seeds, K (K - 1))
    units = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-9)
    return float(np.mean([a @ b for a, b in combinations(units, 2)]))


def words(tasks: Sequence[str], gates: np.ndarray) -> list[str]:
    """What the mean gates say: a line for each task."""
    mean = gates.mean(0)  # (K, K)
    given = (mean.sum(0) - mean.diagonal()) / (len(tasks) - 1)  # (K,), to each other task
    lines = []
    for k, task in enumerate(tasks):
        order = [j for j in np.argsort(-mean[k]) if j != k]
        lines.append(
            f"- {task} reads {mean[k, k]:.0f} % from itself and most of the rest from {tasks[order[0]]} "
            f"({mean[k, order[0]]:.1f} %), least from {tasks[order[-1]]} ({mean[k, order[-1]]:.1f} %); "
            f"each other task reads {given[k]:.1f} % from it"
        )
    return lines


def gate_lines(runs: Sequence[Run], controls: Sequence[Run]) -> list[str]:
    """The gates, what they say, and the control's."""
    tasks = [*runs[0].model.tasks]
    gates, shuffled = gates_of(runs), gates_of(controls)
    ours, theirs = spread_between_sources(gates), spread_between_sources(shuffled)
    lines = [
        "The gates of `cmtr` on the test texts, percent, mean and standard deviation over seeds:",
        "",
        *gate_rows(tasks, gates),
        "",
        *words(tasks, gates),
        "",
        f"The same on shuffled labels, {len(controls)} seed(s):",
        "",
        *gate_rows(tasks, shuffled),
        "",
        "What a task reads from each other one, as a share of all it reads from others:",
        "",
        "| | trained | shuffled labels |",
        "|---|---|---|",
        f"| standard deviation over sources, points | {ours.mean():.2f} ± {_deviation(ours):.2f} "
        f"| {theirs.mean():.2f} ± {_deviation(theirs):.2f} |",
    ]
    if min(len(gates), len(shuffled)) > 1:
        lines.append(f"| correlation between seeds | {agreement(gates):.2f} | {agreement(shuffled):.2f} |")
        paired = [a - b for a, b in zip(ours, theirs, strict=False)]
        mean, low, high = interval(paired)
        lines += ["", f"The difference of the first row, the same seeds: {mean:+.2f} [{low:+.2f}, {high:+.2f}]."]
    return lines


def _deviation(values: np.ndarray) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else 0.0


def main(argv: list[str]) -> None:
    """Trains what is missing and writes the tables."""
    whole = argv
    argv, extra = (argv[: argv.index("--")], argv[argv.index("--") + 1 :]) if "--" in argv else (argv, [])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--archs", default=",".join(name for name in ARCHS if name != "adapters"))
    parser.add_argument("--seeds", default="0,1,2,3,4")
    parser.add_argument("--trials", type=int, default=len(TRIALS), help="so many of the search's; 1: no search")
    parser.add_argument("--control-seeds", default="0,1,2")
    parser.add_argument("--runs", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--results", type=Path, help="Markdown file; without it the tables are only printed")
    arguments = parser.parse_args(argv)
    seeds, control_seeds = (
        [int(n) for n in text.split(",") if n] for text in (arguments.seeds, arguments.control_seeds)
    )
    search = Search(runs=arguments.runs, seed=seeds[0], extra=extra, trials=arguments.trials)
    names = arguments.archs.split(",")
    trials = {name: search.chosen(name) for name in names}
    runs: Mapping[str, list[Run]] = {name: [] for name in names}
    for seed in seeds:  # seed by seed, so that what is there early is of all architectures
        for name in names:
            runs[name].append(search.run(name, trials[name], seed))
    check_same_data(runs)
    lines = [
        f"Command: `{shown_command(['python', '-m', 'benchmarks.glue', *whole])}`",
        "",
        grid.versions_line(runs, arguments.seeds),
        "",
        f"The search, seed {seeds[0]}, validation only; the chosen trial is bold:",
        "",
        *search.rows(),
        "",
        *grid.tables(runs),
    ]
    if "cmtr" in names and control_seeds:
        controls = [search.run("cmtr", trials["cmtr"], seed, shuffled=True) for seed in control_seeds]
        lines += ["", *gate_lines(runs["cmtr"], controls)]
    print("\n".join(lines))
    if arguments.results:
        arguments.results.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    run_verb(main)
