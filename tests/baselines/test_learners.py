"""Which of several models is taken."""

import numpy as np
import pytest
from scipy import sparse

from graphmtl.baselines.answers import of_classes
from graphmtl.baselines.examples import Examples
from graphmtl.baselines.learners import LEARNERS, Learner, chosen_on_valid
from graphmtl.metrics.answered import FORMS
from tests.baselines.of_kinds import of_kind


class Given(Learner):
    """Models that say the right label's probability as it is given."""

    def __init__(self, *p):
        self.p = p

    def models(self, features, train, *, strengths, seed):
        return [lambda features, p=p: np.full((features.shape[0], 1), p) for p in self.p]

    def say(self, scores, examples, about):
        p = np.repeat(1 - scores, 2, axis=1)
        p[np.arange(len(examples)), examples.values] = scores[:, 0]
        return of_classes(p, examples)


def chosen(*p):
    data = of_kind("text-classification")["text-classification"]
    group = {"own": {split: Examples(data, split) for split in data.splits}}
    features = {"own": {split: sparse.csr_matrix((len(own), 1)) for split, own in group["own"].items()}}
    said = chosen_on_valid(Given(*p), group, features, strengths=(), seed=0)
    return np.exp(-said["test"]["own"].losses[0])


@pytest.mark.parametrize(("given", "best"), [((0.2, 0.9, 0.4), 0.9), ((0.6, 0.8, 0.7), 0.8), ((0.3, 0.6, 0.1), 0.6)])
def test_the_best_on_validation_is_taken_and_of_equals_that_with_the_smallest_loss(given, best):
    assert chosen(*given) == pytest.approx(best)


def test_every_form_of_answers_but_texts_is_learned():
    assert {*LEARNERS} == {*FORMS} - {"texts"}
