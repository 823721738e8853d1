"""A small model of four tasks, and what it says one text and one cut at a time."""

import numpy as np
import torch

from graphmtl.data.batching import EncodedSplit, EncodedTask
from graphmtl.data.planted_truth import PlantedTruth
from graphmtl.data.task import Task
from graphmtl.data.vocabulary import Vocabulary
from graphmtl.layers.interaction import Ablation
from graphmtl.models.model import MultiTaskModel
from tests.parts import label_arrays, model_options

NAMES = ("w", "x", "y", "z")
ABOUT = {"split": "test", "seed": 0}
TRUTH = PlantedTruth(edges=(("w", "x"), ("y", "z")), siblings=(("x", "z"),))


def task_data(name: str, labels: int, size: int) -> EncodedTask:
    rng = np.random.default_rng(len(name) + labels + size)
    texts = [rng.integers(3, 10, rng.integers(1, 7)).tolist() for _ in range(size)]
    wanted = rng.integers(0, labels, size).tolist()
    split = EncodedSplit(tasks=[name], texts=texts, labels={name: label_arrays(wanted)})
    task = Task(name=name, labels=tuple(map(str, range(labels))))
    return EncodedTask(task=task, train=split, valid=split, test=split)


def build(data, arch="complete", **options):
    torch.manual_seed(1)
    options = model_options(arch=arch, hidden=4, attention=3, embedding_size=4, **options)
    vocabulary = Vocabulary.build(["a b c d e f g"])
    model = MultiTaskModel(tasks=[own.task for own in data.values()], vocabulary=vocabulary, options=options).double()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    return model.eval()


def one_by_one(model, data, name):
    """Each text of a task as a batch of its own, and its label."""
    split = data[name].test
    for row in range(len(split)):
        batch = split.batch([row])
        yield batch, int(batch.labels[name][0])


def loss(model, batch, name, label, edges, renormalise=True):
    (output,) = model.ablate(batch, [Ablation(edges=frozenset(edges), renormalise=renormalise)])
    return -output[name].logits[0].log_softmax(-1)[label].item()


def into(target):
    return {(source, target) for source in NAMES if source != target}
