"""Training labels that say nothing: a control for whatever is read out of a trained model."""

import zlib
from dataclasses import replace

import numpy as np

from graphmtl.data.task import Task, TaskData

__all__ = ["shuffle_labels"]


def shuffle_labels(data: TaskData, *, seed: int) -> TaskData:
    """The task with the labels of its training split permuted; validation and test stay as they are.

    Of tags the sentences' labels are put one after another in a random order and cut to the lengths of the sentences; a
    span that is cut begins anew.
    """
    rng = np.random.default_rng([seed, zlib.crc32(data.task.name.encode())])
    labels = list(data.train["label"])
    shuffled = [labels[i] for i in rng.permutation(len(labels))]
    if data.task.is_tagging:
        shuffled = _cut_to(list(map(len, labels)), shuffled, data.task)
    train = data.train.remove_columns("label").add_column("label", shuffled)
    return replace(data, train=train)


def _cut_to(lengths: list[int], sentences: list[list[int]], task: Task) -> list[list[int]]:
    """The tags of all sentences, cut anew to these lengths."""
    begins = {f"I-{label[2:]}": i for i, label in enumerate(task.labels) if task.is_spans and label.startswith("B-")}
    begin = {i: begins[label] for i, label in enumerate(task.labels) if label in begins}
    tags = [tag for sentence in sentences for tag in sentence]
    ends = np.cumsum(lengths).tolist()
    cut = [tags[end - length : end] for end, length in zip(ends, lengths, strict=True)]
    return [[begin.get(own[0], own[0]), *own[1:]] if own else own for own in cut]
