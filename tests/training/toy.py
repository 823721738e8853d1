"""A small model and data set with the interfaces of graphmtl's own, whose result no architecture can be blamed for."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from graphmtl.config import TrainingOptions
from graphmtl.data.batching import Batch, EncodedSplit, EncodedTask, encode_tasks
from graphmtl.data.spelling import Alphabet
from graphmtl.data.task import Task
from graphmtl.data.vocabulary import Vocabulary
from graphmtl.layers.interaction import EdgeWeights
from graphmtl.models.model import MultiTaskModel
from graphmtl.models.predictions import ModelOutput, ModelOutputs
from graphmtl.training.evaluation import Predictions
from graphmtl.training.trainer import Trainer
from tests.parts import label_arrays, model_options
from tests.tagging import tagging_tasks

WORDS = 30


class ToyModel(nn.Module):
    """The mean of word embeddings, a layer, and a head for each task.

    With ``own`` every task has its own embeddings and layer, and is selected on its own, as in ``single``.
    """

    def __init__(
        self,
        tasks: list[Task],
        *,
        own: bool = False,
        dropout: float = 0.0,
        size: int = 8,
        embedding_lr: float = 1.0,
        freeze_embeddings_epochs: int = 0,
    ) -> None:
        super().__init__()
        self.tasks = {task.name: task for task in tasks}
        self.own = own
        parts = list(self.tasks) if own else ["shared"]
        self.embeddings = nn.ModuleDict({part: nn.Embedding(WORDS, size) for part in parts})
        self.layers = nn.ModuleDict({part: nn.Linear(size, size) for part in parts})
        self.heads = nn.ModuleDict({task.name: nn.Linear(size, len(task.labels)) for task in tasks})
        self.dropout = nn.Dropout(dropout)
        self.embedding_lr, self.freeze_embeddings_epochs = embedding_lr, freeze_embeddings_epochs

    def choose(self, task: str, predictions: Predictions) -> Predictions:
        return predictions  # nothing is chosen

    def forward(self, batch: Batch, edges: bool = False, label_smoothing: float = 0.0) -> ModelOutputs:
        (task,) = batch.tasks
        part = task if self.own else "shared"
        x = self.embeddings[part](batch.tokens) * (batch.tokens > 0)[:, :, None]  # (batch, tokens, size)
        x = x.sum(dim=1) / batch.lengths[:, None]  # (batch, size)
        x = torch.tanh(self.layers[part](self.dropout(x)))  # (batch, size)
        weights = None
        if edges:
            share = (batch.tokens > 0).float()[:, :, None]  # (batch, tokens, 1)
            weights = EdgeWeights(target=task, sources=("virtual",), weights=share, lengths=batch.lengths)
        logits, labels = self.heads[task](x), batch.labels[task]  # (batch, labels) and (batch,)
        output = ModelOutput(logits, weights, answers=logits.argmax(-1), probabilities=logits.softmax(-1))
        output.losses = F.cross_entropy(logits, labels, reduction="none", label_smoothing=label_smoothing)  # (batch,)
        output.counts, output.weights, output.task_weight = labels >= 0, batch.weights, self.tasks[task].weight
        return ModelOutputs({task: output})

    def selection_groups(self) -> dict[str, list[str]]:
        names = list(self.state_dict())
        if not self.own:
            return {"mean": names}
        return {task: [name for name in names if f".{task}." in name] for task in self.tasks}

    def embedding_parameters(self) -> list[nn.Parameter]:
        return [embedding.weight for embedding in self.embeddings.values()]

    def learning_rates(self, lr: float) -> list[tuple[nn.Parameter, float]]:
        return [(weight, lr * self.embedding_lr) for weight in self.embedding_parameters()]

    def frozen_until(self) -> list[tuple[int, list[nn.Parameter]]]:
        return [(self.freeze_embeddings_epochs, self.embedding_parameters())]

    def penalty_weight(self, step: int, steps: int) -> float:
        return step / steps


def toy_split(task: str, size: int, seed: int) -> EncodedSplit:
    """Texts of 1 to 9 words; the label says whether the first word is in the upper half of the vocabulary."""
    random = np.random.default_rng(seed)
    texts = [random.integers(1, WORDS, random.integers(1, 10)).tolist() for _ in range(size)]
    labels = [int(text[0] > WORDS // 2) for text in texts]
    return EncodedSplit(
        tasks=[task], texts=texts, labels={task: label_arrays(labels)}, seen=[row % 3 == 0 for row in range(size)]
    )


def toy_data(misleading: str = "", /, **sizes: int) -> dict[str, EncodedTask]:
    """A task of each name with that many training examples; a task's data do not depend on the other tasks.

    A task with a letter of ``misleading`` in its name has the wrong labels in its validation split: the more it learns,
    the worse it does there.
    """
    data = {}
    for name, size in sizes.items():
        task = Task(name=name, labels=("low", "high"), metrics=("accuracy", "matthews"))
        seed = sum(name.encode())
        train, valid, test = (toy_split(name, n, seed + i) for i, n in enumerate((size, 20, 21)))
        if set(name) & set(misleading):
            valid.labels[name].values = 1 - valid.labels[name].values
        data[name] = EncodedTask(task=task, train=train, valid=valid, test=test)
    return data


def toy_trainer(
    data: dict[str, EncodedTask], *, folder=None, arch=None, own=False, dropout=0.0, callbacks=(), frozen=0, **options
) -> Trainer:
    """A trainer of a new model; the weights of a task's parts do not depend on the other tasks.

    The model is a :class:`ToyModel`, or with ``arch`` a small model of that architecture. Its
    embeddings are ``frozen`` for so many epochs.
    """
    tasks = [task.task for task in data.values()]
    own_parts = {"dropout": dropout, "freeze_embeddings_epochs": frozen}
    model = ToyModel(tasks, own=own, **own_parts) if arch is None else graph_model(tasks, arch, **own_parts)
    for name, parameter in model.named_parameters():
        generator = torch.Generator().manual_seed(sum(name.encode()))
        nn.init.normal_(parameter, std=0.5, generator=generator)
    values = {"epochs": 4, "batch_size": 8, "lr": 0.05, "progress": False, "device": "cpu"} | options
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    return Trainer(model=model, data=data, options=TrainingOptions(**values), folder=folder, callbacks=callbacks)


def tagging_trainer(folder, **options) -> Trainer:
    """A trainer of a small star without dropout, on layers of tags that have holes and on texts of another task."""
    tasks = tagging_tasks(size=17, missing=0.5)
    words = [word for tokens in tasks["pos"].train["tokens"] for word in tokens]
    vocabulary = Vocabulary.build([words])
    vocabulary.alphabet = Alphabet.build(words)
    torch.manual_seed(0)
    model = graph_model(list(tasks.tasks.values()), "star", 0.0, vocabulary)
    data = encode_tasks(tasks, vocabulary, model.options)
    values = {"epochs": 2, "batch_size": 8, "lr": 0.02, "progress": False, "device": "cpu"} | options
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    return Trainer(model=model, data=data, options=TrainingOptions(**values), folder=folder)


def graph_model(
    tasks: list[Task], arch: str, dropout: float, vocabulary: Vocabulary | None = None, **options
) -> MultiTaskModel:
    vocabulary = vocabulary or Vocabulary.build([" ".join(f"w{index}" for index in range(3, WORDS))])
    rates = dict.fromkeys(("word_dropout", "embedding_dropout", "locked_dropout", "output_dropout"), dropout)
    options = model_options(arch=arch, hidden=5, attention=4, embedding_size=6, **rates, **options)
    return MultiTaskModel(tasks=tasks, vocabulary=vocabulary, options=options)
