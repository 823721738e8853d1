"""One model for all tasks whose labels agree, which may deviate for each of them."""

from collections.abc import Mapping

import numpy as np
from scipy import sparse

from graphmtl.baselines.baseline import Group
from graphmtl.baselines.tfidf_all import TfidfAll
from graphmtl.baselines.words import Words

__all__ = ["TfidfAugmented"]


class TfidfAugmented(TfidfAll):
    r"""``tfidf-augmented``: as ``tfidf-all``, with every feature once for all tasks and once for each task.

    For an example x of task k the features are :math:`\langle x, 0, \dots, x, \dots, 0 \rangle`, with the second copy
    in the k-th place (Daume III, Frustratingly easy domain adaptation, ACL 2007, section 3). The regularisation decides
    what of a weight is common to all.
    """

    def features(self, group: Group, words: Words) -> Mapping:
        common = super().features(group, words)
        own = {
            task: np.flatnonzero(splits["train"].getnnz(0)) for task, splits in common.items()
        }  # of each its features
        width, found = sum(map(len, own.values())), {}
        begin = 0
        for task, splits in common.items():
            found[task] = {split: _with_copy(each, own[task], begin, width) for split, each in splits.items()}
            begin += len(own[task])
        return found


def _with_copy(features: sparse.csr_matrix, own: np.ndarray, begin: int, width: int) -> sparse.csr_matrix:
    """Features (examples, features), and behind them ``width`` others, from ``begin`` on a copy of ``own`` of them."""
    copy = features[:, own]
    copy = sparse.csr_matrix((copy.data, copy.indices + begin, copy.indptr), shape=(copy.shape[0], width))
    return sparse.hstack([features, copy], format="csr")
