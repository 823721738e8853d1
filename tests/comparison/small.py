"""Rows of a comparison whose answers are made up."""

import numpy as np

from graphmtl.comparison.rows import Row
from graphmtl.data.kind import NO_LABEL
from graphmtl.data.task import Task
from tests.parts import lists, predictions_of

KNOWN = Task(name="known", labels=("no", "yes"))


def named(name, **fields):
    return Task(**{"name": name, "labels": ("no", "yes"), **fields})


def classes(right, *, seed=0, seen=0, labels=2):
    """Predictions of a classification, ``right`` (examples,) of which are right; the first ``seen`` are seen texts."""
    right = np.asarray(right, dtype=bool)
    truth = np.random.default_rng(seed).integers(labels, size=len(right))
    sure = np.where(right, truth, (truth + 1) % labels)
    probabilities = np.full((len(right), labels), 0.2 / (labels - 1), dtype=np.float32)
    probabilities[np.arange(len(right)), sure] = 0.8
    return predictions_of(truth, sure, seen=np.arange(len(right)) < seen, probabilities=probabilities)


def share_right(share, *, size=300, draw=0, **more):
    """About this share is right; which, ``draw`` says."""
    return classes(np.random.default_rng(draw).random(size) < share, **more)


def numbers(size=200, seed=0, noise=1.0):
    """Predictions of a regression task that have something to do with the labels."""
    rng = np.random.default_rng(seed)
    labels = 3 + rng.normal(size=size)
    return predictions_of(labels, labels + noise * rng.normal(size=size))


def tags_of(task, sentences=60, seed=0):
    """Random predictions of a tagging task, some labels missing."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 9, size=sentences)
    tags, labels = ([rng.integers(len(task.labels), size=length) for length in lengths] for _ in range(2))
    for own in labels:
        own[rng.random(len(own)) < 0.1] = NO_LABEL
    seen = rng.random(sentences) < 0.2
    whole = predictions_of(lists(labels), lists(tags), seen=seen)
    return whole.chosen(np.array([(own != NO_LABEL).any() for own in labels]))


def metrics(tasks, *, valid=0.5, parameters=100, seconds=60.0, best=3, train=90):
    """What a comparison reads of ``metrics.json``."""
    return {
        "tasks": {
            name: {"n_train": train, "metric": task.metrics[0], "valid": {task.metrics[0]: valid}}
            for name, (task, _) in tasks.items()
        },
        "mean": {"valid": valid},
        "parameters": parameters,
        "train_seconds": seconds,
        "best_epoch": best,
        "versions": {"graphmtl": "1"},
    }


def row(name, answers, *, arch="star", **about):
    """A row of ``{task: predictions}`` for every seed; ``arch=None`` makes it a baseline."""
    whole = [{task.name: (task, own) for task, own in each.items()} for each in answers]
    told = [] if arch is None else [metrics(each, **about) for each in whole]
    return Row(name=name, arch=arch, answers=whole, metrics=told)


def rows_of(shares, *, seeds=2, size=300, **more):
    """A row for each name of ``{name: {task name: share that is right}}``; ``majority`` and ``tfidf`` are baselines."""
    return [
        row(
            name,
            [
                {
                    named(task): share_right(share, size=size, draw=100 * seed + i, seed=7, **more)
                    for i, (task, share) in enumerate(own.items())
                }
                for seed in range(seeds)
            ],
            arch=None if name in ("majority", "tfidf") else name.partition("-")[0],
        )
        for name, own in shares.items()
    ]
