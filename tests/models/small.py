"""Small models of three tasks with known words."""

import pytest
import torch

from graphmtl.data.batching import EncodedSplit
from graphmtl.data.task import Task
from graphmtl.data.vocabulary import Vocabulary
from graphmtl.models.model import MultiTaskModel
from graphmtl.registry import ARCHITECTURES
from tests.parts import model_options

TASKS = [
    Task(name="a", labels=("no", "yes")),
    Task(name="b", labels=("1", "2", "3"), metrics=("f1", "accuracy")),
    Task(name="pairs", labels=("x", "y"), text=("p", "q")),
]


WORDS = ["good", "bad", "film", "book", "not", "very"]


VOCABULARY = Vocabulary.build(WORDS)


every_architecture = pytest.mark.parametrize("arch", list(ARCHITECTURES))


def build(arch, tasks=TASKS, **options):
    torch.manual_seed(0)
    options = {"hidden": 4, "attention": 3, "embedding_size": 5} | options
    model = MultiTaskModel(tasks=tasks, vocabulary=VOCABULARY, options=model_options(arch=arch, **options))
    for parameter in model.parameters():  # so that the tasks' answers differ
        torch.nn.init.normal_(parameter, std=0.7)
    return model.eval()


def batch(task, texts=((3, 4), (5, 6, 7, 8), (1,))):
    return EncodedSplit(tasks=[task], texts=texts).batch(range(len(texts)))
