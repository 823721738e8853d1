"""How long, and in batches of which size, what shares parameters is trained: ``--epochs`` and ``--batch-size`` at 0."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from graphmtl.config import TrainingOptions
from graphmtl.data.batching import EncodedTask

__all__ = ["Budget", "about", "budget", "budgets", "of_corpora"]

_BATCH = 32  # examples, where the texts are many
_SMALLEST = 8
_BATCHES = 64  # of an epoch; where there are fewer, batches are made smaller
_EPOCHS, _MOST = 8, 40


@dataclass(frozen=True)
class Budget:
    """The training of what shares parameters: of all tasks together, of ``single`` each task's.

    Attributes:
        batch_size: examples in a batch.
        batches: of an epoch.
        epochs: at most; early stopping may end it before.
    """

    batch_size: int
    batches: int
    epochs: int


def budget(sizes: Iterable[int], options: TrainingOptions) -> Budget:
    """The budget for corpora of these numbers of training texts.

    Eight epochs of 300 texts in batches of 32 are 75 updates, in which hardly a weight has moved. So what the options
    leave at 0 follows from the texts: batches of 32 are halved, down to 8, while an epoch has fewer than 64 of them,
    and the epochs are 8 or, where those are fewer than ``min_updates`` updates for each corpus, as many as it takes,
    but no more than 40. So a task has as many updates alone as it has on average together with others.

    >>> budget([300], TrainingOptions())
    Budget(batch_size=8, batches=38, epochs=14)
    >>> budget([300], TrainingOptions(batch_size=32, epochs=8))
    Budget(batch_size=32, batches=10, epochs=8)
    """
    sizes = list(sizes)
    wanted = options.min_updates * len(sizes)

    def batches(batch_size: int) -> int:
        return sum(-(-size // batch_size) for size in sizes)

    batch_size = options.batch_size or _BATCH
    while not options.batch_size and batch_size > _SMALLEST and batches(batch_size) < _BATCHES:
        batch_size //= 2
    updates = -(-batches(batch_size) // options.accumulate)
    enough = -(-wanted // max(updates, 1))
    epochs = options.epochs or min(max(_EPOCHS, enough), _MOST)
    return Budget(batch_size, batches(batch_size), epochs)


def budgets(data: Mapping[str, EncodedTask], groups: Iterable[str], options: TrainingOptions) -> dict[str, Budget]:
    """The budget of each selection group (``model.selection_groups()``): of all tasks together, or of each alone."""
    sizes = {own.corpus: len(own.train) for own in data.values()}
    return {
        group: budget([sizes[data[group].corpus]] if group in data else sizes.values(), options) for group in groups
    }


def of_corpora(data: Mapping[str, EncodedTask], found: Mapping[str, Budget]) -> dict[str, Budget]:
    """Of each corpus the budget, out of those of the selection groups."""
    together = next(iter(found.values()))
    return {own.corpus: found.get(name, together) for name, own in data.items()}


def about(found: Mapping[str, Budget]) -> list[str]:
    """What of the budgets is other than batches of 32 and eight epochs, to be said."""
    groups: dict[str, list[str]] = {}
    for name, own in found.items():
        if (own.batch_size, own.epochs) != (_BATCH, _EPOCHS):
            groups.setdefault(f"batches of {own.batch_size}, {own.epochs} epochs at most", []).append(name)
    return [line if len(found) == 1 else f"{line}: {', '.join(names)}" for line, names in groups.items()]
