import math

import numpy as np
import pytest

from graphmtl.errors import InputError
from graphmtl.metrics.answered import FORMS, Answered
from graphmtl.metrics.named import METRICS, check_metric, compute, find_metric, metrics_of
from tests.metrics.answers import classes, label_sets, numbers, tags, texts

SURE = {"probabilities": np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])}
SPANS = ("O", "B-A", "I-A", "B-B")
RIGHT = [
    classes([0, 1, 0], [0, 1, 0], 2, **SURE),
    label_sets([[1, 0], [0, 1], [1, 0]], [[1, 0], [0, 1], [1, 0]], **SURE),
    numbers([0.5, 2.0, 9.0], [0.5, 2.0, 9.0]),
    tags(["NN VB", "NN"], ["NN VB", "NN"], ("NN", "VB")),
    tags(["B-A I-A O", "B-B"], ["B-A I-A O", "B-B"], SPANS, spans=True),
    texts([["x", "y"], []], ["y", ""]),
]
NOTHING = [
    classes([], [], 2, probabilities=np.zeros((0, 2))),
    label_sets(np.zeros((0, 2)), np.zeros((0, 2)), probabilities=np.zeros((0, 2))),
    numbers([], []),
    tags([""], [""], ("NN", "VB")),
    tags([], [], SPANS, spans=True),
    texts([], []),
]


def of_spans(labels, answers):
    return 7.5


def all_names(found) -> list[str]:
    """Every metric that fits, with a label and a function where they belong."""
    label = {True: "B", False: found.names[-1] if found.names else ""}[found.spans]
    names = metrics_of(found.form, spans=found.spans)
    own = {"module:function": "tests.metrics.test_named:of_spans"}
    return [own.get(name, name.replace("LABEL", label)) for name in names]


@pytest.mark.parametrize("found", RIGHT, ids=lambda found: found.form)
def test_every_metric_that_fits_is_the_best_where_all_is_right(found):
    scores = compute(all_names(found), found)
    best = {name: 1.0 if find_metric(name).higher_is_better else 0.0 for name in scores}
    assert scores == pytest.approx(best | {"tests.metrics.test_named:of_spans": 7.5})
    assert list(scores) == all_names(found)
    assert all(type(value) is float for value in scores.values())
    for name in scores:
        check_metric(name, found.form, names=found.names, spans=found.spans)


@pytest.mark.parametrize("found", NOTHING, ids=lambda found: found.form)
def test_no_example_gives_nan(found):
    scores = compute(all_names(found), found)
    assert list(scores) == all_names(found)
    assert all(math.isnan(value) for value in scores.values())


def test_errors_are_better_the_lower_they_are():
    assert {name for name, metric in METRICS.items() if not metric.higher_is_better} == {"ece", "rmse", "mae"}


def test_every_metric_fits_some_form():
    assert {name for form in FORMS for name in metrics_of(form)} >= METRICS.keys()


def test_only_the_metrics_that_are_asked_for_in_their_order():
    found = classes([0, 1, 0], [0, 1, 1], 2)
    assert list(compute(["matthews", "f1:label1", "accuracy"], found)) == ["matthews", "f1:label1", "accuracy"]


def test_decimal_fractions_look_like_themselves():
    assert compute(["accuracy"], classes([0] * 17 + [1] * 3, [0] * 20, 2)) == {"accuracy": 0.85}


def test_a_label_may_look_like_a_function():
    """The first word tells them apart."""
    found = classes([0, 1, 1], [0, 0, 1], 2)
    scores = compute(["f1:label1", "recall:label1", "precision:label1"], found)
    assert list(scores.values()) == [0.6666667, 0.5, 1.0]
    with pytest.raises(InputError, match="there is no module 'f2'"):
        compute(["f2:label1"], found)


def test_one_label_of_spans_is_a_type():
    found = tags(["B-A I-A B-B", "B-A"], ["B-A O B-B", "B-A"], SPANS, spans=True)
    assert compute(["f1:A", "recall:B"], found) == {"f1:A": 0.5, "recall:B": 1.0}


@pytest.mark.parametrize(
    ("name", "form", "more", "problem"),
    [
        ("acuracy", "classes", {}, "unknown metric 'acuracy'; did you mean 'accuracy'"),
        ("accuracy", "numbers", {}, r"unknown metric 'accuracy'.*\(known: pearson, spearman, rmse, mae, module:functi"),
        ("f1:joy", "numbers", {}, "unknown metric 'f1:joy'"),
        ("f1", "texts", {}, r"\(known: exact_match, token_f1, module:function\)"),
        ("f1:", "classes", {}, "unknown metric 'f1:'"),
        ("matthews", "label-sets", {}, "unknown metric 'matthews'"),
        ("auc", "tags", {}, "unknown metric 'auc'"),
        ("f1:jox", "classes", {"names": ("joy", "fear")}, "'f1:jox'; did you mean 'f1:joy'. .known: f1:joy, f1:fear"),
        ("f1:B-A", "tags", {"names": SPANS, "spans": True}, r"unknown metric 'f1:B-A'.*\(known: f1:A, f1:B\)"),
        ("f1:B-A", "tags", {"names": SPANS, "spans": True, "what": "metric of task 'a'"}, "metric of task 'a' 'f1:B-"),
        ("span_f1", "tags", {"spans": False}, r"'span_f1': its tags are no spans \(O, B-TYPE, I-TYPE\); known: ac"),
        ("macro_f1", "tags", {"spans": True}, "'macro_f1': its tags are tags of spans; known: accuracy, span_f1"),
    ],
)  # fmt: skip
def test_what_measures_other_labels_is_one_line(name, form, more, problem):
    with pytest.raises(InputError, match=problem) as error:
        check_metric(name, form, **more)
    assert "\n" not in str(error.value)


def test_what_is_not_known_yet_is_not_complained_of():
    for name in ("span_f1", "macro_f1", "f1:PER", "no_module:score"):
        check_metric(name, "tags")
    check_metric("f1:B-A", "tags", names=SPANS, spans=False)
    check_metric("f1:A", "tags", names=SPANS, spans=True)


@pytest.mark.parametrize(("error", "told"), [(1.23456789e-8, 1.234568e-8), (123456789.25, 123456789.25)])
def test_small_values_have_seven_digits_and_large_ones_all(error, told):
    answered = Answered(form="numbers", labels=np.zeros(2), answers=np.full(2, error))
    assert compute(["mae"], answered) == {"mae": told}
