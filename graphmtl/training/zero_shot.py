"""What a trained graph says of a task that it has no example of: its own tasks answer for it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from accelerate import Accelerator
from datasets import Dataset

from graphmtl.data.batching import encode_tasks
from graphmtl.data.task import Task, TaskData
from graphmtl.models.model import MultiTaskModel
from graphmtl.training.evaluation import Predictions, predict_split

__all__ = ["answering_tasks", "task_weights", "zero_shot"]

_WORDS = 20_000  # of the domain classifier


def answering_tasks(model: MultiTaskModel, task: Task) -> list[str]:
    """The tasks of a model that can answer for a task: those of texts that have its labels, in whatever order."""
    kind, known = task.of_kind, model.tasks.values()
    if not kind.one_of_several or kind.labels_tokens:
        return []
    alike = tuple if kind.labels_ordered else frozenset
    return [own.name for own in known if own.kind == task.kind and alike(own.labels) == alike(task.labels)]


def task_weights(sources: Mapping[str, TaskData], texts: Dataset) -> np.ndarray:
    """Which task's training texts a text looks like: (texts, sources), each row sums to 1.

    A logistic regression on the TF-IDF weights of the 20,000 most frequent words.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer  # takes a second, which verbs without it need not spend
    from sklearn.linear_model import LogisticRegression

    if len(sources) == 1:
        return np.ones((len(texts), 1))
    read = {name: _plain(data.train) for name, data in sources.items()}
    vectorizer = TfidfVectorizer(max_features=_WORDS, sublinear_tf=True)
    x = vectorizer.fit_transform([text for own in read.values() for text in own])  # (examples, words)
    y = [k for k, own in enumerate(read.values()) for _ in own]
    return LogisticRegression(max_iter=200).fit(x, y).predict_proba(vectorizer.transform(_plain(texts)))


def _by_labels_of(task: Task, other: Task, said: Predictions) -> np.ndarray:
    """Another task's probabilities in the order of a task's labels, (texts, classes)."""
    return np.asarray(said.probabilities)[:, [other.labels.index(label) for label in task.labels]]


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
    first, *_ = found.values()
    labelled = data[names[0]].test.counts[names[0]] > 0  # (texts of the split,)
    in_order = [_by_labels_of(target.task, model.tasks[name], each) for name, each in found.items()]
    own = np.stack(in_order, 1)  # (texts, names, classes)
    mixture = (own * weights[labelled][..., None]).sum(1)  # (texts, classes)
    chosen = np.take_along_axis(mixture, first.labels[:, None], 1).squeeze(1)  # (texts,)
    return replace(first, probabilities=mixture, answers=mixture.argmax(-1), losses=-np.log(chosen))
