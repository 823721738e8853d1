"""What each part of cmtr is worth on the planted set: accuracy, and AUROC of gates and ablation, with a part left out.

    python -m benchmarks.cmtr_parts --seeds 100,101,102 --runs runs/cmtr-parts \\
        --results benchmarks/results/cmtr-parts.md

Every form is trained once for each seed, and its AUROC is that of ``graphmtl explain`` without controls; with ``--
--planted-switching`` there is also that of the gates of single texts. Differences of accuracy to cmtr as it is are
paired by seed: their mean and its 95 % t interval, in points. What stands after ``--`` goes to every run. Finished runs
are taken as they are, so the command can be stopped and started again, and several processes may each train a part of
it (``--forms``) over the same folder.
"""

import argparse
import json
import shlex
from pathlib import Path

import numpy as np

from benchmarks.grid import folder, train
from benchmarks.planted_graph import PLANTED, interval
from graphmtl.cli import run_verb
from graphmtl.explain import explain_run
from graphmtl.training.learning_curves import interval as t_interval
from graphmtl.training.run import Run

_TEXTS = "texts"
_TEXTS_OF_A_TASK = 200  # that are read for the pictures

FORMS = {  # what is left out, by the architecture and its options
    "cmtr": ("cmtr", []),
    "sources are trained by all tasks": ("cmtr", ["--train-sources"]),
    "no answer from the own representation": ("cmtr", ["--own-weight", "0"]),
    "no answer from the others": ("cmtr", ["--others-weight", "0"]),
    "neither": ("cmtr", ["--own-weight", "0", "--others-weight", "0"]),
    "no learned common part of the gates": ("cmtr", ["--no-gate-bias"]),
    "no part of the gates that texts move": ("cmtr", ["--gate-range", "0"]),
    "the head does not read the text itself": ("cmtr", ["--no-residual"]),
    "equal gates": ("cmtr", ["--uniform-gates"]),
    "representations read each other": ("cmtr", ["--interaction", "attention"]),
    "and what they have read is fused": ("cmtr", ["--interaction", "attention", "--fusion-values", "interacted"]),
    "regularised, prior": ("cmtr", ["--gate-reg", "prior"]),
    "regularised, entropy": ("cmtr", ["--gate-reg", "entropy"]),
    "regularised, balance": ("cmtr", ["--gate-reg", "balance"]),
    "taught by shared": ("cmtr", ["--teachers", "auto"]),
    "single": ("single", []),
    "shared": ("shared", []),
    "mmoe": ("mmoe", []),
}


def areas(run: Run) -> dict[str, float]:
    """AUROC of gates, of ablation and of single texts' gates, the mean over targets; nothing without a task graph."""
    if not run.model.architecture.has_edges:
        return {}
    path = run.folder / "areas.json"
    if not path.is_file():
        trained = explain_run(run, controls=False, per_task=_TEXTS_OF_A_TASK).trained
        found = trained.auroc() | {_TEXTS: trained.text_auroc.get("attention", {})}
        run.write_json(path.name, {name: float(np.mean([*own.values()])) for name, own in found.items() if own})
    return json.loads(path.read_text(encoding="utf-8"))


def children(run: Run) -> float:
    """The children's mean test accuracy."""
    return float(np.mean([own["test"]["accuracy"] for name, own in run.metrics["tasks"].items() if "child" in name]))


def row(name: str, runs: list[Run], whole: list[Run]) -> str:
    """A row of the table; ``whole`` are the runs of cmtr as it is, seed by seed."""
    found = [areas(run) for run in runs]
    pictures = ("attention", "ablation", _TEXTS)
    cells = [interval([own[picture] for own in found]) if picture in found[0] else "" for picture in pictures]
    for score in (lambda run: run.metrics["mean"]["test"], children):
        cells.append(f"{100 * np.mean([score(run) for run in runs]):.1f}")
        differences = [100 * (score(run) - score(other)) for run, other in zip(runs, whole, strict=True)]
        mean, low, high = t_interval(differences) if len(runs) > 1 else (differences[0],) * 3
        cells.append("" if runs is whole else f"{mean:+.1f} [{low:+.1f}, {high:+.1f}]")
    return f"| {name} | " + " | ".join(cells) + " |"


def main(argv: list[str]) -> None:
    """Trains and explains what is missing, and writes the table."""
    argv, extra = (argv[: argv.index("--")], argv[argv.index("--") + 1 :]) if "--" in argv else (argv, [])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--forms", default=",".join(map(str, range(len(FORMS)))), help="their numbers, from 0 on")
    parser.add_argument("--seeds", default="100,101,102")
    parser.add_argument("--runs", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--results", type=Path, help="Markdown file; without it the table is only printed")
    arguments = parser.parse_args(argv)
    seeds = [*map(int, arguments.seeds.split(","))]
    command = shlex.join(["python", "-m", "benchmarks.cmtr_parts", *argv, *(["--", *extra] if extra else [])])
    lines = [
        *(f"Command: `{command}`", "", f"Seeds {arguments.seeds}; mean and 95 % t interval over seeds.", ""),
        "| form | gates' AUROC | ablation's | single texts' | mean accuracy | to cmtr | children | to cmtr |",
        "|---|---|---|---|---|---|---|---|",
    ]
    trained: dict[str, list[Run]] = {}
    for number in map(int, arguments.forms.split(",")):
        name = [*FORMS][number]
        arch, options = FORMS[name]
        trained[name] = []
        for seed in seeds:
            path = folder(arguments.runs, f"{number}-{arch}", seed)
            train(path, arch, seed, [*PLANTED, *options, *extra])
            trained[name].append(Run.open(path))
        lines.append(row(name, trained[name], trained.get("cmtr", trained[name])))
        print(lines[-1], flush=True)
    if arguments.results:
        arguments.results.parent.mkdir(parents=True, exist_ok=True)
        arguments.results.write_text("\n".join([*lines, ""]), encoding="utf-8")


if __name__ == "__main__":
    run_verb(main)
