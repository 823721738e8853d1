"""How good the baselines are, and how long they take.

    python -m benchmarks.baselines

``--tasks`` and ``--data-dir`` are those of ``graphmtl run``; the default is the generated set with five seeds, of the
texts and of the validation splits. Nothing is kept from one time to the next. Printed are tables in Markdown: the mean
of the tasks' first metrics with its standard deviation between seeds, the processor's seconds, and the scores of every
task.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from graphmtl.baselines import read_baselines
from graphmtl.baselines.tfidf import Tfidf
from graphmtl.cli import run_verb
from graphmtl.data.loading import load_tasks
from graphmtl.data.task import TaskSet
from graphmtl.registry import BASELINES
from graphmtl.training.evaluation import Predictions, score

_SPLITS = ("valid", "test", "test_dedup")
_Scores = dict[str, dict[str, float]]
"""By split and task."""


class TfidfAtOne(Tfidf):
    """``tfidf`` with C = 1, so that nothing is chosen."""

    strengths = (1.0,)


def scores(tasks: TaskSet, found: Mapping[str, Mapping[str, Predictions]]) -> _Scores:
    """The first metric of each task on each split."""
    unseen = {task: own.unseen() for task, own in found["test"].items()}
    every = {split: {**found, "test_dedup": unseen}[split] for split in _SPLITS}
    return {
        split: {task: score(tasks[task].task, each)[tasks[task].task.metrics[0]] for task, each in own.items()}
        for split, own in every.items()
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", default="planted")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--baselines", default=",".join(BASELINES), help="names, or module:Class, with commas between")
    given = parser.parse_args(argv)
    names = given.baselines.split(",")
    found: dict[str, list[_Scores]] = {name: [] for name in names}
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for seed in range(given.seeds):
        tasks = load_tasks(given.tasks, data_dir=given.data_dir, seed=seed)
        for name in names:
            with tempfile.TemporaryDirectory() as folder:
                began = time.process_time()
                said = read_baselines(tasks, folder=Path(folder), seed=seed, names=[name])[name]
                seconds[name].append(time.process_time() - began)
            found[name].append(scores(tasks, said))
    print(f"| baseline | {' | '.join(_SPLITS)} | s |\n|---|{'---|' * (len(_SPLITS) + 1)}")
    for name, own in found.items():
        means = [_spread([statistics.mean(each[split].values()) for each in own]) for split in _SPLITS]
        print(f"| {name} | {' | '.join(means)} | {statistics.mean(seconds[name]):.1f} |")
    print(f"\n| task, test | {' | '.join(names)} |\n|---|{'---|' * len(names)}")
    for task in tasks:
        cells = [_spread([each["test"][task] for each in own if task in each["test"]]) for own in found.values()]
        print(f"| {task} | {' | '.join(cells)} |")


def _spread(values: Sequence[float]) -> str:
    """The mean in %, and the standard deviation of several values."""
    if not values:
        return "-"
    spread = f" ± {100 * statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{100 * statistics.mean(values):.1f}{spread}"


if __name__ == "__main__":
    run_verb(main)
