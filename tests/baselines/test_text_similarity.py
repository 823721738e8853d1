import numpy as np
import pytest

from graphmtl.baselines.text_similarity import text_similarity
from graphmtl.data.loading import load_tasks


def tasks(**texts):
    """Tasks of these training texts, all with the same validation and test texts."""
    splits = {
        name: {"train": own, "valid": [("v", "n"), ("w", "y")], "test": [("t", "n"), ("u", "y")]}
        for name, own in texts.items()
    }
    rows = {
        name: {split: {"text": [t for t, _ in own], "label": [y for _, y in own]} for split, own in each.items()}
        for name, each in splits.items()
    }
    return load_tasks(rows)


def labelled(*texts):
    return [(text, "ny"[i % 2]) for i, text in enumerate(texts)]


def test_tasks_with_the_same_words_are_alike():
    found = text_similarity(
        tasks(
            a=labelled("a good film", "a bad film"),
            b=labelled("good film", "bad film a"),
            c=labelled("red kettle", "blue pan"),
        )
    )
    assert np.diag(found) == pytest.approx(1)
    assert found == pytest.approx(found.T)
    assert found[0, 1] > 0.7
    assert found[0, 2] == pytest.approx(0)


def test_what_all_texts_have_says_less():
    found = text_similarity(
        tasks(
            a=labelled("the the film", "the film"),
            b=labelled("the the kettle", "the kettle"),
            c=labelled("the film", "the actor"),
        )
    )
    assert found[0, 2] > found[0, 1]
