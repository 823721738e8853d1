"""Features for all tasks, and a copy for each."""

import numpy as np

from graphmtl.baselines.examples import Examples
from graphmtl.baselines.tfidf_all import TfidfAll
from graphmtl.baselines.tfidf_augmented import TfidfAugmented
from graphmtl.baselines.words import Words
from graphmtl.data.loading import load_tasks
from tests.baselines.test_tfidf_all import parts


def test_texts_of_one_task_are_twice_as_alike_and_those_of_two_as_before():
    """The kernel of Daume's paper: 2 K(x, x') within a task, K(x, x') between two."""
    tasks = {name: data for name, data in load_tasks(parts()).items() if name in "ab"}
    group = {name: {split: Examples(data, split) for split in data.splits} for name, data in tasks.items()}
    common, own = (kind().features(group, Words()) for kind in (TfidfAll, TfidfAugmented))
    for one in "ab":
        for other in "ab":
            expected = (common[one]["train"] @ common[other]["train"].T).toarray() * (2 if one == other else 1)
            np.testing.assert_allclose((own[one]["train"] @ own[other]["train"].T).toarray(), expected)
    assert {each.shape[1] for splits in own.values() for each in splits.values()} == {own["a"]["test"].shape[1]}
