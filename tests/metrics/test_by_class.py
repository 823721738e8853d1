import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphmtl.metrics.by_class import class_scores, confusion, most_confused
from graphmtl.metrics.named import compute
from tests.metrics.answers import classes, label_sets, numbers, some_classes, some_label_sets, tags, texts

quick = settings(max_examples=30, deadline=None)


@quick
@given(some_classes() | some_label_sets())
def test_scores_of_a_class_are_its_metrics(found):
    for name, own in class_scores(found).items():
        assert list(own) == ["precision", "recall", "f1", "support"]
        scores = compute([f"{score}:{name}" for score in ("precision", "recall", "f1")], found)
        assert [*scores.values()] == [own["precision"], own["recall"], own["f1"]]
        assert type(own["support"]) is int


def test_classes_that_are_nowhere_are_left_out_and_of_label_sets_none():
    assert list(class_scores(classes([0, 2], [0, 0], 4))) == ["label0", "label2"]
    assert list(class_scores(label_sets([[1, 0, 0]], [[1, 0, 0]]))) == ["label0", "label1", "label2"]


def test_tags_have_a_row_each_and_spans_one_for_each_type():
    pos = class_scores(tags(["NN VB", "VB"], ["NN NN", "VB"], ("VB", "NN")))
    assert pos == {
        "VB": {"precision": 1.0, "recall": 0.5, "f1": 0.6666667, "support": 2},
        "NN": {"precision": 0.5, "recall": 1.0, "f1": 0.6666667, "support": 1},
    }
    ner = class_scores(tags(["B-B I-B B-A"], ["B-B O B-A"], ("O", "B-B", "I-B", "B-A"), spans=True))
    assert ner == {
        "A": {"precision": 1.0, "recall": 1.0, "f1": 1.0, "spans": 1},
        "B": {"precision": 0.0, "recall": 0.0, "f1": 0.0, "spans": 1},
    }
    assert class_scores(tags(["O"], ["O"], ("O", "B-A"), spans=True)) == {}


@pytest.mark.parametrize("found", [numbers([1.0], [1.0]), texts([["x"]], ["x"])])
def test_numbers_and_texts_have_no_classes(found):
    assert class_scores(found) == {}
    assert confusion(found) is None


def test_nothing_is_in_no_class():
    assert class_scores(classes([], [], 2)) == class_scores(label_sets(np.zeros((0, 2)), np.zeros((0, 2)))) == {}
    assert confusion(classes([], [], 2)) == [[0, 0], [0, 0]]


@quick
@given(some_classes())
def test_confusion_counts_every_example_once(found):
    counts = confusion(found)
    for i in range(len(found.names)):
        for j in range(len(found.names)):
            assert counts[i][j] == ((found.labels == i) & (found.answers == j)).sum()
    assert all(type(count) is int for row in counts for count in row)


def test_rows_of_confusion_are_right_and_tags_count_by_token():
    assert confusion(classes([0, 0, 1], [1, 1, 1], 2)) == [[0, 2], [0, 1]]
    assert confusion(tags(["B A", "A"], ["B B", "A"], ("A", "B"))) == [[1, 1], [0, 1]]
    assert confusion(label_sets([[1, 0]], [[1, 0]])) is None


def test_the_most_confused_labels_are_those_with_the_most_errors_both_ways():
    matrix = {"labels": ["a", "b", "c", "d"], "counts": [[9, 0, 0, 4], [0, 8, 1, 0], [0, 0, 7, 0], [3, 0, 0, 6]]}
    found = most_confused(matrix, 2)
    assert found == {"labels": ["a", "d"], "counts": [[9, 4], [3, 6]], "support": [13, 9], "of": 4}
    assert most_confused(matrix, 3)["labels"] == ["a", "b", "d"]  # b and c alike: the first
    assert most_confused(matrix, 4) == matrix | {"support": [13, 9, 7, 9], "of": 4}


@quick
@given(st.integers(1, 6), st.integers(0, 10**6), st.integers(1, 6))
def test_no_label_that_is_left_out_has_more_errors(count, seed, limit):
    counts = np.random.default_rng(seed).integers(0, 9, (count, count))
    errors = {str(i): int(counts[i].sum() + counts[:, i].sum() - 2 * counts[i, i]) for i in range(count)}
    kept = most_confused({"labels": [*errors], "counts": counts.tolist()}, limit)["labels"]
    assert len(kept) == min(limit, count)
    assert min(errors[name] for name in kept) >= max([0, *(errors[name] for name in errors if name not in kept)])
