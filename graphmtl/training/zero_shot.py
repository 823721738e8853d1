"""What a trained graph says of a task that it has no example of: its own tasks answer for it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from accelerate import Accelerator
from datasets import Dataset
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from graphmtl.data.batching import encode_tasks
from graphmtl.data.task import NO_LABEL, Task, TaskData
from graphmtl.models.model import MultiTaskModel
from graphmtl.training.evaluation import Predictions, predict_split

__all__ = ["answering_tasks", "task_weights", "zero_shot"]

_WORDS = 20_000  # of the domain classifier


def answering_tasks(model: MultiTaskModel, task: Task) -> list[str]:
    """The tasks of a model that can answer for a task: those of texts that have its labels."""
    known = model.tasks.values()
    return [] if task.is_tagging else [own.name for own in known if (own.kind, own.labels) == (task.kind, task.labels)]


def task_weights(sources: Mapping[str, TaskData], texts: Dataset) -> np.ndarray:
    """Which task's training texts a text looks like: (texts, sources), each row sums to 1.

    A logistic regression on the TF-IDF weights of the 20,000 most frequent words.
    """
    if len(sources) == 1:
        return np.ones((len(texts), 1))
    read = {name: _plain(data.train) for name, data in sources.items()}
    vectorizer = TfidfVectorizer(max_features=_WORDS, sublinear_tf=True)
    x = vectorizer.fit_transform([text for own in read.values() for text in own])  # (examples, words)
    y = [k for k, own in enumerate(read.values()) for _ in own]
    return LogisticRegression(max_iter=200).fit(x, y).predict_proba(vectorizer.transform(_plain(texts)))


def _plain(rows: Dataset) -> list[str]:
    if "tokens" in rows.column_names:
        return [" ".join(tokens) for tokens in rows["tokens"]]
    pairs = rows["text_pair"] if "text_pair" in rows.column_names else [""] * len(rows)
    return [f"{text} {pair}" for text, pair in zip(rows["text"], pairs, strict=True)]


def zero_shot(
    *, model: MultiTaskModel, names: Sequence[str], target: TaskData, weights: np.ndarray, accelerator: Accelerator
) -> Predictions:
    r"""The predictions for a task's test split: :math:`p(y | x) = \sum_j w_j(x) p_j(y | x)` over the tasks ``names``.

    Args:
        model: the trained model.
        names: its tasks that answer.
        target: the task that it does not have.
        weights: :math:`w`, (texts, names); equal ones give the mean.
        accelerator: device and precision.
    """
    same_texts = {name: replace(target, task=model.tasks[name], corpus=target.task.name) for name in names}
    data = encode_tasks(same_texts, model.vocabulary, model.options)
    model = model.to(accelerator.device)
    found = predict_split(model=model, data=data, split="test", batch_size=64, accelerator=accelerator)
    answers = [each for each in found.values() if isinstance(each, Predictions)]
    labelled = np.asarray(target.test["label"]) != NO_LABEL  # (texts of the split,)
    own = torch.stack([each.logits.double().softmax(-1) for each in answers], 1)  # (texts, names, classes)
    mixture = (own * torch.from_numpy(weights[labelled]).unsqueeze(-1)).sum(1)  # (texts, classes)
    return Predictions(logits=mixture.log().float(), labels=answers[0].labels, seen=answers[0].seen)
