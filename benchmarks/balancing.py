"""What balancing the tasks is worth: every method on the planted tasks and on five of GLUE, against equal weights.

    python -m benchmarks.balancing --runs runs/balancing --results benchmarks/results/balancing.md

``GRAPHMTL_DATA`` has GLUE and the encoder ``minilm``. Every update has a batch of each task, as far as there are
(``--mix``); the architecture is ``shared``, one LSTM for all tasks and a head for each. On the planted tasks it reads
trained word embeddings; of GLUE 1,500 examples of each task, a fifth of them for validation, the last states of MiniLM,
which is not trained. All methods have the same options, and none was tuned. Finished runs are taken as they are, so
the command can be stopped and started again; what is there is written after every run.

Differences are paired by seed, with a 95 % t interval over seeds. Time is the processor's in training on as many texts,
so that other work on the machine plays a small part, as a multiple of that of equal weights: with ``--mix`` that of an
update. It is measured apart, all methods taking turns, and is the median of three.
"""

import argparse
import json
import os
import shlex
import statistics
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np

from benchmarks.kept_states import keep_states
from graphmtl.cli import run_verb
from graphmtl.data.batching import encode_tasks
from graphmtl.data.few_examples import draw_examples
from graphmtl.data.task import TaskSet
from graphmtl.models import encoders
from graphmtl.options import make_options
from graphmtl.registry import BALANCINGS
from graphmtl.training.building import build_model
from graphmtl.training.experiment import train
from graphmtl.training.learning_curves import interval as t_interval
from graphmtl.training.run import Run
from graphmtl.training.run_data import load_run_tasks
from graphmtl.training.trainer import Trainer

_COMMON = {"arch": "shared", "mix": True, "batch_size": 16, "progress": False, "device": "cpu"}
_SETS = {
    "planted": {"tasks": "planted", "accumulate": 10, "epochs": 12},
    "glue": {"tasks": "glue:cola,sst2,mrpc,stsb,rte", "accumulate": 5, "epochs": 12, "max_length": 64},
}
_FROZEN = {"freeze_layers": 6, "pooling": "max-mean", "encoder": f"{os.environ.get('GRAPHMTL_DATA')}/minilm"}
_EXAMPLES = 1500
_BATCHWISE = "equal, an update a batch"  # what there is without all this


@cache
def glue_tasks(folder: Path) -> TaskSet:
    """A part of GLUE's training examples, and the states of all texts at hand; the same for every seed."""
    encoders.TRANSFORMER = "benchmarks.kept_states:KeptTransformer"  # what an encoder of transformers is from now on
    options = make_options(**_COMMON, **_SETS["glue"], **_FROZEN)
    tasks = load_run_tasks(options)
    drawn = TaskSet(name="glue", data=[*draw_examples(tasks, _EXAMPLES, draw=0).values()])
    model = build_model(drawn, options, say=lambda *_: None)
    keep_states(model.encoders[0], encode_tasks(drawn, model.vocabulary, model.options), folder / "states.pt")
    return drawn


def options_of(name: str, method: str, seed: int = 0) -> dict:
    """The options of a training, by name."""
    options = {**_COMMON, **_SETS[name], "balancing": method, "seed": seed, **(_FROZEN if name == "glue" else {})}
    return options | ({"balancing": "equal", "accumulate": 1, "mix": False} if method == _BATCHWISE else {})


def run(folder: Path, name: str, method: str, seed: int) -> Run:
    """One training, unless it is finished."""
    path = folder / f"{name}-{'batchwise' if method == _BATCHWISE else method}-{seed}"
    if not (path / "metrics.json").is_file():
        options = {**options_of(name, method, seed), "output": path, "resume": path.exists()}
        tasks = glue_tasks(folder) if name == "glue" else options["tasks"]
        train(tasks, **{key: value for key, value in options.items() if key != "tasks"})
    return Run.open(path)


def times(folder: Path, name: str, methods: Sequence[str], *, turns: int = 3) -> dict[str, float]:
    """Seconds of the processor for an epoch of each method, which are written down when they were measured."""
    path = folder / f"times-{name}.json"
    if not path.is_file():
        spent = [{method: _epoch_seconds(folder, name, method) for method in methods} for _ in range(turns)]
        found = {method: statistics.median(turn[method] for turn in spent) for method in methods}
        path.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return json.loads(path.read_text(encoding="utf-8"))


def _epoch_seconds(folder: Path, name: str, method: str) -> float:
    """The second epoch of a training that is not evaluated."""
    options = make_options(**options_of(name, method))
    tasks = glue_tasks(folder) if name == "glue" else load_run_tasks(options)
    model = build_model(tasks, options, say=lambda *_: None)
    data, marks = encode_tasks(tasks, model.vocabulary, model.options), []
    trainer = Trainer(model=model, data=data, options=options, callbacks=[lambda _: marks.append(time.process_time())])
    trainer.train(keep_epochs=2)
    return marks[1] - marks[0]


def scores(found: Run) -> dict[str, float]:
    """Each task's first metric on its test split, in points."""
    return {name: 100 * task["test"][task["metric"]] for name, task in found.metrics["tasks"].items()}


def rows(runs: Mapping[str, list[Run]], spent: Mapping[str, float]) -> list[str]:
    """A line for each method: its mean, its lowest task, both against equal weights, time, and gradients' cosine."""
    table = [
        "| balancing | mean | - equal | lowest task | - equal | largest loss of a task | time | cosine |",
        "|---|---|---|---|---|---|---|---|",
    ]
    equal = [scores(each) for each in runs["equal"]]
    for method, own in runs.items():
        found, base = [scores(each) for each in own], equal[: len(own)]
        means, worst = ([float(what([*each.values()])) for each in found] for what in (np.mean, np.min))
        gains = [mean - np.mean([*each.values()]) for mean, each in zip(means, base, strict=True)]
        risen = [low - min(each.values()) for low, each in zip(worst, base, strict=True)]
        lost = {
            task: np.mean([ours[task] - theirs[task] for ours, theirs in zip(found, base, strict=True)])
            for task in base[0]
        }
        task = min(lost, key=lost.get)
        cosines = [each.metrics["gradient_cosine"] for each in own if "gradient_cosine" in each.metrics]
        cells = [f"{np.mean(means):.2f}", _interval(gains), f"{np.mean(worst):.2f}", _interval(risen)]
        cells += ["" if method == "equal" else f"{lost[task]:+.1f} ({task})"]
        cells += [
            f"{spent[method] / spent['equal']:.2f}" if method in spent else "",
            f"{np.mean(cosines):+.3f}" if cosines else "",
        ]
        table.append(f"| {method} | " + " | ".join(cells) + " |")
    return table


def _interval(values: list[float]) -> str:
    if not any(values):
        return ""
    if len(values) == 1:
        return f"{values[0]:+.2f}"
    mean, low, high = t_interval(values)
    return f"{mean:+.2f} [{low:+.2f}, {high:+.2f}]"


def task_rows(runs: Mapping[str, list[Run]]) -> list[str]:
    """Each task's test score with each method, the mean over seeds."""
    first = runs["equal"][0].metrics["tasks"]
    table = ["| balancing | " + " | ".join(first) + " |", "|---" * (1 + len(first)) + "|"]
    table.append("| | " + " | ".join(task["metric"] for task in first.values()) + " |")
    for method, own in runs.items():
        means = [np.mean([scores(each)[name] for each in own]) for name in first]
        table.append(f"| {method} | " + " | ".join(f"{mean:.1f}" for mean in means) + " |")
    return table


def write(
    path: Path | None,
    command: str,
    found: Mapping[str, Mapping[str, list[Run]]],
    spent: Mapping[str, Mapping[str, float]],
) -> None:
    """The tables of what is finished."""
    lines = [f"Command: `{command}`", ""]
    for name, runs in found.items():
        seeds = max(map(len, runs.values()))
        about = "; ".join(
            f"{key} {value}" for key, value in (_COMMON | _SETS[name]).items() if key not in ("progress",)
        )
        lines += [
            f"**{name}**, {seeds} seeds ({about}); test scores in points",
            "",
            *rows(runs, spent.get(name, {})),
            "",
            *task_rows(runs),
            "",
        ]
    if path is None:
        print("\n".join(lines))
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines), encoding="utf-8")


def main(argv: list[str]) -> None:
    """Trains what is missing, method after method within a seed, and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", default=",".join(_SETS))
    parser.add_argument("--methods", default=",".join(BALANCINGS), help="equal, and what is compared")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--runs", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--results", type=Path, help="Markdown file; without it the table is only printed")
    arguments = parser.parse_args(argv)
    command = shlex.join(["python", "-m", "benchmarks.balancing", *argv])
    methods, sets = [*arguments.methods.split(","), _BATCHWISE], arguments.sets.split(",")
    found: dict[str, dict[str, list[Run]]] = {}
    for seed in map(int, arguments.seeds.split(",")):
        for name in sets:
            for method in methods:
                finished = run(arguments.runs, name, method, seed)
                found.setdefault(name, {}).setdefault(method, []).append(finished)
                if arguments.results:
                    write(arguments.results, command, found, {})
    write(arguments.results, command, found, {name: times(arguments.runs, name, methods) for name in sets})


if __name__ == "__main__":
    run_verb(main)
