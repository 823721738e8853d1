"""Features of tokens: what scikit-learn makes of the same words."""

import numpy as np
from sklearn.feature_extraction import DictVectorizer

from graphmtl.baselines.examples import Examples
from graphmtl.baselines.tag_features import features_of_word, tag_features
from tests.baselines.of_kinds import of_kind

SEEN = {-2: ["lower"], -1: ["lower", "shape", "end3"], 1: ["lower", "shape", "end3"], 2: ["lower"]}


def slowly(tokens):
    """The features of each token of a text by name."""
    for i, token in enumerate(tokens):
        found = features_of_word(token)
        for distance, names in SEEN.items():
            there = 0 <= i + distance < len(tokens)
            own = features_of_word(tokens[i + distance]) if there else dict.fromkeys(names, "no token")
            found |= {f"{distance} {name}": own[name] for name in names}
        yield found


def test_features_are_those_of_the_words_in_their_places():
    data = of_kind("token-classification")["token-classification"]
    examples = {split: Examples(data, split) for split in data.splits}
    found = tag_features({"own": examples})["own"]
    named = {
        split: [each for tokens in own.rows["tokens"] for each in slowly(tokens)] for split, own in examples.items()
    }
    theirs = DictVectorizer(sparse=False).fit(named["train"])
    often = theirs.transform(named["train"]).sum(0) >= 2
    for split, own in named.items():
        expected, ours = theirs.transform(own)[:, often], found[split].toarray()
        assert ours.shape == expected.shape
        assert np.array_equal(ours @ ours.T, expected @ expected.T)  # the columns may be in another order
