"""Words as numbers, and how often each n-gram stands in a text."""

import random

import numpy as np
from sklearn.feature_extraction.text import CountVectorizer

from graphmtl.baselines.examples import Examples
from graphmtl.baselines.words import Words
from graphmtl.data.loading import load_tasks
from graphmtl.data.tokenizer import tokenize
from tests.baselines.of_kinds import of_kind


def texts(count=30):
    rng = random.Random(0)
    return [
        " ".join(rng.choices(["It's", "a", "good", "film", "Film", "!", "n't"], k=rng.randrange(1, 9)))
        for _ in range(count)
    ]


def task(**rows):
    """A task of some texts, whose other splits are one text each."""
    one = {name: values[:1] for name, values in rows.items()}
    return load_tasks(
        {
            "own": {
                "train": {**rows, "label": [*"ab"] * 15},
                "valid": {**one, "label": ["a"]},
                "test": {**one, "label": ["b"]},
            }
        }
    )["own"]


def test_counts_are_scikit_learns():
    words = Words()
    (side,) = words.sides(Examples(task(text=texts()), "train"))
    counts, single = words.counts(side)
    theirs = CountVectorizer(
        tokenizer=lambda text: [word.lower() for word in tokenize(text)],
        token_pattern=None,
        lowercase=False,
        ngram_range=(1, 2),
    )
    expected = theirs.fit_transform(texts())
    assert sorted(map(tuple, counts.toarray().T)) == sorted(map(tuple, expected.toarray().T))
    assert single.sum() == sum(" " not in name for name in theirs.get_feature_names_out())


def test_no_pair_of_neighbours_spans_two_texts():
    words = Words()
    (side,) = words.sides(Examples(task(text=["one two", "three four"] * 15), "train"))
    counts, single = words.counts(side)
    assert counts[:, ~single].toarray()[:2].tolist() in ([[1, 0], [0, 1]], [[0, 1], [1, 0]])


def test_choices_are_pairs_of_the_context_and_a_choice():
    examples = Examples(of_kind("multiple-choice")["multiple-choice"], "train")
    words = Words()
    contexts, choices = words.sides(examples)
    sizes = [*map(len, examples.rows["choices"])]
    assert len(contexts) == len(choices) == sum(sizes)
    right = np.cumsum(sizes) - sizes + examples.values  # the right choice is the context's own word
    assert np.array_equal(contexts.ids[right], choices.ids[right])
    assert np.array_equal(contexts.take(right).ids, contexts.ids[right])


def test_tokens_are_taken_as_they_are():
    data = of_kind("token-classification")["token-classification"]
    examples = Examples(data, "train")
    (side,) = Words().sides(examples)
    assert side.lengths.tolist() == [*map(len, examples.rows["tokens"])]
