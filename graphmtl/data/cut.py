"""Which examples to hold out of training where a set has no split of its own."""

from collections import Counter
from collections.abc import Hashable, Sequence

import numpy as np

from graphmtl.data.column import numbered

__all__ = ["cut"]


def cut(
    labels: Sequence[Hashable], keys: Sequence[str | bytes | None], *, size: float, rng: np.random.Generator
) -> np.ndarray:
    """Which examples to hold out: stratified by label, and equal texts stay on one side.

    Args:
        labels: (n,) the label of each example.
        keys: (n,) its normalised text, or whatever must stay together; "" for one that belongs to no other, None for
            one that is never held out.
        size: how many to hold out: a share below 1, or a number of examples.
        rng: draws them.

    Returns:
        (n,) bool. Every label keeps an example that is not held out. A few less than asked for are held out where
        equal texts leave no other way.
    """
    count = round(size * len(labels)) if size < 1 else int(size)
    room = _quotas(Counter(labels), count)
    left = sum(room.values())
    rows, starts = _together(keys)
    held_out = np.zeros(len(labels), dtype=bool)
    for g in rng.permutation(len(starts) - 1):
        if not left:
            break
        group = rows[starts[g] : starts[g + 1]]
        wanted = Counter(labels[i] for i in group.tolist())
        if all(room[label] >= n for label, n in wanted.items()):
            room.subtract(wanted)
            left -= len(group)
            held_out[group] = True
    return held_out


def _together(keys: Sequence[str | bytes | None]) -> tuple[np.ndarray, np.ndarray]:
    """The rows that may be held out, those of equal keys side by side, and where each such group starts and ends.

    The groups stand in the order of their first rows.
    """
    numbers = numbered(keys)  # (n,)
    alone = numbers == -1
    numbers[alone] = len(keys) + np.flatnonzero(alone)
    rows = np.flatnonzero(numbers >= 0)
    _, first, group = np.unique(numbers[rows], return_index=True, return_inverse=True)  # (groups,), (rows,)
    place = np.argsort(np.argsort(first))  # (groups,)
    group = place[group]
    starts = np.concatenate([[0], np.cumsum(np.bincount(group, minlength=len(first)))]).astype(np.int64)
    return rows[np.argsort(group, kind="stable")], starts


def _quotas(sizes: Counter, count: int) -> Counter:
    """How many of each label to hold out: in proportion, largest remainders first, at least one of each stays."""
    labels, total = sorted(sizes), sum(sizes.values())
    exact = {label: count * sizes[label] / total for label in labels}
    quotas = {label: int(exact[label]) for label in labels}
    by_remainder = sorted(labels, key=lambda label: quotas[label] - exact[label])
    for label in by_remainder[: max(count - sum(quotas.values()), 0)]:
        quotas[label] += 1
    return Counter({label: min(quotas[label], sizes[label] - 1) for label in labels})
