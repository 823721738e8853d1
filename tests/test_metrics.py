import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphmtl.data.task import METRICS, Task
from graphmtl.metrics import METRIC_FUNCTIONS, compute


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
    assert METRIC_FUNCTIONS.keys() == {metric for metrics in METRICS.values() for metric in metrics}
