"""Batches of one task or of several for a training loop of one's own: a torch DataLoader."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from graphmtl.config import ModelOptions, Sampling
from graphmtl.data.batching import Batch, EncodedSplit, encode_split
from graphmtl.data.subwords import SubwordVocabulary
from graphmtl.data.task import TaskData
from graphmtl.data.vocabulary import Vocabulary
from graphmtl.errors import InputError, check_whole, note, shown, unknown_name
from graphmtl.models.model import MultiTaskModel
from graphmtl.training.run_data import say_cut_texts
from graphmtl.training.sampling import TaskSampler

__all__ = ["loader"]

_ITS_OWN = {"sampler", "batch_sampler", "drop_last"}


def loader(
    tasks: Mapping[str, TaskData],
    model: MultiTaskModel | Vocabulary | SubwordVocabulary,
    *,
    split: str = "train",
    batch_size: int = 32,
    shuffle: bool = True,
    seed: int = 0,
    sampling: Sampling = "proportional",
    temperature: float = 2.0,
    epochs: int = 1,
    **kwargs: Any,
) -> DataLoader:
    """A torch ``DataLoader`` of :class:`~graphmtl.data.batching.Batch`, as ``graphmtl run`` would make them.

    A batch holds texts of one task, or of one corpus with the labels of its tasks, and goes into the model as it is:
    ``model(batch.to(device)).loss``. What has no label of any of the tasks is left out. Every time the loader is
    iterated another epoch comes, in the order that :class:`~graphmtl.training.sampling.TaskSampler` says; it is a
    function of the seed and of the epoch alone (``loader.sampler.set_epoch``).

    Args:
        tasks: a task set (:func:`graphmtl.load_tasks`), or some of its tasks by name.
        model: what reads the batches; or a vocabulary, for a model of one's own: texts are then cut to 200 tokens.
        split: ``train``, ``valid``, ``test`` or the name of another test split.
        batch_size: texts in a batch; the last ones may hold fewer.
        shuffle: texts of like length share a batch, and batches come in random order; without, all texts come in the
            order of the data, task after task.
        seed: of the order.
        sampling: how often each task comes; ``proportional``, ``uniform``, ``sqrt``, ``temperature`` or ``annealed``,
            as ``TaskSampler`` says. It plays a part only where texts are shuffled.
        temperature: that of ``temperature``.
        epochs: those over which ``annealed`` goes on.
        **kwargs: of ``torch.utils.data.DataLoader``, such as ``num_workers``.

    Raises:
        InputError: the model has no such task or other labels for it, there is no such split, or a task has no label.

    >>> from graphmtl import load_tasks
    >>> labels = ["yes", "no"] * 20
    >>> films = {"text": [f"film {n}" for n in range(40)], "label": labels}
    >>> books = {"text": [f"book number {n}" for n in range(40)], "label": labels}
    >>> tasks = load_tasks({"films": films, "books": books})
    >>> vocabulary = Vocabulary.build(text for data in tasks.values() for text in data.train["text"])
    >>> batches = loader(tasks, vocabulary, batch_size=8)
    >>> for batch in batches:
    ...     batch = batch.to("cpu")
    >>> len(batches), len(batch.tokens) == len(batch.lengths) == len(batch.labels[batch.tasks[0]])
    (8, True)
    """
    check_whole("seed", seed)
    check_whole("epochs", epochs, 1)
    for name in _ITS_OWN & kwargs.keys():
        raise InputError(f"{name}: found {shown(kwargs[name])}, but the loader says itself which texts share a batch")
    if not isinstance(tasks, Mapping) or not tasks or not all(isinstance(own, TaskData) for own in tasks.values()):
        raise InputError(f"tasks: found {shown(tasks)}, expected a task set (graphmtl.load_tasks)")
    apart, options, vocabulary = False, ModelOptions(), model
    if isinstance(model, MultiTaskModel):
        _check_tasks(tasks, model)
        vocabulary, options, apart = model.vocabulary, model.options, model.architecture.own_encoder_per_task
    if not isinstance(vocabulary, Vocabulary | SubwordVocabulary):
        raise InputError(f"model: found {shown(model)}, expected a MultiTaskModel or a Vocabulary")
    corpora = encode_split(tasks, vocabulary, options, split, apart=apart)
    say_cut_texts({name: [own] for name, own in corpora.items()}, note)
    texts = _Texts(corpora, split)
    sampler = TaskSampler(
        lengths=texts.lengths,
        batch_size=batch_size,
        sampling=sampling,
        temperature=temperature,
        epochs=epochs,
        seed=seed,
    )
    order: Iterable = sampler if shuffle else texts.in_order(batch_size)
    kwargs.setdefault("generator", torch.Generator())  # of the workers' seeds; without it torch's own would move on
    return DataLoader(texts, batch_size=None, sampler=order, **kwargs)


class _Texts(Dataset):
    """The texts of a split that have a label, by corpus; ``texts[corpus, rows]`` is a batch of them."""

    def __init__(self, corpora: Mapping[str, EncodedSplit], split: str):
        self._corpora = corpora
        labelled = {name: np.sum(list(own.counts.values()), 0) > 0 for name, own in corpora.items()}  # (examples,) each
        self._rows = {name: np.flatnonzero(own) for name, own in labelled.items()}
        for name, rows in self._rows.items():
            if not len(rows):
                raise InputError(f"{', '.join(corpora[name].tasks)}: nothing in split {split!r} has a label")

    @property
    def lengths(self) -> dict[str, np.ndarray]:
        """Tokens of every text, (examples,) of each corpus."""
        return {name: self._corpora[name].lengths[rows] for name, rows in self._rows.items()}

    def in_order(self, batch_size: int) -> list[tuple[str, np.ndarray]]:
        """Corpus and rows, (batch,), of every batch, in the order of the data."""
        places = {name: np.arange(len(rows)) for name, rows in self._rows.items()}
        return [
            (name, own[at : at + batch_size]) for name, own in places.items() for at in range(0, len(own), batch_size)
        ]

    def __len__(self) -> int:
        return sum(map(len, self._rows.values()))

    def __getitem__(self, batch: tuple[str, np.ndarray]) -> Batch:
        corpus, places = batch
        split, rows = self._corpora[corpus], self._rows[corpus][places]  # (batch,)
        return split.batch(rows, tasks=[task for task, counts in split.counts.items() if counts[rows].any()])


def _check_tasks(tasks: Mapping[str, TaskData], model: MultiTaskModel) -> None:
    """Whether a model has all these tasks, with the same labels.

    Raises:
        InputError: it has not.
    """
    for name, data in tasks.items():
        if name not in model.tasks:
            raise unknown_name("task", name, model.tasks)
        if unlike := data.task.unlike(model.tasks[name]):
            raise InputError(f"task {name!r} of the data is not the model's: {unlike}")
