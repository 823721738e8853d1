"""How alike the texts of tasks are, by their words: what is known of a task graph before anything is trained."""

import numpy as np
from scipy import sparse

from graphmtl.baselines.examples import Examples
from graphmtl.baselines.words import Side, Words
from graphmtl.data.task import TaskSet

__all__ = ["text_similarity"]


def text_similarity(tasks: TaskSet) -> np.ndarray:
    """The cosine between the mean TF-IDF vectors of the tasks' labelled training texts: (tasks, tasks).

    Words and pairs of neighbours count, as in :mod:`graphmtl.baselines.text_features`; both texts of pairs do.
    """
    from sklearn.feature_extraction.text import (
        TfidfTransformer,  # takes a second, which verbs without it need not spend
    )
    from sklearn.preprocessing import normalize

    words = Words()
    sides = [words.sides(Examples(data, "train")) for data in tasks.values()]
    whole = [_joined(own) for own in sides]
    counts, _ = words.counts(_joined(whole))  # (texts of all tasks, n-grams)
    values = TfidfTransformer(sublinear_tf=True).fit_transform(counts)
    ends = np.cumsum([len(own) for own in whole])
    means = [values[end - len(own) : end].mean(0) for own, end in zip(whole, ends, strict=True)]  # (1, n-grams) each
    vectors = normalize(sparse.csr_matrix(np.concatenate([np.asarray(own) for own in means])))  # (tasks, n-grams)
    return (vectors @ vectors.T).toarray()


def _joined(sides: list[Side] | tuple[Side, ...]) -> Side:
    return Side(np.concatenate([side.ids for side in sides]), np.concatenate([side.lengths for side in sides]))
