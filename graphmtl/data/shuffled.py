"""Training labels that say nothing: a control for whatever is read out of a trained model."""

import zlib
from dataclasses import replace

import numpy as np

from graphmtl.data.task import TaskData

__all__ = ["shuffle_labels"]


def shuffle_labels(data: TaskData, *, seed: int) -> TaskData:
    """The task with the labels of its training split permuted; validation and test stay as they are.

    Of tags the sentences' labels are put one after another in a random order and cut to the lengths of the sentences; a
    span that is cut begins anew. A place behind the last choice of an example is counted on from the first.
    """
    rng = np.random.default_rng([seed, zlib.crc32(data.task.name.encode())])
    labels = list(data.train["label"])
    shuffled = [labels[i] for i in rng.permutation(len(labels))]
    shuffled = data.task.of_kind.relabelled(shuffled, labels, data.train)
    train = data.train.remove_columns("label").add_column("label", shuffled)
    return replace(data, train=train)
