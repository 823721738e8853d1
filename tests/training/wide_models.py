"""Small tasks of words and models with wide parts that have learned them."""

import numpy as np

from graphmtl.data.batching import EncodedSplit, EncodedTask
from graphmtl.data.task import Task
from graphmtl.data.vocabulary import Vocabulary
from graphmtl.models.wide import FORMS
from graphmtl.training.wide import fit_wide_parts
from tests.models.small import build
from tests.parts import label_arrays

SPECIAL = Vocabulary.special_ids
TASKS = [Task(name="a", labels=("no", "yes")), Task(name="b", labels=("no", "yes"))]


def split(task, size, seed, flipped=False):
    """Texts of the words 3 to 8, whose label is whether 3 stands there more often than 4."""
    rng = np.random.default_rng(seed)
    texts = [rng.integers(3, 9, size=6).tolist() for _ in range(size)]
    labels = [int((text.count(3) > text.count(4)) != flipped) for text in texts]
    return EncodedSplit(tasks=[task], texts=texts, labels={task: label_arrays(labels)})


def data_of(task, seed, *, valid=30, flipped=False):
    splits = [split(task.name, size, seed + i, flipped) for i, size in enumerate((40, valid, 30))]
    return EncodedTask(task, *splits)


def data_of_any(task, seed):
    """Of the two labels that may apply the one says whether 3 stands in a text, the other whether 4 does."""
    splits = []
    for size in (40, 30, 30):
        rng = np.random.default_rng(seed + len(splits))
        texts = [rng.integers(3, 9, size=6).tolist() for _ in range(size)]
        labels = task.of_kind.arrays([[int(3 in text), int(4 in text)] for text in texts], np.full(size, 6))
        splits.append(EncodedSplit(tasks=[task.name], texts=texts, labels={task.name: labels}))
    return EncodedTask(task, *splits)


def fitted(arch, data, form=None):
    """A model whose parts have learned, in a form of their own choice or in one that is given."""
    model = build(arch, tasks=TASKS, wide=True)
    if form is not None:
        for name in data:
            model.wide_part(name).form.fill_(FORMS.index(form))
            model.wide_part(name).strength.fill_(4.0)
    fit_wide_parts(model, data, seed=0)
    return model
