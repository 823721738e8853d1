"""Batches of updates, by hand."""

from collections.abc import Mapping, Sequence

from graphmtl.data.batching import EncodedTask
from graphmtl.training.update_batches import Part, Update


def part_of(data: Mapping[str, EncodedTask], task: str, rows: Sequence[int], *, fillers: int = 0, labels: int) -> Part:
    """A batch of a task in an update that has so many labels of it."""
    batch = data[task].train.batch(rows, fillers=fillers)
    update = Update(
        place=0, batches=2, texts={task: labels}, labels={task: labels}, shares={task: 0.5}, shares_of_texts={task: 0.5}
    )
    own = {task: len(rows) - fillers}
    return Part(corpus=task, labels=own, batch=batch, targets=[], update=update, first=True, last=False, tokens=9)
