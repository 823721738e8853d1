"""A task set and options so small that a whole run takes a second."""

import contextlib
import io
import random
from dataclasses import dataclass
from pathlib import Path

from graphmtl.cli import main
from graphmtl.training.run import Run

OPTIONS = {
    "planted_parents": 1,
    "planted_poor_parents": 0,
    "planted_loners": 0,
    "planted_unrelated": 0,
    "planted_children": 1,
    "planted_parents_per_child": 1,
    "planted_rich": 60,
    "planted_poor": 30,
    "planted_test": 40,
    "planted_words": 10,
    "planted_filler": 20,
    "planted_length": 8,
    "hidden": 8,
    "attention": 8,
    "embedding_size": 8,
    "epochs": 2,
    "lr": 0.01,
    "batch_size": 16,
    "affinity_probe": 5,
    "device": "cpu",
    "progress": False,
    "control": "never",
}
TASKS = ("pairs", "parent1", "child1")

_TASK_FILE = """
tasks:
  pairs:
    train: train.tsv
    test: test.tsv
    valid: 0.25
    text: [premise, hypothesis]
    labels: ["no", maybe, "yes"]
    metrics: [f1, accuracy]
"""


@dataclass(frozen=True)
class Finished:
    """A finished run, and what the command printed."""

    run: Run
    printed: str


def write_tasks(folder: Path) -> str:
    """Files of a task of pairs with three labels, some test texts of which stand in training; for ``--tasks``."""
    rng = random.Random(0)
    words = ["good", "bad", "film", "book", "it", "is", "not", "never", "very", "dull"]
    lines = [
        f"{' '.join(rng.choices(words, k=6))}\t{' '.join(rng.choices(words, k=4))}\t{label}"
        for label in ("no", "maybe", "yes") * 20
    ]
    for name, chosen in {"train": lines[:40], "test": [*lines[40:], *lines[:8]]}.items():
        (folder / f"{name}.tsv").write_text("".join(f"{line}\n" for line in ["premise\thypothesis\tlabel", *chosen]))
    (folder / "tasks.yaml").write_text(_TASK_FILE)
    return f"{folder / 'tasks.yaml'}+planted"


def flags(**options) -> list[str]:
    """Options by name as a command line has them."""
    arguments = []
    for name, value in options.items():
        flag = name.replace("_", "-")
        arguments += [f"--{'' if value else 'no-'}{flag}"] if isinstance(value, bool) else [f"--{flag}", str(value)]
    return arguments


def run(**options) -> Finished:
    """``graphmtl run`` with the tiny options and others."""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        main(["run", *flags(**OPTIONS | options)])
    return Finished(Run.open(options["output"]), printed.getvalue())


def without_clock(metrics: dict) -> dict:
    """``metrics.json`` without what differs from run to run."""
    return {key: value for key, value in metrics.items() if key not in ("train_seconds", "tokens_per_second")}
