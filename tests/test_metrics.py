import math
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphmtl.data.task import Task
from graphmtl.metrics import METRIC_FUNCTIONS, compute, compute_correlations, compute_spans, scores_by_type


def task(classes: int, *metrics: str) -> Task:
    return Task(name="t", labels=tuple(f"label{i}" for i in range(classes)), metrics=metrics or tuple(METRIC_FUNCTIONS))


def one_hot(labels, classes: int) -> torch.Tensor:
    return torch.eye(classes)[torch.as_tensor(labels)]


def plain_f1(predicted, labels, classes: int) -> float:
    scores = []
    for c in range(classes):
        hits = sum(p == c and y == c for p, y in zip(predicted, labels, strict=True))
        total = sum(p == c for p in predicted) + sum(y == c for y in labels)
        if total:
            scores.append(2 * hits / total)
    return sum(scores) / len(scores)


def plain_matthews(predicted, labels, classes: int) -> float:
    """Gorodkin 2004: the correlation of two one-hot matrices."""
    x, y = np.eye(classes)[predicted], np.eye(classes)[labels]
    x, y = x - x.mean(0), y - y.mean(0)
    scale = math.sqrt((x * x).sum() * (y * y).sum())
    return float((x * y).sum() / scale) if scale > 0 else 0.0


classes_and_pairs = st.integers(2, 4).flatmap(
    lambda c: st.tuples(
        st.just(c), st.lists(st.tuples(st.integers(0, c - 1), st.integers(0, c - 1)), min_size=1, max_size=30)
    )
)


@settings(max_examples=40, deadline=None)
@given(classes_and_pairs)
def test_equal_to_the_definitions(case):
    classes, pairs = case
    predicted, labels = (list(column) for column in zip(*pairs, strict=True))
    scores = compute(task(classes), one_hot(predicted, classes), torch.tensor(labels))
    assert scores["accuracy"] == pytest.approx(np.mean([p == y for p, y in pairs]), abs=1e-6)
    assert scores["f1"] == pytest.approx(plain_f1(predicted, labels, classes), abs=1e-6)
    assert scores["matthews"] == pytest.approx(plain_matthews(predicted, labels, classes), abs=1e-5)


def test_best_and_worst():
    labels = torch.tensor([0, 1, 0, 1, 1])
    assert compute(task(2), one_hot(labels, 2), labels) == {"accuracy": 1.0, "f1": 1.0, "matthews": 1.0}
    assert compute(task(2), one_hot(1 - labels, 2), labels) == {"accuracy": 0.0, "f1": 0.0, "matthews": -1.0}


def test_order_of_examples_and_scale_of_logits_do_not_matter():
    generator = torch.Generator().manual_seed(0)
    logits, labels = torch.randn(50, 3, generator=generator), torch.randint(3, (50,), generator=generator)
    order = torch.randperm(50, generator=generator)
    assert compute(task(3), logits, labels) == compute(task(3), 7 * logits[order] - 2, labels[order])


def test_two_labels_may_change_places():
    predicted, labels = torch.tensor([0, 0, 1, 1, 1, 0]), torch.tensor([0, 1, 1, 1, 0, 1])
    swapped = compute(task(2), one_hot(1 - predicted, 2), 1 - labels)
    assert compute(task(2), one_hot(predicted, 2), labels) == swapped


def test_only_the_metrics_of_the_task_in_their_order():
    scores = compute(task(2, "matthews", "accuracy"), torch.eye(2), torch.tensor([0, 1]))
    assert list(scores) == ["matthews", "accuracy"]
    assert all(type(value) is float for value in scores.values())


def test_decimal_fractions_look_like_themselves():
    labels = torch.tensor([0] * 17 + [1] * 3)
    assert compute(task(2, "accuracy"), one_hot([0] * 20, 2), labels)["accuracy"] == 0.85


def test_no_example():
    scores = compute(task(2), torch.zeros(0, 2), torch.zeros(0, dtype=torch.int64))
    assert scores.keys() == METRIC_FUNCTIONS.keys()
    assert all(math.isnan(value) for value in scores.values())


def test_every_metric_that_a_task_may_ask_for_is_there():
    assert METRIC_FUNCTIONS.keys() == set(("accuracy", "f1", "matthews"))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=1, max_size=30), st.integers(0, 1))
def test_f1_of_the_positive_label(pairs, positive):
    """GLUE's F1: twice the hits over predicted and right ones of that label alone."""
    predicted, labels = (list(column) for column in zip(*pairs, strict=True))
    one = Task(name="t", labels=("no", "yes"), metrics=("f1",), positive=("no", "yes")[positive])
    hits = sum(p == y == positive for p, y in pairs)
    total = predicted.count(positive) + labels.count(positive)
    found = compute(one, one_hot(predicted, 2), torch.tensor(labels))["f1"]
    assert found == pytest.approx(2 * hits / total if total else 0.0, abs=1e-6)


def ranks(values):
    """The mean of the places that equal values take."""
    ordered = sorted(values)
    places = {value: [i for i, other in enumerate(ordered) if other == value] for value in values}
    return [np.mean(places[value]) for value in values]


def correlation(a, b):
    a, b = np.array(a) - np.mean(a), np.array(b) - np.mean(b)
    return (a * b).sum() / math.sqrt((a * a).sum() * (b * b).sum())


SCORES = Task(name="t", kind="regression")


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(-9, 9), st.integers(-9, 9)), min_size=2, max_size=30))
def test_correlations_are_equal_to_the_definitions(pairs):
    found, right = (list(column) for column in zip(*pairs, strict=True))
    scores = compute_correlations(SCORES, torch.tensor(found).float(), torch.tensor(right).float())
    if len(set(found)) == 1 or len(set(right)) == 1:
        assert scores == {"pearson": 0.0, "spearman": 0.0}
        return
    assert scores["pearson"] == pytest.approx(correlation(found, right), abs=1e-6)
    assert scores["spearman"] == pytest.approx(correlation(ranks(found), ranks(right)), abs=1e-6)


@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e9])
def test_the_unit_of_a_score_does_not_matter(unit):
    generator = torch.Generator().manual_seed(0)
    found, right = torch.randn(2, 20, generator=generator)
    expected = compute_correlations(SCORES, found, right)
    assert compute_correlations(SCORES, found * unit + 3 * unit, right) == pytest.approx(expected, abs=1e-5)


def test_correlations_of_nothing_and_of_one_example():
    nothing = compute_correlations(SCORES, torch.zeros(0), torch.zeros(0))
    assert list(nothing) == ["pearson", "spearman"]
    assert all(math.isnan(value) for value in nothing.values())
    assert compute_correlations(SCORES, torch.ones(1), torch.ones(1)) == {"pearson": 0.0, "spearman": 0.0}


# conlleval, line by line in Python: the rules that its chunk boundaries come from (Tjong Kim Sang and Buchholz 2000)


def split_tag(tag):
    prefix, _, kind = tag.partition("-")
    return prefix, kind


def ends(before, before_kind, tag, kind):
    pairs = {("B", "B"), ("B", "O"), ("I", "B"), ("I", "O")}
    return (before, tag) in pairs or (before != "O" and before_kind != kind)


def begins(before, before_kind, tag, kind):
    pairs = {("B", "B"), ("I", "B"), ("O", "B"), ("O", "I")}
    return (before, tag) in pairs or (tag != "O" and before_kind != kind)


def conlleval(predicted, right):
    """Counts of right, predicted and correctly predicted chunks of each type."""
    counts = {"right": Counter(), "found": Counter(), "correct": Counter()}
    lines = [
        pair for sentence in zip(predicted, right, strict=True) for pair in [*zip(*sentence, strict=True), ("O", "O")]
    ]
    (guessed, guessed_kind), (correct, correct_kind) = ("O", ""), ("O", "")
    in_correct = False
    for guess_tag, right_tag in lines:
        (guess, guess_kind), (gold, gold_kind) = split_tag(guess_tag), split_tag(right_tag)
        if in_correct:
            guess_ends, gold_ends = (
                ends(guessed, guessed_kind, guess, guess_kind),
                ends(correct, correct_kind, gold, gold_kind),
            )
            if guess_ends and gold_ends and guessed_kind == correct_kind:
                in_correct = False
                counts["correct"][correct_kind] += 1
            elif guess_ends != gold_ends or guess_kind != gold_kind:
                in_correct = False
        guess_begins, gold_begins = (
            begins(guessed, guessed_kind, guess, guess_kind),
            begins(correct, correct_kind, gold, gold_kind),
        )
        if guess_begins and gold_begins and guess_kind == gold_kind:
            in_correct = True
        counts["found"][guess_kind] += guess_begins
        counts["right"][gold_kind] += gold_begins
        guessed, guessed_kind, correct, correct_kind = guess, guess_kind, gold, gold_kind
    return counts


def prf(correct, found, right):
    precision, recall = correct / found if found else 0.0, correct / right if right else 0.0
    return precision, recall, 2 * precision * recall / (precision + recall) if precision + recall else 0.0


TAGS = ("O", "B-A", "I-A", "B-B", "I-B")
SPANS = Task(
    name="s", kind="token-classification", labels=TAGS, metrics=("span_f1", "span_precision", "span_recall", "accuracy")
)


def indices(text):
    return [TAGS.index(tag) for tag in text.split()]


@pytest.mark.parametrize(
    ("predicted", "right", "counts"),
    [
        ("B-A B-A", "B-A B-A", (2, 2, 2)),  # adjacent spans
        ("B-A I-A", "B-A B-A", (0, 1, 2)),
        ("B-A B-A", "B-A I-A", (0, 2, 1)),
        ("O I-A I-A", "O B-A I-A", (1, 1, 1)),  # I after O
        ("I-A O", "B-A O", (1, 1, 1)),
        ("B-A I-B", "B-A B-B", (2, 2, 2)),  # type change inside a span
        ("B-A I-B I-A", "B-A I-A I-A", (0, 3, 1)),
        ("B-A I-B", "B-A I-A", (0, 2, 1)),
        ("O O", "B-A I-A", (0, 0, 1)),
        ("B-A I-A", "O O", (0, 1, 0)),
        ("O O", "O O", (0, 0, 0)),
    ],
)
def test_span_scores_of_edge_cases_are_conllevals(predicted, right, counts):
    predicted, right = predicted.split(), right.split()
    reference = conlleval([predicted], [right])
    assert tuple(reference[key].total() for key in ("correct", "found", "right")) == counts
    scores = compute_spans(SPANS, [[TAGS.index(t) for t in predicted]], [[TAGS.index(t) for t in right]])
    expected = prf(*counts)
    assert (scores["span_precision"], scores["span_recall"], scores["span_f1"]) == pytest.approx(expected, abs=1e-6)
    accuracy = np.mean([a == b for a, b in zip(predicted, right, strict=True)])
    assert scores["accuracy"] == pytest.approx(accuracy, abs=1e-6)


two_taggings = st.lists(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=8), min_size=1, max_size=5)


@given(two_taggings.filter(any))
def test_span_scores_are_conllevals_over_all_and_of_each_type(pairs):
    predicted, right = ([[pair[side] for pair in sentence] for sentence in pairs] for side in (0, 1))
    counts = conlleval(*([[TAGS[i] for i in tags] for tags in side] for side in (predicted, right)))
    expected = prf(*(counts[key].total() for key in ("correct", "found", "right")))
    scores = compute_spans(SPANS, predicted, right)
    assert list(scores) == list(SPANS.metrics)
    assert (scores["span_precision"], scores["span_recall"], scores["span_f1"]) == pytest.approx(expected, abs=1e-6)
    by_type = scores_by_type(SPANS, predicted, right)
    assert set(by_type) == {kind for key in ("found", "right") for kind, n in counts[key].items() if n}
    for kind, its in by_type.items():
        expected = prf(*(counts[key][kind] for key in ("correct", "found", "right")))
        assert (its["precision"], its["recall"], its["f1"]) == pytest.approx(expected, abs=1e-6)
        assert its["spans"] == counts["right"][kind]


def test_tokens_without_a_label_are_left_out():
    predicted, right = [indices("B-A I-A B-B O"), indices("O O")], [indices("B-A I-A O O"), indices("O O")]
    right[0][2] = -100
    right[1] = [-100, -100]
    assert compute_spans(SPANS, predicted, right) == dict.fromkeys(SPANS.metrics, 1.0)
    assert scores_by_type(SPANS, predicted, right) == {"A": {"precision": 1.0, "recall": 1.0, "f1": 1.0, "spans": 1}}
    nothing = compute_spans(SPANS, [[0]], [[-100]])
    assert list(nothing) == list(SPANS.metrics)
    assert all(math.isnan(value) for value in nothing.values())


def test_tags_that_are_no_spans_have_accuracy_only():
    pos = Task(name="pos", kind="token-classification", labels=("NN", "VB"))
    assert compute_spans(pos, [[0, 1], [1]], [[0, 0], [1]]) == {"accuracy": 0.6666667}
    assert scores_by_type(pos, [[0]], [[0]]) == {}
