"""Started by test_trainer.py under torchrun: every process trains, the first one writes down what came out.

Usage: python -m torch.distributed.run --nproc_per_node 2 -m tests.training.two_processes FOLDER
"""

import atexit
import os
import sys
from contextlib import suppress
from pathlib import Path

import torch

from graphmtl.graph.recorder import EdgeRecorder
from graphmtl.registry import ARCHITECTURES
from graphmtl.training.adversary import Adversary
from graphmtl.training.distillation import DistillationOptions
from graphmtl.training.mean_teacher import MeanTeacher
from graphmtl.training.orthogonality import Orthogonality
from tests.training.toy import tagging_trainer, toy_data, toy_trainer


def interrupt(record: dict) -> None:
    if record["epoch"] == 2:
        raise InterruptedError


def weights_of(arch: str, data: dict) -> dict[str, torch.Tensor]:
    """What two epochs make of a small model of an architecture, with the terms that hold its halves apart if it has
    such."""
    trainer = toy_trainer(data, arch=arch, epochs=2, clip=0.5)
    trainer.model.double()
    torch.manual_seed(0)  # of the discriminator
    halves = trainer.model.architecture.holds_apart
    terms = [Adversary(tasks=[*data], size=10, weight=0.5).double(), Orthogonality(weight=0.5)] if halves else []
    trainer.train(terms=terms)
    return dict(trainer.model.state_dict())


def train(folder: Path) -> dict:
    """Weights, losses, metrics and counted edges of a run, and the weights of the same run with an interruption;
    weights of every architecture, of a star with mixed updates whose weights are learned, of one with tags, and of a
    cmtr that its average teaches."""
    data = toy_data(a=17, b=9)  # batches of 8: the last of each task has one example, none for the second process

    def make(name: str, **options):
        trainer = toy_trainer(data, folder=folder / name, ema=0.8, clip=0.5, label_smoothing=0.1, **options)
        trainer.model.double()
        return trainer

    trainer = make("run")
    result = trainer.train()
    recorder = EdgeRecorder()
    metrics = trainer.evaluate("test", recorder=recorder)
    edges = recorder.graph(arch="toy", tasks=tuple(data), split="test", seed=0, virtual=True).edges
    with suppress(InterruptedError):
        make("parts", callbacks=[interrupt]).train()
    resumed = make("parts")
    resumed.train(resume=True)
    mixed = make("mixed", arch="star", accumulate=3, mix=True, balancing="uncertainty")
    mixed.train()
    taught = make("taught", arch="cmtr")
    taught.train(terms=[MeanTeacher(model=taught.model, options=DistillationOptions(teachers="ema", teacher_ramp=0.0))])
    tagging = tagging_trainer(folder / "tagging", accumulate=2)
    tagging.model.double()
    tagged = tagging.train()
    return {
        "processes": trainer.accelerator.num_processes,
        "rank": trainer.accelerator.process_index,
        "weights": dict(trainer.model.state_dict()),
        "resumed": dict(resumed.model.state_dict()),
        "architectures": {arch: weights_of(arch, data) for arch in ARCHITECTURES},
        "mixed": dict(mixed.model.state_dict()),
        "learned": dict(mixed.objective.balancing.state_dict()),
        "taught": dict(taught.model.state_dict()),
        "tagging": dict(tagging.model.state_dict()),
        "tagging_losses": [line["losses"] for line in tagged.history],
        "history": [
            {key: line[key] for key in ("epoch", "step", "losses", "metrics", "lr")} for line in result.history
        ],
        "metrics": metrics,
        "shared": trainer.evaluate("test"),
        "edges": {edge.target: (edge.weight, edge.count) for edge in edges},
    }


def write_group(path: Path) -> None:
    """Whether this process is still in a group."""
    path.write_text(str(torch.distributed.is_initialized()))


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    atexit.register(write_group, folder / f"group-{os.environ['RANK']}.txt")  # registered first, so called last
    outcome = train(folder)
    torch.save(outcome, folder / f"rank-{outcome['rank']}.pt")
