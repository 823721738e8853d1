"""Which corpus a step trains on and which of its examples: the order of the batches of an epoch."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from zlib import crc32

import numpy as np

from graphmtl.config import Sampling
from graphmtl.errors import InputError, shown, unknown_name

__all__ = ["TaskSampler"]

_POOL = 50  # batches in a pool: examples are sorted by length inside a pool only, so batches still differ by epoch
_ALPHA = {"proportional": 1.0, "sqrt": 0.5, "uniform": 0.0}


class TaskSampler:
    r"""Batches of one task each, in the order of an epoch.

    Tasks of one corpus, whose labels stand on the same texts, are one task here, with the name of the corpus.

    An epoch has :math:`\sum_k \lceil n_k / B_k \rceil` steps, where task k has :math:`n_k` training examples in
    batches of :math:`B_k`, whatever the sampling:

    - ``proportional``: every training example exactly once; the batches of all tasks are shuffled.
    - ``uniform``, ``sqrt``, ``temperature``, ``annealed``: the task of a step is drawn with
      :math:`p_k \propto n_k^\alpha`, :math:`\alpha` = 0, 1/2, 1/T and :math:`1 - 0.8 (e - 1) / (E - 1)` in epoch e of E
      (Stickland and Murray, 2019, section 3.3: from proportional towards uniform). Each task goes through its own
      shuffled examples, and starts over when all were seen.

    An update of the weights has the next ``accumulate`` batches, the last one of an epoch what is left. With ``mix``
    the batches of an epoch are spread over as many updates of even sizes so that those of an update are of different
    tasks: a task stands twice in an update only if it has more batches than the epoch has updates.

    Texts of like length share a batch: a task's shuffled examples are cut into pools of 50 batches, sorted by length
    inside a pool, cut into batches, and the batches are shuffled.

    The order is a function of (seed, epoch) alone, so that an epoch can be made without those before it, and the
    batches of a task do not depend on which other tasks there are. As a ``DataLoader``'s sampler it goes on to the next
    epoch every time it is iterated; ``set_epoch`` says which one follows, as in torch's ``DistributedSampler``.

    Args:
        lengths: for each task the number of tokens of every training example, (examples,).
        batch_size: examples in a batch, or those of each task; a task's last batch may have fewer.
        sampling: the name of the sampling.
        temperature: T of ``temperature``, above 0.
        epochs: E of ``annealed``.
        seed: of the order.
        accumulate: batches in an update.
        mix: an update's batches are of different tasks.
        apart: an update's batches are of one task, for tasks that are trained beside one another and share nothing.

    Raises:
        InputError: an unknown sampling, a task without examples, a batch size or temperature that is not positive.

    >>> sampler = TaskSampler(lengths={"a": np.ones(3), "b": np.ones(2)}, batch_size=2)
    >>> len(sampler), sorted((task, len(rows)) for task, rows in sampler.epoch(1))
    (3, [('a', 1), ('a', 2), ('b', 2)])
    """

    def __init__(
        self,
        *,
        lengths: Mapping[str, np.ndarray],
        batch_size: int | Mapping[str, int],
        sampling: Sampling = "proportional",
        temperature: float = 1.0,
        epochs: int = 1,
        seed: int = 0,
        accumulate: int = 1,
        mix: bool = False,
        apart: bool = False,
    ) -> None:
        if sampling not in (*_ALPHA, "temperature", "annealed"):
            raise unknown_name("sampling", sampling, [*_ALPHA, "temperature", "annealed"])
        batch_sizes = batch_size if isinstance(batch_size, Mapping) else dict.fromkeys(lengths, batch_size)
        for size in batch_sizes.values():
            if not isinstance(size, int) or size < 1:
                raise InputError(f"batch_size must be a whole number of 1 or more, found {shown(size)}")
        if not isinstance(temperature, int | float) or not temperature > 0:
            raise InputError(f"temperature must be a number above 0, found {shown(temperature)}")
        self.lengths = {task: np.asarray(values) for task, values in lengths.items()}
        for task, values in self.lengths.items():
            if len(values) == 0:
                raise InputError(f"task {task!r} has no training example")
        self.batch_sizes = dict(batch_sizes)
        self.sampling = sampling
        self.temperature = temperature
        self.epochs = epochs
        self.seed = seed
        self.accumulate = accumulate
        self.mix = mix
        self.apart = apart and accumulate > 1
        self._following = 1  # the epoch that is iterated next

    def __iter__(self) -> Iterator[tuple[str, np.ndarray]]:
        """The epoch that follows."""
        self._following += 1  # not before the first step: a DataLoader with workers makes an iterator that it drops
        yield from self.epoch(self._following - 1)

    def set_epoch(self, epoch: int) -> None:
        """Which epoch is iterated next; here epochs count from 0, as torch and Lightning count them."""
        self._following = epoch + 1

    def __len__(self) -> int:
        """Steps of an epoch."""
        return sum(self._batches().values())

    @property
    def updates_per_epoch(self) -> int:
        """Updates of an epoch; of tasks ``apart`` that are drawn at random the most that there may be."""
        if not self.apart:
            return -(-len(self) // self.accumulate)
        if self.sampling == "proportional":
            return sum(-(-count // self.accumulate) for count in self._batches().values())
        return len(self) // self.accumulate + len(self.lengths)

    def epoch(self, epoch: int) -> Iterator[tuple[str, np.ndarray]]:
        """Task and rows, (batch,) int64, of every step of an epoch; epochs count from 1."""
        yield from chain.from_iterable(self.updates(epoch))

    def updates(self, epoch: int) -> Iterator[list[tuple[str, np.ndarray]]]:
        """The same, the batches of an update together."""
        streams = {task: self._stream(task, epoch) for task in self.lengths}
        order = self._tasks(epoch)
        size = self.accumulate
        if self.apart:
            updates = self._apart(order)
        elif self.mix:
            updates = self._mixed(order, epoch)
        else:
            updates = [order[i : i + size] for i in range(0, len(order), size)]
        for tasks in updates:
            yield [(task, next(streams[task])) for task in tasks]

    def _apart(self, order: Sequence[str]) -> list[list[str]]:
        """The tasks of every update, each of one task, out of those of every step."""
        updates: list[list[str]] = []
        open_: dict[str, list[str]] = {}
        for task in order:
            update = open_.setdefault(task, [])
            update.append(task)
            if len(update) == self.accumulate:
                updates.append(open_.pop(task))
        return [*updates, *open_.values()]

    def _mixed(self, order: Sequence[str], epoch: int) -> list[list[str]]:
        """The tasks of every update, out of those of every step: each task's batches go where there is most room."""
        random = np.random.default_rng([self.seed, epoch, crc32(b"mix")])
        count = self.updates_per_epoch
        room = np.full(count, len(order) // count) + (np.arange(count) < len(order) % count)  # (updates,)
        updates: list[list[str]] = [[] for _ in range(count)]
        for task, left in Counter(order).most_common():
            while left:
                places = np.lexsort((random.random(count), -room))[: min(left, np.count_nonzero(room))]
                for place in places:
                    updates[place].append(task)
                room[places] -= 1
                left -= len(places)
        return updates

    def probabilities(self, epoch: int) -> dict[str, float]:
        """The share of an epoch's steps that each task gets: exactly for ``proportional``, else on average."""
        if self.sampling == "proportional":
            sizes = np.array([float(count) for count in self._batches().values()])  # (tasks,)
        else:
            sizes = np.array([float(len(values)) for values in self.lengths.values()]) ** self._alpha(epoch)  # (tasks,)
        return dict(zip(self.lengths, (sizes / sizes.sum()).tolist(), strict=True))

    def _alpha(self, epoch: int) -> float:
        if self.sampling == "temperature":
            return 1.0 / self.temperature
        if self.sampling == "annealed":
            return 1.0 - 0.8 * (epoch - 1) / max(self.epochs - 1, 1)
        return _ALPHA[self.sampling]

    def _batches(self) -> dict[str, int]:
        return {task: -(-len(values) // self.batch_sizes[task]) for task, values in self.lengths.items()}

    def _tasks(self, epoch: int) -> list[str]:
        """The task of every step."""
        random = np.random.default_rng([self.seed, epoch])
        names = list(self.lengths)
        if self.sampling == "proportional":
            order = random.permutation(np.repeat(np.arange(len(names)), list(self._batches().values())))  # (steps,)
        else:
            order = random.choice(len(names), size=len(self), p=list(self.probabilities(epoch).values()))  # (steps,)
        return [names[index] for index in order]

    def _stream(self, task: str, epoch: int) -> Iterator[np.ndarray]:
        """Batches of a task without end; each example once, then each once more in another order, and so on."""
        random = np.random.default_rng([self.seed, epoch, crc32(task.encode())])
        while True:
            yield from self._pass(task, random)

    def _pass(self, task: str, random: np.random.Generator) -> list[np.ndarray]:
        """Every example once, texts of like length together."""
        lengths, size = self.lengths[task], self.batch_sizes[task]
        order = random.permutation(len(lengths))  # (examples,)
        pool = _POOL * size
        batches = []
        for start in range(0, len(order), pool):
            rows = order[start : start + pool]  # (pool,)
            rows = rows[np.argsort(lengths[rows], kind="stable")]  # (pool,)
            batches += [rows[first : first + size] for first in range(0, len(rows), size)]
        return [batches[index] for index in random.permutation(len(batches))]
