"""A small task of every kind, with some test texts that stand in training and some rows that have no label."""

import random

from graphmtl.data.loading import load_tasks
from graphmtl.data.task import TaskSet
from tests.kinds.test_every_kind import CASES


def of_kind(*kinds: str, size: int = 120, seed: int = 0) -> TaskSet:
    """Tasks of these kinds, called by them."""
    return load_tasks({kind: _given(kind, size, random.Random(f"{kind} {seed}")) for kind in kinds})


def _given(kind: str, size: int, rng: random.Random) -> dict:
    make, keys = CASES[kind]
    train, valid, test = ([make(rng) for _ in range(n)] for n in (size, 40, 40))
    for rows in (train, valid, test):
        words = rows[3].get("words")
        rows[3] |= {"label": words and ["_"] * len(words)}  # None of texts
    return {"kind": kind, "train": train, "valid": valid, "test": [*test, *train[5:10]], **keys}
