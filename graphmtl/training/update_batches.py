"""What each process gets of the batches of every update."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from accelerate import Accelerator
from torch import Tensor

from graphmtl.config import TrainingOptions
from graphmtl.data.batching import Batch, EncodedSplit, made_ahead
from graphmtl.layers.devices import moved
from graphmtl.training.budget import Budget
from graphmtl.training.sampling import TaskSampler
from graphmtl.training.term import Term

__all__ = ["Part", "Update", "UpdateBatches"]


@dataclass(frozen=True)
class Update:
    """What the batches of an update of the weights hold together, those of all processes.

    Attributes:
        place: which update of the epoch it is, from 0.
        batches: how many they are.
        texts: how many texts each corpus has.
        labels: how many labels each task has, of those that have any.
        shares: the share of the batches that are of the corpus of each of these tasks.
        shares_of_texts: the same of each corpus.
    """

    place: int
    batches: int
    texts: Mapping[str, int]
    labels: Mapping[str, int]
    shares: Mapping[str, float]
    shares_of_texts: Mapping[str, float]


@dataclass(frozen=True)
class Part:
    """A batch of an update, as one process sees it.

    Attributes:
        corpus: whose texts they are.
        labels: of each task that has any, how many labels the whole batch has.
        batch: this process's texts; one that counts for nothing where there is none for it.
        targets: what each term of the loss needs beside the batch.
        update: the batches that it belongs to.
        first, last: whether it is the first or the last of them.
        tokens: of all its texts, padding not counted.
    """

    corpus: str
    labels: dict[str, int]
    batch: Batch
    targets: list[dict[str, Tensor]]
    update: Update
    first: bool
    last: bool
    tokens: int


class UpdateBatches:
    """The batches of an epoch, made in a thread while the one before is trained on.

    Args:
        corpora: the training splits.
        options: the order of the batches.
        budgets: of each corpus the size of its batches and how many epochs there may be.
        accelerator: says which process this is, and where batches go.
        terms: those that may need more of a text than is in a batch.
        apart: the corpora are trained beside one another and share nothing, so that each has updates of its own.
    """

    def __init__(
        self,
        *,
        corpora: Mapping[str, EncodedSplit],
        options: TrainingOptions,
        budgets: Mapping[str, Budget],
        accelerator: Accelerator,
        terms: Sequence[Term] = (),
        apart: bool = False,
    ) -> None:
        self.corpora = dict(corpora)
        self.sampler = TaskSampler(
            lengths={corpus: split.lengths for corpus, split in corpora.items()},
            batch_size={corpus: budgets[corpus].batch_size for corpus in corpora},
            sampling=options.sampling,
            temperature=options.temperature,
            epochs=max(own.epochs for own in budgets.values()),
            seed=options.seed,
            accumulate=options.accumulate,
            mix=options.mix,
            apart=apart,
        )
        self.accelerator = accelerator
        self.terms = list(terms)

    @property
    def updates_per_epoch(self) -> int:
        return self.sampler.updates_per_epoch

    def epoch(self, epoch: int, *, without: Collection[str] = (), done: int = 0) -> Iterator[Part]:
        """Every batch, update after update; those of the corpora ``without`` are left out, and the first ``done``."""
        return made_ahead(self._part, islice(self._places(epoch, without), done, None))

    def _places(
        self, epoch: int, without: Collection[str]
    ) -> Iterator[tuple[Update, int, str, np.ndarray, dict[str, int]]]:
        """Of every batch its update and its place there, its texts and how many labels they have of each task."""
        for number, drawn in enumerate(self.sampler.updates(epoch)):
            steps = [step for step in drawn if step[0] not in without]
            found = [self._counts(*step) for step in steps]
            labels, texts, read = Counter[str](), Counter[str](), Counter(corpus for corpus, _ in steps)
            for (corpus, rows), counts in zip(steps, found, strict=True):
                labels.update(counts)
                texts[corpus] += len(rows)
            shares = {corpus: count / len(steps) for corpus, count in read.items()}
            of_tasks = {task: shares[corpus] for corpus in read for task in self.corpora[corpus].tasks if labels[task]}
            update = Update(number, len(steps), texts, labels, shares=of_tasks, shares_of_texts=shares)
            for place, ((corpus, rows), counts) in enumerate(zip(steps, found, strict=True)):
                yield update, place, corpus, rows, counts

    def _counts(self, corpus: str, rows: np.ndarray) -> dict[str, int]:
        """How many labels some texts have; tasks of which they have none are left out."""
        labels = {task: int(own[rows].sum()) for task, own in self.corpora[corpus].counts.items()}
        return {task: count for task, count in labels.items() if count}

    def _part(self, place: tuple[Update, int, str, np.ndarray, dict[str, int]]) -> Part:
        """This process's part of a batch. A process that gets no example gets one that counts for nothing."""
        update, number, corpus, rows, counts = place
        mine = rows[self.accelerator.process_index :: self.accelerator.num_processes]  # (batch,)
        fillers = 0 if len(mine) else 1
        mine = mine if len(mine) else rows[:1]
        device = self.accelerator.device
        split = self.corpora[corpus]
        said = [{name: moved(own, device) for name, own in term.targets(corpus, mine).items()} for term in self.terms]
        return Part(
            corpus=corpus,
            labels=counts,
            batch=split.batch(mine, fillers=fillers, tasks=[*counts]).to(device),
            targets=said,
            update=update,
            first=number == 0,
            last=number == update.batches - 1,
            tokens=int(split.lengths[rows].sum()),
        )
