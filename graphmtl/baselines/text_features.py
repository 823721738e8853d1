r"""TF-IDF of words and of pairs of neighbours, as scikit-learn has it, and what a pair of texts has in common.

An n-gram that stands :math:`c` times in a text, and in :math:`d` of n training texts, has the value
:math:`(1 + \ln c) (1 + \ln \frac{1 + n}{1 + d})`; each text's values are divided by the root of the sum of their
squares. Those of a pair of texts a, b are the ones of a, of b, and of both, :math:`\min(a, b)`, side by side, and
behind them a few numbers: how alike the texts are.
"""

import numpy as np
from scipy import sparse
from sklearn.feature_extraction.text import TfidfTransformer

from graphmtl.baselines.baseline import Group
from graphmtl.baselines.words import Side, Words

__all__ = ["text_features"]


def text_features(group: Group, words: Words) -> dict[str, dict[str, sparse.csr_matrix]]:
    """The features of the texts of some tasks, which read either texts or pairs.

    Args:
        group: the examples of each task, by split; what an n-gram counts for is learned from ``train``.
        words: the words of their texts.

    Returns:
        ``{task: {split: (examples, features)}}``; of choices a row is a choice, those of an example in their order.
    """
    parts = [(task, split) for task, splits in group.items() for split in splits]
    parts.sort(key=lambda part: part[1] != "train")  # training texts first
    sides = [words.sides(group[task][split]) for task, split in parts]  # of each part one or two
    train = sum(len(own[0]) for (_, split), own in zip(parts, sides, strict=True) if split == "train")
    stacked = [_stacked([own[i] for own in sides]) for i in range(len(sides[0]))]  # (texts of all parts,) each
    counts, single = words.counts(_stacked(stacked))  # (texts of all sides, n-grams)
    texts = len(stacked[0])
    learned = [side[:train] for side in _halves(counts, texts)]
    known = np.flatnonzero(sum(side.getnnz(0) for side in learned))
    values = TfidfTransformer(sublinear_tf=True).fit(sparse.vstack([side[:, known] for side in learned]))
    tfidf = _halves(values.transform(counts[:, known]), texts)
    features = tfidf[0] if len(tfidf) == 1 else _of_pairs(tfidf, _halves(counts, texts), single)
    found: dict[str, dict[str, sparse.csr_matrix]] = {task: {} for task in group}
    begin = 0
    for (task, split), own in zip(parts, sides, strict=True):
        found[task][split] = features[begin : begin + len(own[0])]
        begin += len(own[0])
    return found


def _stacked(sides: list[Side]) -> Side:
    return Side(np.concatenate([side.ids for side in sides]), np.concatenate([side.lengths for side in sides]))


def _halves(rows: sparse.csr_matrix, texts: int) -> list[sparse.csr_matrix]:
    """The rows of the first texts, and of the other ones where there are pairs."""
    return [rows[begin : begin + texts] for begin in range(0, rows.shape[0], max(texts, 1))]


def _of_pairs(tfidf: list[sparse.csr_matrix], counts: list[sparse.csr_matrix], single: np.ndarray) -> sparse.csr_matrix:
    """The features of pairs, (pairs, features)."""
    first, second = tfidf
    numbers = [np.asarray(first.multiply(second).sum(1)).ravel()]  # the cosine
    for those in (single, ~single):
        a, b = (side[:, those].sign() for side in counts)
        both, sizes = np.asarray(a.multiply(b).sum(1)).ravel(), [side.getnnz(1) for side in (a, b)]
        numbers += [both / np.maximum(size, 1) for size in sizes]
        numbers.append(np.minimum(*sizes) / np.maximum(np.maximum(*sizes), 1))
    return sparse.hstack([first, second, first.minimum(second), np.stack(numbers, 1)], format="csr")
