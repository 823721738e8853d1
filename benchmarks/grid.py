"""Architectures x seeds on one task set: trains what is missing, then compares, and writes a table in Markdown.

    python benchmarks/grid.py --archs single,shared,complete,star --seeds 0,1,2,3,4 --runs runs/planted \
        --results benchmarks/results/planted.md

What stands after ``--`` goes to every run (``-- --tasks fdu-mtl --hidden 32``); ``{seed}`` in it is the run's seed.
Finished runs are taken as they are and an unfinished one is resumed, so the command can be stopped and started again;
the runs of a grid are independent, so several processes may each train a part of it (``--archs``, ``--seeds``) over the
same folder.

Differences are paired. With one seed: the mean over tasks of the difference of accuracy or span F1 on the same test
examples, and a 95 % bootstrap interval (10,000 draws of test examples, within each task). With more: the mean of the
seeds' differences and a 95 % t interval over seeds, which says what hangs on the seed; with ``--bootstrap`` also the
interval over test examples, each of them scored by its mean over seeds, which says what hangs on the examples.
"""

import argparse
import os
import shlex
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

from graphmtl.cli import run_verb
from graphmtl.data.fingerprint import difference, read_fingerprint
from graphmtl.data.kind import NO_LABEL
from graphmtl.data.tags import spans
from graphmtl.data.task import Task
from graphmtl.errors import InputError
from graphmtl.evaluate import predict_run
from graphmtl.training.evaluation import Predictions
from graphmtl.training.run_folder import Run

_T_975 = (
    12.706,
    4.303,
    3.182,
    2.776,
    2.571,
    2.447,
    2.365,
    2.306,
    2.262,
)  # Student's t, 97.5 %, 1 to 9 degrees of freedom
_DRAWS, _AT_ONCE = 10_000, 500


def folder(runs: Path, arch: str, seed: int) -> Path:
    """Where a run of the grid is."""
    return runs / f"{arch}-{seed}"


def train(path: Path, arch: str, seed: int, extra: list[str]) -> None:
    """One run in a process of its own, unless it is finished."""
    if (path / "metrics.json").is_file():
        return
    extra = [each.replace("{seed}", str(seed)) for each in extra]
    command = ["-m", "graphmtl.run", "--arch", arch, "--seed", str(seed), "--output", str(path), "--resume", *extra]
    print(shlex.join(["python", *command]), flush=True)
    if subprocess.run([sys.executable, *command]).returncode:
        raise InputError(f"{path}: the run failed; its message stands above")


def check_same_data(runs: dict[str, list[Run]]) -> None:
    """Whether the runs of each seed were trained on the same data, as far as they say.

    Raises:
        InputError: a run was trained before its data changed, another after it.
    """
    for of_seed in zip(*runs.values(), strict=True):
        known = [(run, data) for run in of_seed if (data := read_fingerprint(run.folder / "data.json")) is not None]
        for (first, theirs), (other, ours) in pairwise(known):
            found = difference(theirs, ours, in_order=False)
            if found:
                raise InputError(f"{other.folder}: not trained on the data of {first.folder}: {found}; remove one")


def shares(task: Task, predictions: Predictions) -> np.ndarray:
    """Per test example the two numbers whose sums' ratio is the task's first metric: (examples, 2).

    Raises:
        InputError: the metric is no such ratio: neither accuracy nor span_f1.
    """
    metric = task.metrics[0]
    pairs = zip(predictions.answers, predictions.labels, strict=True)
    if metric == "accuracy":
        return np.array([_right(np.atleast_1d(answers), np.atleast_1d(labels)) for answers, labels in pairs], float)
    if metric == "span_f1":
        return np.array([_right_spans(task, answers, labels) for answers, labels in pairs], float)
    raise InputError(f"task {task.name}: no interval over test examples for {metric}; give several --seeds")


def _right(answers: np.ndarray, labels: np.ndarray) -> tuple[int, int]:
    known = labels != NO_LABEL
    return int((answers == labels)[known].sum()), int(known.sum())


def _right_spans(task: Task, tags: np.ndarray, labels: np.ndarray) -> tuple[int, int]:
    """F1 = 2 right / (predicted + true)."""
    known = [(tag, label) for tag, label in zip(tags, labels, strict=True) if label != NO_LABEL]
    found, true = (set(spans([task.labels[i] for i in own])) for own in zip(*known, strict=True))
    return 2 * len(found & true), len(found) + len(true)


def examples(seeds: list[Run]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """For every task, its :func:`shares`, the mean over seeds, and which examples' texts any training split has.

    Raises:
        InputError: the seeds have other test examples.
    """
    runs = [predict_run(run, "test") for run in seeds]
    found = {}
    for name, first in runs[0][1].items():
        own = [predictions[name] for _, predictions in runs]
        if any(not np.array_equal(_labels(each), _labels(first)) for each in own):
            raise InputError(f"task {name}: --bootstrap is for tasks whose test examples are the same for every seed")
        share = [shares(data[name].task, each) for (data, _), each in zip(runs, own, strict=True)]
        found[name] = np.mean(share, 0), np.any([np.asarray(each.seen) for each in own], 0)
    return found


def _labels(predictions: Predictions) -> np.ndarray:
    """All labels, one after the other."""
    return np.concatenate([np.ravel(each) for each in predictions.labels])


def bootstrap(ours: dict, theirs: dict, dedup: bool) -> tuple[float, float, float]:
    """Mean over tasks of the difference of their scores on the same examples, and its 95 % interval, in points."""
    generator = np.random.default_rng(0)
    total, drawn = 0.0, np.zeros(_DRAWS)
    for name, (mine, seen) in ours.items():
        kept = ~seen if dedup else np.full(len(seen), True)
        both = np.concatenate([mine[kept], theirs[name][0][kept]], 1)  # (examples, 4)
        total += _difference(both.sum(0))
        kinds, counts = np.unique(both, axis=0, return_counts=True)  # examples that are alike are drawn together
        for start in range(0, _DRAWS, _AT_ONCE):
            times = generator.multinomial(len(both), counts / len(both), size=_AT_ONCE)  # (draws, kinds)
            drawn[start : start + _AT_ONCE] += _difference(times @ kinds)  # (draws,)
    low, high = np.percentile(drawn, [2.5, 97.5])
    return tuple(100 * x / len(ours) for x in (total, low, high))


def _difference(sums: np.ndarray):
    """Our score minus theirs, from sums (..., 4)."""
    return sums[..., 0] / sums[..., 1] - sums[..., 2] / sums[..., 3]


def t_interval(values: list[float]) -> tuple[float, float, float]:
    """The mean of two values or more, and its 95 % t interval."""
    half = _T_975[len(values) - 2] * np.std(values, ddof=1) / len(values) ** 0.5
    return float(np.mean(values)), float(np.mean(values) - half), float(np.mean(values) + half)


def over_seeds(ours: list[Run], theirs: list[Run], split: str) -> tuple[float, float, float]:
    """Mean of the seeds' differences of the mean test score, and its 95 % t interval, in points."""
    differences = [
        100 * (a.metrics["mean"][split] - b.metrics["mean"][split]) for a, b in zip(ours, theirs, strict=True)
    ]
    return t_interval(differences)


def scores_rows(runs: dict[str, list[Run]]) -> list[str]:
    """The means of every architecture, in percent, with the standard deviation over seeds."""
    rows = [
        "| arch | validation | test | test_dedup | parameters | best epoch | training, minutes | tokens per second |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for arch, seeds in runs.items():
        cells = []
        for split in ("valid", "test", "test_dedup"):
            values = [100 * run.metrics["mean"][split] for run in seeds]
            cells.append(f"{np.mean(values):.2f}" + (f" ± {np.std(values, ddof=1):.2f}" if len(values) > 1 else ""))
        epochs = [run.metrics["best_epoch"] for run in seeds]
        epochs = [
            epoch if isinstance(epoch, int) else f"{min(epoch.values())} to {max(epoch.values())}" for epoch in epochs
        ]
        minutes = np.mean([run.metrics["train_seconds"] for run in seeds]) / 60
        speed = np.mean([run.metrics["tokens_per_second"] for run in seeds])
        cells += [f"{seeds[0].metrics['parameters']:,}", ", ".join(map(str, epochs)), f"{minutes:.1f}", f"{speed:,.0f}"]
        rows.append(f"| {arch} | " + " | ".join(cells) + " |")
    return rows


def task_rows(runs: dict[str, list[Run]]) -> list[str]:
    """Each task's test score, the mean over seeds."""
    rows = ["| task | n_train | " + " | ".join(runs) + " |", "|---" * (2 + len(runs)) + "|"]
    for name, task in next(iter(runs.values()))[0].metrics["tasks"].items():
        means = [
            np.mean([run.metrics["tasks"][name]["test"][task["metric"]] for run in seeds]) for seeds in runs.values()
        ]
        rows.append(f"| {name} | {task['n_train']} | " + " | ".join(f"{100 * mean:.1f}" for mean in means) + " |")
    return rows


def difference_rows(runs: dict[str, list[Run]], *, by_example: bool) -> list[str]:
    """Every architecture against those before it, with the interval over test examples or over seeds."""
    rows = ["| difference of mean scores, points | test | test_dedup |", "|---|---|---|"]
    scored = {arch: examples(seeds) for arch, seeds in runs.items()} if by_example else {}
    names = list(runs)
    for i, better in enumerate(names):
        for worse in names[:i]:
            if by_example:
                both = [bootstrap(scored[better], scored[worse], dedup) for dedup in (False, True)]
            else:
                both = [over_seeds(runs[better], runs[worse], split) for split in ("test", "test_dedup")]
            cells = [f"{mean:+.2f} [{low:+.2f}, {high:+.2f}]" for mean, low, high in both]
            rows.append(f"| {better} - {worse} | " + " | ".join(cells) + " |")
    return rows


def main(argv: list[str]) -> None:
    """Trains what is missing and writes the table."""
    argv, extra = (argv[: argv.index("--")], argv[argv.index("--") + 1 :]) if "--" in argv else (argv, [])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--archs", default="single,shared,complete,star")
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--runs", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--results", type=Path, help="Markdown file; without it the table is only printed")
    parser.add_argument("--bootstrap", action="store_true", help="with several seeds: also over test examples")
    arguments = parser.parse_args(argv)
    seeds = [int(seed) for seed in arguments.seeds.split(",")]
    runs = {}
    for arch in arguments.archs.split(","):
        for seed in seeds:
            train(folder(arguments.runs, arch, seed), arch, seed, extra)
        runs[arch] = [Run.open(folder(arguments.runs, arch, seed)) for seed in seeds]
    check_same_data(runs)
    versions = next(iter(runs.values()))[0].metrics["versions"]
    command = shlex.join(["python", "benchmarks/grid.py", *argv, *(["--", *extra] if extra else [])])
    if data := os.environ.get("GRAPHMTL_DATA"):
        command = command.replace(data, "$GRAPHMTL_DATA")
    differences = []
    if len(seeds) > 1:
        rows = difference_rows(runs, by_example=False)
        differences += ["Differences, with a 95 % t interval over seeds, paired:", "", *rows, ""]
    if len(seeds) == 1 or arguments.bootstrap:
        rows = difference_rows(runs, by_example=True)
        differences += ["Differences, with a 95 % bootstrap interval over test examples:", "", *rows, ""]
    lines = [
        f"Command: `{command}`",
        "",
        f"Seeds {arguments.seeds}; {torch.get_num_threads()} thread(s); "
        + ", ".join(f"{name} {version}" for name, version in versions.items())
        + ".",
        "",
        *scores_rows(runs),
        "",
        *differences,
        "Test score of each task:",
        "",
        *task_rows(runs),
    ]
    print("\n".join(lines))
    if arguments.results:
        arguments.results.parent.mkdir(parents=True, exist_ok=True)
        arguments.results.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    run_verb(main)
