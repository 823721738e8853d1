"""Do linear models of words read from the tasks that help? Their graph (``--wide``) on the planted task set.

    python -m benchmarks.linear_graph --seeds 20,21,22,23,24 --results benchmarks/results/linear-graph.md

Nothing else is trained, so that a seed takes seconds. What stands after ``--`` goes to every task set, such as
``--planted-children 6``. On shuffled labels every edge that is drawn is one of chance.
"""

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.planted_graph import interval
from graphmtl.analysis.faithfulness import true_edges
from graphmtl.cli import run_verb
from graphmtl.data.task import TaskSet
from graphmtl.graph.comparison import auroc
from graphmtl.graph.evidence import evidence
from graphmtl.options.command_line import parse_options
from graphmtl.training.building import build_model
from graphmtl.training.experiment import encode_tasks
from graphmtl.training.linear_graph import LinearGraph
from graphmtl.training.run_data import load_run_tasks
from graphmtl.training.wide import fit_wide_parts


class Drawn(NamedTuple):
    """What is above what is read by chance: of each kind of edge, how many there are and how many are drawn."""

    true: tuple[int, int]
    back: tuple[int, int]  # from a child to its parent
    siblings: tuple[int, int]
    others: tuple[int, int]


def read(seed: int, extra: Sequence[str], *, shuffled: bool = False) -> tuple[TaskSet, LinearGraph | None]:
    """The planted tasks of a seed, and whom their linear models read."""
    given = ["--arch", "shared", "--wide", "--tasks", "planted", "--seed", str(seed), *extra]
    options = parse_options([*given, *(["--shuffle-labels"] if shuffled else [])])
    tasks = load_run_tasks(options)
    model = build_model(tasks, options, say=lambda *_: None)
    return tasks, fit_wide_parts(model, encode_tasks(tasks, model.vocabulary, options), seed=seed, measured=True)


def above(found: LinearGraph | None, tasks: TaskSet) -> np.ndarray:
    """(targets, sources) bool."""
    if found is None:
        return np.zeros((len(tasks), len(tasks)), dtype=bool)
    return evidence(found.graph, found.permuted, of="linear").above


def drawn(found: LinearGraph | None, tasks: TaskSet) -> Drawn:
    """Of all edges that there could be."""
    truth, edges = true_edges(tasks.truth, list(tasks)), above(found, tasks)  # (targets, sources)
    kinds = [truth == 1, (truth.T == 1) & (truth == 0), np.isnan(truth) & ~np.eye(len(tasks), dtype=bool)]
    kinds.append((truth == 0) & (truth.T != 1))
    return Drawn(*((int((edges & own).sum()), int(own.sum())) for own in kinds))


def area(found: LinearGraph | None, tasks: TaskSet) -> float:
    """AUROC of true sources against the others, the mean over the tasks that are told."""
    if found is None:
        return np.nan
    areas = auroc(found.graph.matrix(), true_edges(tasks.truth, list(tasks)))  # (targets,)
    return float(np.nanmean(areas))


def main(argv: list[str]) -> None:
    """Learns, and writes the table."""
    argv, extra = (argv[: argv.index("--")], argv[argv.index("--") + 1 :]) if "--" in argv else (argv, [])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="0,1,2,3,4")
    parser.add_argument("--results", type=Path, help="Markdown file; without it the table is only printed")
    arguments = parser.parse_args(argv)
    command = shlex.join(["python", "-m", "benchmarks.linear_graph", *argv, *(["--", *extra] if extra else [])])
    lines = [f"Command: `{command}`", ""]
    lines += ["| seed | tasks that are told | AUROC | true | child to parent | siblings | others | shuffled labels |"]
    lines += ["|---|---|---|---|---|---|---|---|"]
    areas, sums = [], np.zeros((4, 2), dtype=int)
    for seed in map(int, arguments.seeds.split(",")):
        tasks, found = read(seed, extra)
        by_chance = above(read(seed, extra, shuffled=True)[1], tasks)
        own = drawn(found, tasks)
        areas.append(area(found, tasks))
        sums += np.array(own)
        told = 0 if found is None else len({edge.target for edge in found.graph.edges})
        cells = [f"{count} of {of}" for count, of in own]
        shuffled = f"{by_chance.sum()} of {by_chance.size - len(tasks)}"
        lines += [f"| {seed} | {told} of {len(tasks)} | {areas[-1]:.3f} | {' | '.join(cells)} | {shuffled} |"]
    lines += [f"| all | | {interval(areas)} | {' | '.join(f'{count} of {of}' for count, of in sums)} | |", ""]
    print("\n".join(lines))
    if arguments.results:
        arguments.results.write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    run_verb(main)
