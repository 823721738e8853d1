"""Do the pictures show the true task graph? AUROC per target on the planted task set with frozen embeddings.

    python -m benchmarks.planted_graph --archs complete,star --seeds 0,1,2,3,4 --runs runs/planted-graph \
        --results benchmarks/results/planted-graph.md

Behind ``-- --planted-switching`` it is measured too how far edge weights follow the text.
Every architecture is trained once for each seed, and explained with both controls. A target counts if it has true and
false sources; siblings are neither. What stands after ``--`` goes to every run. Finished runs and explanations are
taken as they are, so the command can be stopped and started again.
"""

import argparse
import json
import shlex
from pathlib import Path

import numpy as np

from benchmarks.grid import folder, train
from graphmtl.cli import run_verb
from graphmtl.explain import explain_run
from graphmtl.training.learning_curves import interval as t_interval
from graphmtl.training.run import Run

# 6 children of 2 parents each: 12 true edges. Frozen, so that nothing but the graph can carry what tasks share.
PLANTED = ["--tasks", "planted", "--freeze-embeddings", "--planted-children", "6"]
_MODELS = ("trained", "untrained", "shuffled")


def explanation(run: Run, *, texts: int, probe: int, controls: bool = True) -> dict:
    """``explanation.json``, which is written if it is missing."""
    path = run.folder / "explanation.json"
    if not path.is_file():
        run.write_json(path.name, explain_run(run, per_task=texts, probe=probe, controls=controls).to_json())
    return json.loads(path.read_text(encoding="utf-8"))


def rows(arch: str, explanations: list[dict], area: str = "auroc") -> list[str]:
    """A row for each picture: the mean over seeds of the mean over targets, and its interval, for all three models."""
    found = []
    for picture in explanations[0].get(area, {}):
        cells = []
        for model in _MODELS:
            found_in = [each if model == "trained" else each["controls"].get(model) for each in explanations]
            areas = [own[area][picture] for own in found_in if own is not None and picture in own[area]]
            cells.append(interval([float(np.mean([*own.values()])) for own in areas]) if areas else "")
        targets = sum(len(each[area][picture]) for each in explanations)
        found.append(f"| {arch} | {picture} | {targets} | " + " | ".join(cells) + " |")
    return found


def interval(values: list[float]) -> str:
    """Their mean, and of two or more its 95 % t interval."""
    if len(values) == 1:
        return f"{values[0]:.3f}"
    mean, low, high = t_interval(values)
    return f"{mean:.3f} [{low:.3f}, {high:.3f}]"


def agreement_rows(arch: str, explanations: list[dict]) -> list[str]:
    """How far attention (or affinity) agrees with the other pictures of the same model, the mean over seeds."""
    found = []
    for i, each in enumerate(explanations[0]["agreement"]):
        values = [one["agreement"][i]["within"] for one in explanations]
        if each["pictures"][0] in ("attention", "affinity") and None not in values:
            found.append(f"| {arch} | {' ~ '.join(each['pictures'])} | {interval(values)} |")
    return found


def main(argv: list[str]) -> None:
    """Trains and explains what is missing, and writes the table."""
    argv, extra = (argv[: argv.index("--")], argv[argv.index("--") + 1 :]) if "--" in argv else (argv, [])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--archs", default="complete,star")
    parser.add_argument("--seeds", default="0,1,2,3,4")
    parser.add_argument("--runs", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--results", type=Path, help="Markdown file; without it the table is only printed")
    parser.add_argument("--examples", type=int, default=500, help="test texts of each task that are read, at most")
    parser.add_argument("--affinity-probe", type=int, default=500, help="those on which a star's affinity is measured")
    parser.add_argument("--no-controls", action="store_true", help="explain the trained models alone")
    arguments = parser.parse_args(argv)
    command = shlex.join(["python", "-m", "benchmarks.planted_graph", *argv, *(["--", *extra] if extra else [])])
    areas = ["| arch | picture | targets | trained | untrained | shuffled labels |", "|---|---|---|---|---|---|"]
    texts = areas[:2]
    agreements = ["| arch | pictures | Spearman within rows |", "|---|---|---|"]
    scores = ["| arch | mean test accuracy | of the children |", "|---|---|---|"]
    for arch in arguments.archs.split(","):
        runs, explanations = [], []
        for seed in map(int, arguments.seeds.split(",")):
            path = folder(arguments.runs, arch, seed)
            train(path, arch, seed, [*PLANTED, *extra])
            runs.append(Run.open(path))
            sizes = {"texts": arguments.examples, "probe": arguments.affinity_probe}
            explanations.append(explanation(runs[-1], **sizes, controls=not arguments.no_controls))
        areas += rows(arch, explanations)
        texts += rows(arch, explanations, "text_auroc")
        agreements += agreement_rows(arch, explanations)
        children = [
            float(np.mean([task["test"]["accuracy"] for name, task in run.metrics["tasks"].items() if "child" in name]))
            for run in runs
        ]
        means = [run.metrics["mean"]["test"] for run in runs]
        scores.append(f"| {arch} | {interval(means)} | {interval(children)} |")
    lines = [f"Command: `{command}`", "", f"Seeds {arguments.seeds}; mean and 95 % t interval over seeds.", ""]
    tables = {
        "AUROC of true sources against the others, the mean over targets; 0.5 is chance:": areas,
        "AUROC over texts of what one reads from the parent that decides it, the mean over targets:": texts,
        "Two pictures of the same model:": agreements,
        "Test accuracy:": scores,
    }
    for title, table in tables.items():
        if len(table) == 2:  # per text, where nothing switches
            continue
        lines += [title, "", *table, ""]
    print("\n".join(lines))
    if arguments.results:
        arguments.results.parent.mkdir(parents=True, exist_ok=True)
        arguments.results.write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    run_verb(main)
