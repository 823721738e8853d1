"""Architectures x seeds on one task set: trains what is missing, then compares, and writes a table in Markdown.

    python benchmarks/grid.py --archs single,shared,complete,star --seeds 0,1,2,3,4 --runs runs/planted \
        --results benchmarks/results/planted.md

What stands after ``--`` goes to every run (``-- --tasks fdu-mtl --hidden 32``); ``{seed}`` in it is the run's seed.
``--variant NAME "ARCH OPTIONS"`` makes NAME, which ``--archs`` may have, an architecture with options of its own:
``--variant taught "cmtr --teachers runs/single-{seed}"``.
Finished runs are taken as they are and an unfinished one is resumed, so the command can be stopped and started again;
the runs of a grid are independent, so several processes may each train a part of it (``--archs``, ``--seeds``) over the
same folder.

Differences are paired. With one seed: the mean over tasks of the difference of the first metric (accuracy, span F1, F1
of the positive label, Matthews' correlation of two labels, Pearson's) on the same test examples, and a 95 % bootstrap
interval (10,000 draws of test examples, within each task). With more: the mean of the seeds' differences and a 95 % t
interval over seeds, which says what hangs on the seed; with ``--bootstrap`` also the interval over test examples, which
says what hangs on the examples, one for which seeds and examples are drawn, and each task's.
"""

import argparse
import os
import shlex
import subprocess
import sys
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

from graphmtl.cli import run_verb
from graphmtl.data.batching import EncodedTask
from graphmtl.data.fingerprint import difference, read_fingerprint
from graphmtl.data.kind import NO_LABEL
from graphmtl.data.tags import spans
from graphmtl.data.task import Task
from graphmtl.errors import InputError
from graphmtl.evaluate import predict, read_run
from graphmtl.training.evaluation import Predictions
from graphmtl.training.run_data import read_frozen_once
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


@dataclass(frozen=True, kw_only=True)
class Scored:
    """What a task's first metric is made of on the test examples.

    Attributes:
        sums: (seeds, examples, S), numbers of each example; a metric of some examples follows from their sum.
        seen: (examples,) bool, whose text any training split has.
        score: sums over examples (..., S) to scores (...).
        in_mean: the task is in the mean over tasks.
    """

    sums: np.ndarray
    seen: np.ndarray
    score: Callable[[np.ndarray], np.ndarray]
    in_mean: bool = True


def sums_of(task: Task, predictions: Predictions) -> tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]:
    """Per test example the numbers whose sums the task's first metric follows from, (examples, S), and how it does.

    Raises:
        InputError: the metric is none of these.
    """
    metric = task.metrics[0]
    pairs = zip(predictions.answers, predictions.labels, strict=True)
    if metric == "accuracy":
        return np.array(
            [_right(np.atleast_1d(answers), np.atleast_1d(labels)) for answers, labels in pairs], float
        ), _ratio
    if metric == "span_f1":
        return np.array([_right_spans(task, answers, labels) for answers, labels in pairs], float), _ratio
    if metric == "f1" and task.positive is not None:
        positive = task.labels.index(task.positive)
        return _right_positives(predictions.answers == positive, predictions.labels == positive), _ratio
    if metric == "pearson" or (metric == "matthews" and len(task.labels) == 2):
        return _moments(np.asarray(predictions.answers, float), np.asarray(predictions.labels, float)), _correlation
    raise InputError(f"task {task.name}: no interval over test examples for {metric}; give several --seeds")


def _right(answers: np.ndarray, labels: np.ndarray) -> tuple[int, int]:
    known = labels != NO_LABEL
    return int((answers == labels)[known].sum()), int(known.sum())


def _right_spans(task: Task, tags: np.ndarray, labels: np.ndarray) -> tuple[int, int]:
    """F1 = 2 right / (predicted + true)."""
    known = [(tag, label) for tag, label in zip(tags, labels, strict=True) if label != NO_LABEL]
    found, true = (set(spans([task.labels[i] for i in own])) for own in zip(*known, strict=True))
    return 2 * len(found & true), len(found) + len(true)


def _right_positives(answers: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The same of the positive label, from (examples,) bool: (examples, 2)."""
    return np.stack([2.0 * (answers & labels), 1.0 * answers + labels], 1)


def _moments(answers: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """What a correlation follows from: (examples, 6). Of two labels, 0 and 1, it is Matthews'."""
    x, y = answers - labels.mean(), labels - labels.mean()  # so that no digits are lost in the difference of two sums
    return np.stack([np.ones_like(x), x, y, x * x, y * y, x * y], 1)


def _ratio(sums: np.ndarray) -> np.ndarray:
    return sums[..., 0] / np.maximum(sums[..., 1], 1)


def _correlation(sums: np.ndarray) -> np.ndarray:
    n, x, y, xx, yy, xy = np.moveaxis(sums, -1, 0)
    of = np.maximum(n * xx - x * x, 0) * np.maximum(n * yy - y * y, 0)
    return np.divide(n * xy - x * y, np.sqrt(of), out=np.zeros_like(of), where=of > 1e-9 * n)


def predict_test(run: Run) -> tuple[dict[str, EncodedTask], dict[str, Predictions]]:
    """The data of a finished run, and what its model predicts on the test splits; what is frozen is not read anew."""
    data, model = read_run(run), run.model
    read_frozen_once(model, (task.test for task in data.values()), tell=False, progress=False)
    return data, predict(run, data, "test", model)


def examples(seeds: list[Run]) -> dict[str, Scored]:
    """For every task, how the test examples were answered with each seed.

    Raises:
        InputError: the seeds have other test examples.
    """
    runs = [predict_test(run) for run in seeds]
    found = {}
    for name, first in runs[0][1].items():
        own = [predictions[name] for _, predictions in runs]
        if any(not np.array_equal(_labels(each), _labels(first)) for each in own):
            raise InputError(f"task {name}: --bootstrap is for tasks whose test examples are the same for every seed")
        task = runs[0][0][name].task
        sums, (score, *_) = zip(*(sums_of(task, each) for each in own), strict=True)
        seen = np.any([np.asarray(each.seen) for each in own], 0)
        found[name] = Scored(sums=np.stack(sums), seen=seen, score=score, in_mean=task.in_mean)
    return found


def _labels(predictions: Predictions) -> np.ndarray:
    """All labels, one after the other."""
    return np.concatenate([np.ravel(each) for each in predictions.labels])


def drawn_scores(scored: Scored, name: str, *, dedup: bool = False) -> np.ndarray:
    """A task's score with each seed, on its test examples and on 10,000 draws of as many: (1 + draws, seeds).

    The draws are the same for every run of the task, so that differences are paired.
    """
    sums = scored.sums[:, ~scored.seen] if dedup else scored.sums  # (seeds, examples, S)
    seeds, n, S = sums.shape
    flat = sums.transpose(1, 0, 2).reshape(n, seeds * S)
    drawn = [np.ones((1, n)) @ flat]
    times = _drawn_times(name, n)
    drawn += [times[i : i + _AT_ONCE].astype(float) @ flat for i in range(0, _DRAWS, _AT_ONCE)]  # (draws, seeds * S)
    return scored.score(np.concatenate(drawn).reshape(-1, seeds, S))


@lru_cache(maxsize=64)
def _drawn_times(name: str, n: int) -> np.ndarray:
    """How often each of n examples is drawn, (draws, n)."""
    generator = np.random.default_rng(zlib.crc32(name.encode()))
    some = (generator.multinomial(n, np.full(n, 1 / n), size=_AT_ONCE) for _ in range(0, _DRAWS, _AT_ONCE))
    return np.concatenate([each.astype(np.uint16) for each in some])


def mean_scores(scored: Mapping[str, Scored], *, dedup: bool = False) -> np.ndarray:
    """The mean over the tasks that are in it, likewise: (1 + draws, seeds)."""
    own = {name: each for name, each in scored.items() if each.in_mean} or scored
    return np.mean([drawn_scores(each, name, dedup=dedup) for name, each in own.items()], 0)


def bootstrap(
    ours: np.ndarray, theirs: np.ndarray, *, seeds: bool = False, tasks: int = 1
) -> tuple[float, float, float]:
    """The difference of the means over seeds and its 95 % interval, in points.

    Args:
        ours: of `drawn_scores` or `mean_scores`, (1 + draws, seeds).
        theirs: of the same test examples and seeds.
        seeds: seeds are drawn too, and not the examples alone.
        tasks: of so many intervals all shall hold at once (Bonferroni).
    """
    difference = 100 * (ours - theirs)  # (1 + draws, seeds)
    drawn = difference[1:]
    if seeds:
        places = np.random.default_rng(0).integers(drawn.shape[1], size=drawn.shape)  # (draws, seeds)
        drawn = np.take_along_axis(drawn, places, 1)
    low, high = np.percentile(drawn.mean(1), [2.5 / tasks, 100 - 2.5 / tasks])
    return float(difference[0].mean()), float(low), float(high)


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


def difference_rows(runs: dict[str, list[Run]]) -> list[str]:
    """Every architecture against those before it, with the interval over seeds."""
    rows = ["| difference of mean scores, points | test | test_dedup |", "|---|---|---|"]
    for better, worse in _pairs(runs):
        both = [over_seeds(runs[better], runs[worse], split) for split in ("test", "test_dedup")]
        rows.append(f"| {better} - {worse} | " + " | ".join(map(_interval, both)) + " |")
    return rows


def bootstrap_rows(scored: Mapping[str, Mapping[str, Scored]]) -> list[str]:
    """The same with intervals over test examples, and, of several seeds, over both."""
    several = next(iter(next(iter(scored.values())).values())).sums.shape[0] > 1
    headings = ["test", "test_dedup", *(["test, seeds drawn too"] if several else [])]
    rows = ["| difference of mean scores, points | " + " | ".join(headings) + " |", "|---" * (1 + len(headings)) + "|"]
    drawn = {arch: [mean_scores(own, dedup=dedup) for dedup in (False, True)] for arch, own in scored.items()}
    for better, worse in _pairs(scored):
        both = [bootstrap(*pair) for pair in zip(drawn[better], drawn[worse], strict=True)]
        both += [bootstrap(drawn[better][0], drawn[worse][0], seeds=True)] if several else []
        rows.append(f"| {better} - {worse} | " + " | ".join(map(_interval, both)) + " |")
    return rows


def task_difference_rows(scored: Mapping[str, Mapping[str, Scored]]) -> list[str]:
    """Each task's difference to the first architecture, seeds and examples drawn, and which are below it."""
    first, *others = scored
    rows = [f"| test, points beyond {first} | " + " | ".join(others) + " |", "|---" * (1 + len(others)) + "|"]
    below = []
    for name, theirs in scored[first].items():
        drawn = drawn_scores(theirs, name)
        cells = []
        for arch in others:
            ours = drawn_scores(scored[arch][name], name)
            cells.append(_interval(bootstrap(ours, drawn, seeds=True)))
            if bootstrap(ours, drawn, seeds=True, tasks=len(scored[first]))[2] < 0:
                below.append(f"{name} with {arch}")
        rows.append(f"| {name} | " + " | ".join(cells) + " |")
    found = ", ".join(below) or "none"
    return [*rows, "", f"Below {first} by more than chance, intervals corrected for the number of tasks: {found}."]


def _pairs(archs: Sequence[str] | Mapping[str, object]) -> list[tuple[str, str]]:
    names = list(archs)
    return [(better, worse) for i, better in enumerate(names) for worse in names[:i]]


def _interval(values: tuple[float, float, float]) -> str:
    mean, low, high = values
    return f"{mean:+.2f} [{low:+.2f}, {high:+.2f}]"


def tables(runs: dict[str, list[Run]], *, by_example: bool) -> list[str]:
    """All tables of a grid, as lines of Markdown."""
    several = len(next(iter(runs.values()))) > 1
    lines = [*scores_rows(runs), ""]
    if several:
        lines += ["Differences, with a 95 % t interval over seeds, paired:", "", *difference_rows(runs), ""]
    if by_example or not several:
        scored = {arch: examples(seeds) for arch, seeds in runs.items()}
        rows = bootstrap_rows(scored)
        lines += ["Differences, with a 95 % bootstrap interval over test examples:", "", *rows, ""]
        if len(runs) > 1:
            lines += ["The same of each task, seeds and examples drawn:", "", *task_difference_rows(scored), ""]
    return [*lines, "Test score of each task:", "", *task_rows(runs)]


def versions_line(runs: Mapping[str, list[Run]], seeds: str) -> str:
    """Under what the runs were made."""
    versions = next(iter(runs.values()))[0].metrics["versions"]
    named = ", ".join(f"{name} {version}" for name, version in versions.items())
    return f"Seeds {seeds}; {torch.get_num_threads()} thread(s); {named}."


def shown_command(script: str, argv: Sequence[str]) -> str:
    """A command for a page of results, without folders of this machine."""
    command = shlex.join(["python", "-m", f"benchmarks.{script}", *argv])
    data = os.environ.get("GRAPHMTL_DATA")
    return command.replace(data, "$GRAPHMTL_DATA") if data else command


def main(argv: list[str]) -> None:
    """Trains what is missing and writes the table."""
    whole = argv
    argv, extra = (argv[: argv.index("--")], argv[argv.index("--") + 1 :]) if "--" in argv else (argv, [])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--archs", default="single,shared,complete,star")
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--runs", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--results", type=Path, help="Markdown file; without it the table is only printed")
    parser.add_argument("--bootstrap", action="store_true", help="with several seeds: also over test examples")
    parser.add_argument("--variant", nargs=2, action="append", default=[], metavar=("NAME", "ARCH OPTIONS"))
    arguments = parser.parse_args(argv)
    seeds = [int(seed) for seed in arguments.seeds.split(",")]
    variants = {name: shlex.split(options) for name, options in arguments.variant}
    runs = {}
    for name in arguments.archs.split(","):
        arch, *own = variants.get(name, [name])
        for seed in seeds:
            train(folder(arguments.runs, name, seed), arch, seed, [*extra, *own])
        runs[name] = [Run.open(folder(arguments.runs, name, seed)) for seed in seeds]
    check_same_data(runs)
    lines = [
        f"Command: `{shown_command('grid', whole)}`",
        "",
        versions_line(runs, arguments.seeds),
        "",
        *tables(runs, by_example=arguments.bootstrap),
    ]
    print("\n".join(lines))
    if arguments.results:
        arguments.results.parent.mkdir(parents=True, exist_ok=True)
        arguments.results.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    run_verb(main)
