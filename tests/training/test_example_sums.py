from dataclasses import replace

import numpy as np
import pytest

from graphmtl.data.task import Task
from graphmtl.training.example_sums import draws, sums_of
from tests import tagging
from tests.comparison.small import KNOWN, classes, named, numbers, share_right, tags_of
from tests.parts import lists, predictions_of

THREE = {"labels": ("no", "maybe", "yes")}


def label_sets(size=80, seed=0):
    rng = np.random.default_rng(seed)
    labels, answers = (rng.integers(2, size=(size, 3)) for _ in range(2))
    return predictions_of(labels, answers, probabilities=rng.integers(20, size=(size, 3)) / 20)


def texts(size=30, seed=0):
    rng = np.random.default_rng(seed)
    some = [["the film"], ["a good book", "book"], [], ["dull"]]
    labels = [[{"text": text} for text in some[i]] for i in rng.integers(4, size=size)]
    answers = [[{"text": text} for text in some[i][:1]] for i in rng.integers(4, size=size)]
    return predictions_of(_objects(labels), _objects(answers))


def told(labels, probabilities):
    """Predictions of two classes by the probability of the second, (examples,)."""
    labels, probabilities = np.asarray(labels, int), np.asarray(probabilities)
    return predictions_of(labels, labels, probabilities=np.stack([1 - probabilities, probabilities], 1))


def _objects(values):
    found = np.empty(len(values), dtype=object)
    found[:] = values
    return found


def of(metric, **fields):
    return named("known", metrics=(metric,), **fields)


def cases():
    half, three = share_right(0.7), share_right(0.6, labels=3)
    yield "accuracy", KNOWN, half
    yield "f1 of one", of("f1", positive="yes"), half
    yield "matthews", of("matthews"), half
    yield "auc", of("auc"), half
    for metric in ("f1", "micro_f1", "macro_f1", "weighted_f1", "precision", "recall", "balanced_accuracy", "matthews"):
        yield f"{metric} of three", of(metric, **THREE), three
    yield "f1 of maybe", of("f1:maybe", **THREE), three
    yield "auc of three", of("auc", **THREE), three
    for metric in ("accuracy", "macro_f1", "micro_f1", "recall:maybe", "auc"):
        yield f"{metric} of sets", of(metric, kind="multi-label", **THREE), label_sets()
    for metric in ("pearson", "spearman"):
        yield metric, Task(name="score", kind="regression", metrics=(metric,)), numbers()
    yield "tags", tagging.POS, tags_of(tagging.POS)
    for metric in ("span_f1", "span_precision", "span_recall"):
        yield metric, Task(**{**tagging.NER.to_dict(), "metrics": (metric,)}), tags_of(tagging.NER)
    pair = {"kind": "question-answering", "text": ("question", "context")}
    for metric in ("token_f1", "exact_match"):
        yield metric, Task(name="qa", metrics=(metric,), **pair), texts()


@pytest.mark.parametrize(("task", "predictions"), [pytest.param(t, p, id=name) for name, t, p in cases()])
def test_any_examples_have_the_score_that_their_kind_gives_them(task, predictions):
    found = sums_of(task, predictions)
    rng = np.random.default_rng(2)
    for times in (np.ones(len(found), dtype=np.int64), rng.multinomial(40, np.full(len(found), 1 / len(found)))):
        some = np.repeat(np.arange(len(found)), times)
        expected = task.of_kind.scores(predictions.chosen(some))[task.metrics[0]]
        assert found.drawn(times[None])[0] == pytest.approx(expected, abs=1e-6)
    assert found.whole() == pytest.approx(task.of_kind.scores(predictions)[task.metrics[0]], abs=1e-6)


@pytest.mark.parametrize("metric", ["accuracy", "auc"])
def test_unseen_examples_alone(metric):
    predictions = classes(np.arange(40) % 3 > 0, seen=15)
    unseen = sums_of(of(metric), predictions).unseen()
    assert len(unseen) == 25
    assert unseen.whole() == pytest.approx(sums_of(of(metric), predictions.unseen()).whole())


def test_a_correlation_with_what_is_always_the_same_is_0():
    task, predictions = of("matthews"), predictions_of(np.array([0, 1, 1]), np.array([1, 1, 1]))
    assert sums_of(task, predictions).whole() == task.of_kind.scores(predictions)["matthews"] == 0
    score = Task(name="score", kind="regression", metrics=("pearson",))
    assert sums_of(score, predictions_of(np.array([0.0, 1.0, 2.0]), np.ones(3))).whole() == 0


@pytest.mark.parametrize("unit", [1e-12, 1e-5, 1, 1e9])
@pytest.mark.parametrize("metric", ["pearson", "spearman"])
def test_a_correlation_has_no_unit(metric, unit):
    score, known = Task(name="score", kind="regression", metrics=(metric,)), numbers()
    scaled = predictions_of(known.labels * unit + 3 * unit, known.answers * unit)
    assert sums_of(score, scaled).whole() == pytest.approx(score.of_kind.scores(known)[metric], abs=1e-6)
    assert sums_of(score, scaled).interval("a") == pytest.approx(sums_of(score, known).interval("a"), abs=1e-6)


@pytest.mark.parametrize(
    ("task", "predictions"),
    [
        (of("auc"), told([0, 1, 1], [0, 1, np.nan])),
        (
            Task(name="score", kind="regression", metrics=("pearson",)),
            predictions_of(np.arange(3.0), np.full(3, np.nan)),
        ),
        (
            Task(name="score", kind="regression", metrics=("spearman",)),
            predictions_of(np.arange(3.0), np.full(3, np.nan)),
        ),
    ],
)
def test_answers_that_are_no_numbers_have_no_score(task, predictions):
    assert np.isnan(sums_of(task, predictions).whole())


def test_a_function_that_has_no_value_for_some_draws(tmp_path, monkeypatch):
    (tmp_path / "ratio.py").write_text(
        "def of(labels, answers):\n    return labels.count('yes') / labels.count('no')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    found = sums_of(of("ratio:of"), predictions_of(np.array([0, 1, 1]), np.array([1, 1, 1])))
    drawn = found.drawn(np.array([[1, 1, 1], [0, 2, 1], [2, 0, 1]]))
    assert np.array_equal(drawn, [2, np.nan, 0.5], equal_nan=True)
    assert found.interval("a") is None  # every draw is scored anew, which takes long


def test_a_function_of_the_users_own_whose_name_is_like_a_metrics(tmp_path, monkeypatch):
    (tmp_path / "my_f1.py").write_text(
        "def cost(labels, answers):\n    return sum(map(str.__eq__, labels, answers)) / 7\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    task, predictions = of("my_f1:cost"), share_right(0.5, size=20)
    assert sums_of(task, predictions).whole() == pytest.approx(task.of_kind.scores(predictions)["my_f1:cost"])


def test_tags_without_spans_are_counted_by_sentence():
    task = Task(name="pos", kind="token-classification", labels=("A", "B"), text=("tokens",), metrics=("macro_f1",))
    predictions = predictions_of(lists([[0, 1], [1], [0, 0, 1]]), lists([[0, 0], [1], [0, 1, 1]]))
    found = sums_of(task, predictions)
    assert found.sums.tolist()[0] == [1, 0, 2, 0, 1, 1]  # both, answered, right; of A and B each
    assert found.sums.sum(0).tolist() == [2, 2, 3, 3, 3, 3]


def test_an_interval_is_that_of_the_share_that_is_right():
    """Of 400 examples of which 3 in 4 are right: a binomial's, 0.75 -+ 1.96 sqrt(0.75 0.25 / 400)."""
    sums = sums_of(KNOWN, classes(np.arange(400) % 4 > 0))
    assert sums.interval("a") == pytest.approx((0.7075, 0.7925), abs=0.006)
    assert sums.interval("a") == sums.interval("a")
    assert sums.interval("a") != sums.interval("b")


def test_no_interval_without_examples_or_where_most_draws_have_no_score():
    rare = told(np.arange(30) == 0, np.arange(30) / 30)
    assert sums_of(of("auc"), rare).interval("a") == (0, 0)  # of the two thirds of the draws that have example 0
    assert sums_of(of("auc"), rare.chosen(np.arange(1, 30))).interval("a") is None
    twice = replace(sums_of(of("auc"), rare), of_draws=lambda times: np.where(times[:, 0] > 1, 0.5, np.nan))
    assert twice.interval("a") is None  # a quarter of the draws has one
    assert sums_of(KNOWN, share_right(0.7)).unseen().interval("a") is not None
    assert sums_of(KNOWN, share_right(0.7, seen=300)).unseen().interval("a") is None


def test_draws_hold_as_many_examples_and_are_as_many_as_asked():
    found = [*draws("a", 7, 500)]
    assert [start for start, _ in found] == [0, 250]
    assert {int(own.sum()) for _, times in found for own in times} == {7}
