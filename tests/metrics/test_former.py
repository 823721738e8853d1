import pytest

from graphmtl.data.task import Task
from graphmtl.metrics.former import compute, compute_correlations, compute_spans, scores_by_type
from graphmtl.metrics.named import compute as compute_named
from tests.metrics.answers import classes, numbers

TAGS = ("O", "B-A", "I-A")
SPANS = ("span_f1", "span_precision", "span_recall", "accuracy")


@pytest.mark.parametrize("positive", [None, "label0"])
def test_metrics_of_a_task_are_those_of_its_names(positive):
    right, given, metrics = [0, 1, 1], [0, 0, 1], ("f1", "accuracy", "matthews")
    task = Task(name="t", labels=("label0", "label1"), metrics=metrics, positive=positive)
    assert compute(task, given, right) == compute_named(metrics, classes(right, given, 2, positive=positive))
    scores = Task(name="t", kind="regression")
    expected = compute_named(("pearson", "spearman"), numbers([1.0, 2.0, 4.0], [2.0, 1.0, 3.0]))
    assert compute_correlations(scores, [2.0, 1.0, 3.0], [1.0, 2.0, 4.0]) == expected


def test_tokens_without_a_label_are_left_out():
    task = Task(name="s", kind="token-classification", labels=TAGS, metrics=SPANS)
    predicted, right = [[1, 2, 1, 0], [0, 0]], [[1, 2, -100, 0], [-100, -100]]
    assert compute_spans(task, predicted, right) == dict.fromkeys(SPANS, 1.0)
    assert scores_by_type(task, predicted, right) == {"A": {"precision": 1.0, "recall": 1.0, "f1": 1.0, "spans": 1}}
    pos = Task(name="pos", kind="token-classification", labels=("NN", "VB"))
    assert compute_spans(pos, [[0, 1], [1]], [[0, 0], [1]]) == {"accuracy": 0.6666667}
    assert scores_by_type(pos, [[0]], [[0]]) == {}
