import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from graphmtl.metrics.probabilities import auc, ece
from tests.metrics.answers import classes, label_sets

quick = settings(max_examples=40, deadline=None)


def drawn(seed: int, examples: int, count: int):
    """Classes with probabilities."""
    generator = np.random.default_rng(seed)
    probabilities = generator.dirichlet(np.ones(count), examples)
    right = generator.integers(0, count, examples)
    return classes(right, probabilities.argmax(1), count, probabilities=probabilities)


def drawn_sets(seed: int, examples: int, count: int):
    generator = np.random.default_rng(seed)
    probabilities = generator.random((examples, count))
    return label_sets(generator.random((examples, count)) < 0.5, probabilities > 0.5, probabilities=probabilities)


def plain_ece(confidence, right, bins: int = 15) -> float:
    """Guo et al. 2017, equations 2 and 3, bin by bin."""
    total = 0.0
    for b in range(bins):
        inside = [i for i, p in enumerate(confidence) if b / bins < p <= (b + 1) / bins or (p == 0 and b == 0)]
        if inside:
            total += len(inside) * abs(np.mean([right[i] for i in inside]) - np.mean([confidence[i] for i in inside]))
    return total / len(confidence)


@quick
@given(st.integers(0, 10**6), st.integers(2, 40))
def test_auc_of_two_classes_is_that_of_the_second_or_of_the_positive(seed, examples):
    found = drawn(seed, examples, 2)
    if len(set(found.labels.tolist())) == 1:
        assert math.isnan(auc(found))
        return
    assert auc(found) == pytest.approx(roc_auc_score(found.labels, found.probabilities[:, 1]))
    assert auc(replace(found, positive="label1")) == auc(found)
    first = auc(replace(found, positive="label0"))
    assert first == pytest.approx(roc_auc_score(found.labels == 0, found.probabilities[:, 0]))


@pytest.mark.parametrize("seed", range(5))
def test_auc_of_more_classes_and_of_label_sets_is_scikit_learns_macro(seed):
    found = drawn(seed, 60, 4)
    expected = roc_auc_score(found.labels, found.probabilities, multi_class="ovr", average="macro")
    assert auc(found) == pytest.approx(expected)
    one = auc(replace(found, positive="label2"))
    assert one == pytest.approx(roc_auc_score(found.labels == 2, found.probabilities[:, 2]))
    sets = drawn_sets(seed, 60, 3)
    assert auc(sets) == pytest.approx(roc_auc_score(sets.labels, sets.probabilities, average="macro"))


def test_auc_leaves_out_what_no_example_or_every_example_has():
    labels = np.array([[1, 0, 1], [1, 0, 0]])
    found = label_sets(labels, labels, probabilities=np.array([[0.1, 0.9, 0.8], [0.2, 0.8, 0.3]]))
    assert auc(found) == 1.0
    assert math.isnan(auc(replace(found, positive="label0")))
    three = classes([0, 1], [0, 1], 3, probabilities=np.array([[0.6, 0.3, 0.1], [0.2, 0.5, 0.3]]))
    assert auc(three) == 1.0


def test_ties_count_half():
    found = classes([0, 1, 1], [0, 0, 0], 2, probabilities=np.full((3, 2), 0.5))
    assert auc(found) == 0.5


@quick
@given(st.integers(0, 10**6), st.integers(1, 60), st.integers(2, 4))
def test_calibration_error_is_the_published_one(seed, examples, count):
    found = drawn(seed, examples, count)
    confidence = found.probabilities.max(1)
    assert ece(found) == pytest.approx(plain_ece(confidence, found.probabilities.argmax(1) == found.labels))
    sets = drawn_sets(seed, examples, count)
    assert ece(sets) == pytest.approx(plain_ece(sets.probabilities.ravel(), sets.labels.ravel()))


def test_calibration_error_by_hand():
    right, given = [0, 0, 0, 1], [0, 0, 0, 0]
    sure = np.array([[1.0, 0.0]] * 4)
    assert ece(classes(right, given, 2, probabilities=sure)) == 0.25  # as sure as can be, and right 3 times of 4
    assert ece(classes(right, given, 2, probabilities=np.array([[0.75, 0.25]] * 4))) == 0
    two_bins = np.array([[1.0, 0.0], [1.0, 0.0], [0.5, 0.5], [0.5, 0.5]])
    assert ece(classes(right, given, 2, probabilities=two_bins)) == 0  # 1 - 1 and 1/2 - 1/2
    apart = classes([0, 1], [0, 0], 2, probabilities=np.array([[0.61, 0.39], [0.6, 0.4]]))  # 0.6 ends a bin
    assert ece(apart) == pytest.approx((0.39 + 0.6) / 2)


def test_probabilities_that_are_nan_give_nan_and_none_an_error():
    broken = replace(drawn(0, 9, 3), probabilities=np.full((9, 3), math.nan))
    assert math.isnan(auc(broken))
    assert math.isnan(ece(broken))
    with pytest.raises(ValueError, match="probabilities: found None"):
        auc(replace(broken, probabilities=None))
