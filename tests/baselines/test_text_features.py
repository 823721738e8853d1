"""Features of texts: scikit-learn's, and for pairs what both have in common."""

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from graphmtl.baselines.examples import Examples
from graphmtl.baselines.text_features import text_features
from graphmtl.baselines.words import Words
from graphmtl.data.loading import load_tasks
from graphmtl.data.tokenizer import tokenize
from tests.baselines.of_kinds import of_kind


def group(tasks):
    return {name: {split: Examples(data, split) for split in data.splits} for name, data in tasks.items()}


def columns(matrix):
    """The columns of a matrix in an order that is theirs alone."""
    return matrix[:, np.lexsort(np.round(matrix, 9))]


def test_features_of_texts_are_scikit_learns():
    tasks = of_kind("text-classification", "ordinal")
    found = text_features(group(tasks), Words())
    theirs = TfidfVectorizer(tokenizer=tokenize, token_pattern=None, ngram_range=(1, 2), sublinear_tf=True)
    train = [text for data in group(tasks).values() for text in data["train"].rows["text"]]
    parts = [(name, split) for split in ("train", "valid", "test") for name in tasks]
    texts = [text for name, split in parts for text in group(tasks)[name][split].rows["text"]]
    expected = theirs.fit(train).transform(texts).toarray()
    ours = np.vstack([found[name][split].toarray() for name, split in parts])
    np.testing.assert_allclose(columns(ours), columns(expected))


def pairs(**texts):
    rows = {**{name: own * 2 for name, own in texts.items()}, "label": [*"ab"] * len(texts["first"])}
    splits = {split: {**rows, "first": [f"{split} {own}" for own in rows["first"]]} for split in ("valid", "test")}
    return load_tasks({"own": {"train": rows, **splits, "text": ["first", "second"]}})


def test_the_sides_of_a_pair_are_told_apart_and_what_they_share_is_seen():
    one = pairs(first=["a b", "b c", "x y"], second=["b", "d a", "x y"])
    other = pairs(first=one["own"].train["text_pair"][:3], second=one["own"].train["text"][:3])
    a, b = (text_features(group(tasks), Words())["own"]["train"].toarray()[:3] for tasks in (one, other))
    assert not np.array_equal(a, b)
    numbers = a[:, -7:]  # cosine; shares of words and ratio of lengths; the same of pairs of neighbours
    np.testing.assert_allclose(numbers[2], 1)  # the same text twice
    assert numbers[0].tolist()[1:4] == [0.5, 1, 0.5]
    assert numbers[1].tolist()[:3] == [0, 0, 0]
    np.testing.assert_allclose(b[:, -7], numbers[:, 0])
    np.testing.assert_allclose(b[:, -6:-4], numbers[:, [2, 1]])
