"""What an epoch over a frozen transformer costs where its states are computed, written, and found.

    python -m benchmarks.frozen_states --encoder $GRAPHMTL_DATA/minilm --tasks glue:mrpc,rte

`shared`, two epochs, validation included. "computed" is `--frozen-states none`, "written" a run that finds nothing, and
"found" the next one.
"""

import argparse
import os
import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from datasets import Dataset

from graphmtl.cli import run_verb
from graphmtl.config import Options
from graphmtl.data.batching import encode_tasks
from graphmtl.data.task import TaskSet
from graphmtl.models.lower_states import keep_lower_states
from graphmtl.options import make_options
from graphmtl.training.building import build_model
from graphmtl.training.run_data import all_splits, load_run_tasks
from graphmtl.training.trainer import Trainer

__all__ = ["first_texts", "main", "measured"]

_TURNS = ("written", "found")


def first_texts(tasks: TaskSet, texts: int) -> TaskSet:
    """The tasks with so many texts of each split, or all where that is 0."""
    if not texts:
        return tasks

    def first(rows: Dataset) -> Dataset:
        return rows.select(range(min(texts, len(rows))))

    cut = [replace(own, train=first(own.train), valid=first(own.valid), test=first(own.test)) for own in tasks.values()]
    return TaskSet(name=tasks.name, data=cut)


def measured(tasks: TaskSet, options: Options) -> tuple[list[float], float]:
    """Seconds that the states take before the training and those of each epoch, and the last validation loss."""
    model = build_model(tasks, options, say=lambda *_: None)
    data = encode_tasks(tasks, model.vocabulary, model.options)
    trainer = Trainer(model=model, data=data, options=options)
    started = time.perf_counter()
    keep_lower_states(model, all_splits(data), tell=False, progress=False)
    before = time.perf_counter() - started
    history = trainer.train().history
    losses = [own["loss"] for own in history[-1]["metrics"].values()]
    return [before, *np.diff([0.0, *(line["seconds"] for line in history)]).tolist()], float(np.mean(losses))


def _size(folder: str) -> float:
    """Megabytes of all files."""
    return sum(path.stat().st_size for path in Path(folder).rglob("*.*") if path.is_file()) / 1e6


def main(argv: list[str]) -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", default=f"{os.environ.get('GRAPHMTL_DATA')}/minilm")
    parser.add_argument("--tasks", default="glue:mrpc,rte")
    parser.add_argument("--texts", type=int, default=0, help="of each split of each task; 0: all")
    parser.add_argument("--frozen", default="6,4", help="how many layers; several with commas between")
    parser.add_argument("--dtypes", default="float32,float16")
    arguments = parser.parse_args(argv)
    common = {"arch": "shared", "encoder": arguments.encoder, "tasks": arguments.tasks, "epochs": 2, "progress": False}
    tasks = first_texts(load_run_tasks(make_options(**common)), arguments.texts)
    sizes = {split: sum(len(data.splits[split]) for data in tasks.values()) for split in ("train", "valid", "test")}
    print(f"{arguments.tasks}: {sizes}, {torch.get_num_threads()} thread(s)")
    print("| frozen layers | states | states, s | first epoch, s | second epoch, s | MB on disk | validation loss |")
    print("|---|---|---|---|---|---|---|")
    for frozen in map(int, arguments.frozen.split(",")):
        with TemporaryDirectory() as folder:
            turns = [("computed", "float32", "none")]
            turns += [(f"{how}, {dtype}", dtype, folder) for dtype in arguments.dtypes.split(",") for how in _TURNS]
            known = 0.0
            for name, dtype, where in turns:
                own = {"freeze_layers": frozen, "frozen_states": where, "frozen_states_dtype": dtype}
                seconds, loss = measured(tasks, make_options(**common, **own))
                size = _size(folder)
                cells = [*(f"{each:.1f}" for each in seconds), f"{size - known:.2f}", f"{loss:.4f}"]
                print(f"| {frozen} | {name} | {' | '.join(cells)} |", flush=True)
                known = size


if __name__ == "__main__":
    run_verb(main)
