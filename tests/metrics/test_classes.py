import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn

from graphmtl.metrics.classes import (
    SCORES,
    accuracy,
    averaged,
    balanced_accuracy,
    matthews,
    of_each_label,
    of_label,
)
from tests.metrics.answers import classes, label_sets, names_of, some_classes, some_label_sets, tags

quick = settings(max_examples=40, deadline=None)
SCIKIT = dict(zip(SCORES, (sklearn.precision_score, sklearn.recall_score, sklearn.f1_score), strict=True))


def plain_f1(right, given, classes: int) -> float:
    scores = []
    for c in range(classes):
        hits = sum(p == c and y == c for p, y in zip(given, right, strict=True))
        total = sum(p == c for p in given) + sum(y == c for y in right)
        if total:
            scores.append(2 * hits / total)
    return sum(scores) / len(scores)


def plain_matthews(right, given, classes: int) -> float:
    """Gorodkin 2004: the correlation of two one-hot matrices."""
    x, y = np.eye(classes)[given], np.eye(classes)[right]
    x, y = x - x.mean(0), y - y.mean(0)
    scale = math.sqrt((x * x).sum() * (y * y).sum())
    return float((x * y).sum() / scale) if scale > 0 else 0.0


@quick
@given(some_classes())
def test_equal_to_the_definitions(found):
    right, answers, count = found.labels, found.answers, len(found.names)
    assert accuracy(found) == pytest.approx(np.mean([p == y for p, y in zip(answers, right, strict=True)]), abs=1e-6)
    assert averaged("f1")(found) == pytest.approx(plain_f1(right, answers, count), abs=1e-6)
    assert matthews(found) == pytest.approx(plain_matthews(right, answers, count), abs=1e-6)
    recalls = [np.mean(answers[right == c] == c) for c in range(count) if (right == c).any()]
    assert balanced_accuracy(found) == pytest.approx(np.mean(recalls), abs=1e-6)


@quick
@given(some_classes() | some_label_sets(), st.sampled_from(SCORES), st.sampled_from(["micro", "macro", "weighted"]))
def test_averages_are_scikit_learns(found, score, average):
    if found.labels.ndim == 2 and found.labels.shape[1] == 1:  # which is two classes for scikit-learn
        found = label_sets(np.hstack([found.labels] * 2), np.hstack([found.answers] * 2))
    expected = SCIKIT[score](found.labels, found.answers, average=average, zero_division=0)
    assert averaged(score, average)(found) == pytest.approx(expected, abs=1e-6)


@quick
@given(some_classes(positive="label1"), st.sampled_from(SCORES))
def test_the_positive_label_alone_counts_where_there_is_one(found, score):
    """Of F1 as GLUE has it: twice the hits over answered and right ones of that label alone."""
    right, answers = found.labels == 1, found.answers == 1
    hits = (right & answers).sum()
    total = {"precision": answers.sum(), "recall": right.sum(), "f1": (right.sum() + answers.sum()) / 2}[score]
    expected = pytest.approx(hits / total if total else 0.0, abs=1e-6)
    assert averaged(score)(found) == of_label(score, "label1")(found) == expected
    assert averaged("f1", "macro")(found) == pytest.approx(
        plain_f1(found.labels, found.answers, len(found.names)), abs=1e-6
    )


@quick
@given(some_classes(), st.randoms())
def test_order_of_examples_and_of_labels_do_not_matter(found, random):
    order, places = [*range(len(found.labels))], [*range(len(found.names))]
    random.shuffle(order)
    random.shuffle(places)
    moved = classes(
        *([places[side[i]] for i in order] for side in (found.labels, found.answers)), count=len(found.names)
    )
    for metric in (accuracy, balanced_accuracy, matthews, *(averaged(score) for score in SCORES)):
        assert metric(moved) == pytest.approx(metric(found), abs=1e-6)


def test_best_and_worst():
    right = np.array([0, 1, 0, 1, 1])
    metrics = (accuracy, balanced_accuracy, *(averaged(score) for score in SCORES), matthews)
    assert [metric(classes(right, right, 2)) for metric in metrics] == [1.0] * 6
    assert [metric(classes(right, 1 - right, 2)) for metric in metrics] == [*[0.0] * 5, -1.0]


@pytest.mark.parametrize("given", [[0, 0, 0], [1, 1, 1]])
def test_matthews_is_0_where_all_are_the_same(given):
    assert matthews(classes([0, 1, 1], given, 2)) == 0
    assert matthews(classes([1, 1, 1], [0, 1, 1], 2)) == 0


def test_a_label_set_is_right_as_a_whole():
    found = label_sets([[1, 0, 1], [0, 0, 0], [1, 1, 0]], [[1, 0, 1], [0, 0, 1], [1, 0, 0]])
    assert accuracy(found) == pytest.approx(1 / 3)
    expected = sklearn.accuracy_score(found.labels, found.answers)
    assert accuracy(found) == pytest.approx(expected)
    assert averaged("f1", "micro")(found) == pytest.approx(2 * 3 / (2 * 3 + 1 + 1))


def test_a_set_of_one_label_is_no_two_classes():
    """scikit-learn would average over having it and not having it."""
    found = label_sets([[1], [0], [1], [0]], [[1], [1], [0], [0]])
    for average in ("micro", "macro", "weighted"):
        assert [averaged(score, average)(found) for score in SCORES] == [0.5] * 3
    assert of_each_label(found) == {"label0": (0.5, 0.5, 0.5, 2)}


def test_tags_are_the_classes_of_all_tokens():
    names = ("NN", "VB", "DT")
    found = tags(["DT NN VB", "", "NN"], ["DT VB VB", "", "NN"], names)
    flat = classes([2, 0, 1, 0], [2, 1, 1, 0], 3)
    for metric in (accuracy, balanced_accuracy, matthews, averaged("f1"), averaged("recall", "weighted")):
        assert metric(found) == metric(flat)
    assert of_label("f1", "NN")(found) == of_label("f1", "label0")(flat)


@quick
@given(some_classes() | some_label_sets())
def test_each_label_has_scikit_learns_scores(found):
    right, answers = found.labels, found.answers
    of_label = (lambda side, i: side[:, i]) if right.ndim == 2 else (lambda side, i: side == i)
    every = of_each_label(found)
    for i, name in enumerate(found.names):
        ours, theirs = of_label(right, i), of_label(answers, i)
        if right.ndim == 1 and not ours.any() and not theirs.any():
            assert name not in every
            continue
        expected = [SCIKIT[score](ours, theirs, zero_division=0) for score in SCORES]
        assert every[name] == pytest.approx((*expected, ours.sum()), abs=1e-6)
    assert list(every) == [name for name in found.names if name in every]
    for score, column in zip(SCORES, zip(*every.values(), strict=True), strict=False):
        assert averaged(score, "macro")(found) == pytest.approx(np.mean(column), abs=1e-6)


def test_a_label_that_is_nowhere_has_0_and_one_without_a_name_is_an_error():
    found = classes([0, 1], [0, 1], 3)
    assert of_label("f1", "label2")(found) == 0
    assert names_of(3)[2] not in of_each_label(found)
    with pytest.raises(ValueError, match="label9"):
        of_label("f1", "label9")(found)


def test_a_tie_of_two_epochs_stays_one():
    """The values are those of single precision: an epoch is chosen by their mean over tasks."""
    found = classes([0] * 120, [0] * 101 + [1] * 19, 2)
    assert accuracy(found) == float(np.float32(101) / np.float32(120)) != 101 / 120
