import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from graphmtl.comparison import bootstrap
from graphmtl.comparison.comparing import Compared
from graphmtl.comparison.tables import as_json, markdown, notes, terminal
from graphmtl.comparison.verdict import sentence
from graphmtl.data.task import Task
from graphmtl.errors import InputError
from graphmtl.metrics.probabilities import ece
from tests.comparison.small import classes, named, numbers, row, rows_of, share_right
from tests.parts import lists, predictions_of

RIGHT = {
    "single": {"a": 0.6, "b": 0.6, "c": 0.8},
    "star": {"a": 0.9, "b": 0.6, "c": 0.5},
    "majority": {"a": 0.5, "b": 0.5, "c": 0.5},
}


@pytest.fixture(autouse=True)
def _few_draws(monkeypatch):
    monkeypatch.setattr(bootstrap, "DRAWS", 2000)


def compared(shares=RIGHT, *, against=None, **more):
    rows = rows_of(shares, **more)
    return Compared(rows, seeds=range(len(rows[0].answers)), against=against)


def test_tasks_are_better_worse_or_within_chance():
    found = compared().differences("star", "single")
    assert {name: own.verdict for name, own in found.tasks.items()} == {
        "a": "better",
        "b": "within chance",
        "c": "worse",
    }
    assert found.which("worse") == ["c"]
    assert found.worst[0] == "c"


def test_differences_are_those_of_the_scores_and_turn_round():
    both = compared()
    scores = {name: both.summary(name).scores for name in RIGHT}
    there, back = both.differences("star", "single"), both.differences("single", "star")
    for task in "abc":
        gain = 100 * (np.mean(scores["star"][task]) - np.mean(scores["single"][task]))
        assert there.tasks[task].found.mean == pytest.approx(gain, abs=1e-4)
        assert back.tasks[task].found.mean == pytest.approx(-gain, abs=1e-4)
        assert there.tasks[task].found.low <= gain <= there.tasks[task].found.high
    means = [np.mean(both.summary(name).test) for name in ("star", "single")]
    assert there.mean.mean == pytest.approx(100 * (means[0] - means[1]), abs=1e-4)


def test_normalised_is_the_share_of_the_way_from_the_majority_to_1():
    both = compared(seeds=1)
    score, floor = both.summary("star").scores["a"][0], both.summary("majority").scores["a"][0]
    alone = both.summary("single").scores["a"][0]
    assert both.differences("star", "single").tasks["a"].share == pytest.approx(
        100 * (score - alone) / (1 - floor), abs=1e-3
    )
    assert both.summary("majority").share == pytest.approx([0])


def test_different_metrics_are_not_averaged_but_normalised_scores_are():
    score = Task(name="score", kind="regression", metrics=("pearson",))
    rows = [
        row("single", [{named("a"): share_right(0.7), score: numbers(noise=1.0)}], arch="single"),
        row("star", [{named("a"): share_right(0.9, draw=1), score: numbers(noise=0.2)}]),
        row("majority", [{named("a"): share_right(0.5, draw=2), score: numbers(noise=1e9)}], arch=None),
    ]
    both = Compared(rows, seeds=[0])
    assert not both.one_metric
    found, own = both.differences("star", "single"), both.summary("star")
    assert found.mean is None
    assert own.test is own.valid is None
    assert found.overall is found.mean_share
    assert found.mean_share.mean > 0
    without = Compared(rows[:2], seeds=[0])
    assert without.differences("star", "single").mean_share is None
    assert without.floor == {}


def test_scores_of_one_label_are_normalised():
    task = named("a", metrics=("f1:yes",))
    shares = {"single": 0.6, "star": 0.9, "majority": 0.5}
    rows = [
        row(name, [{task: share_right(share)}], arch=None if name == "majority" else name)
        for name, share in shares.items()
    ]
    both = Compared(rows, seeds=[0])
    assert both.differences("star", "single").mean_share.mean > 0
    assert "need not be shares" not in " ".join(notes(both))


def test_a_task_that_is_not_in_the_mean_is_not_in_it():
    rows = [
        row(name, [{named("a"): share_right(share), named("b", in_mean=False): share_right(0.1)}], arch=name)
        for name, share in (("single", 0.5), ("star", 0.7))
    ]
    both = Compared(rows, seeds=[0])
    assert both.summary("star").test == pytest.approx(both.summary("star").scores["a"])
    assert [*both.differences("star", "single").tasks] == ["a", "b"]
    assert "Not in the mean over tasks: b." in [*notes(both)]


def test_a_baseline_without_some_task_has_the_others_and_no_mean():
    rows = rows_of({"single": {"a": 0.6, "b": 0.6}, "tfidf": {"a": 0.9}}, seeds=1)
    both = Compared(rows, seeds=[0])
    found = both.differences("tfidf", "single")
    assert [*found.tasks] == ["a"]
    assert found.mean is found.mean_dedup is None
    assert both.summary("tfidf").test is None


def test_seen_texts_are_left_out_of_test_dedup():
    right = np.arange(40) >= 10
    rows = [
        row("single", [{named("a"): classes(right, seen=10)}], arch="single"),
        row("star", [{named("a"): classes(right, seen=20)}]),
    ]
    both = Compared([rows[0]], seeds=[0])
    assert (both.summary("single").test, both.summary("single").dedup) == ([0.75], [1.0])


@pytest.mark.parametrize("order", [1, -1])
def test_what_any_row_has_seen_is_left_out_for_all(order):
    """As where one of them was trained with the validation split too."""
    right = np.arange(40) >= 12
    rows = [
        row("single", [{named("a"): classes(right)}], arch="single"),
        row("refit", [{named("a"): classes(right | (np.arange(40) < 6), seen=10)}]),
        row("tfidf", [{named("a"): classes(~right)}], arch=None),
    ]
    both = Compared(rows[::order], seeds=[0], against="single")
    found = {name: both.summary(name).dedup[0] for name in both.rows}
    assert found == pytest.approx({"single": 28 / 30, "refit": 28 / 30, "tfidf": 2 / 30})
    assert both.summary("single").test == pytest.approx([0.7])
    assert both.differences("refit", "single").mean_dedup.mean == 0
    assert both.saw_more == ["refit"]
    assert "for all rows: refit learned from more texts than others." in " ".join(notes(both))
    assert Compared(rows[::2], seeds=[0]).saw_more == []


def test_unseen_texts_are_drawn_as_they_are_among_all_with_every_seed():
    """Though which texts are unseen differs between seeds: of the same text the same number in each draw."""
    right = np.random.default_rng(0).random(400) < 0.7
    texts = np.arange(400, dtype=np.uint64)
    found = [replace(classes(right), texts=texts, seen=np.arange(400) == s) for s in range(5)]
    rows = [row(name, [{named("a"): own} for own in found], arch=name) for name in ("single", "star")]
    drawn = Compared(rows, seeds=range(5))._drawn_dedup["a"]["star"][1:]
    assert np.corrcoef(drawn.T).min() > 0.95


@pytest.mark.parametrize("apart", [False, True])
def test_a_mean_over_tasks_that_label_the_same_texts_is_no_surer_than_one_of_them(apart):
    tasks = [named(name) for name in "abcd"]
    texts = np.arange(200, dtype=np.uint64)

    def answers(share, draw):
        own = share_right(share, size=200, draw=draw)
        return [{task: replace(own, texts=texts + np.uint64(300 * k * apart)) for k, task in enumerate(tasks)}]

    rows = [row("single", answers(0.6, 0), arch="single"), row("star", answers(0.7, 1))]
    found = Compared(rows, seeds=[0]).differences("star", "single")
    width, of_one = (own.high - own.low for own in (found.mean, found.tasks["a"].found))
    assert width == pytest.approx(of_one / 2 if apart else of_one, rel=0.1 if apart else 1e-6)


def test_rows_of_other_texts_with_the_same_labels_are_not_compared():
    known = [replace(classes([True] * 8), texts=np.arange(8, dtype=np.uint64) + np.uint64(k)) for k in (0, 1)]
    rows = [row(name, [{named("a"): own}], arch=name) for name, own in zip(("single", "star"), known, strict=True)]
    with pytest.raises(InputError, match="task a: star was tested on other examples than single"):
        Compared(rows, seeds=[0])


def test_what_a_row_is_compared_with():
    shares = {"shared": {"a": 0.5}, "single": {"a": 0.5}, "tfidf": {"a": 0.5}}
    assert compared(shares).against == "single"
    assert compared(shares).others == ["shared", "tfidf"]
    assert compared(shares, against="tfidf").others == ["shared", "single"]
    assert compared({"shared": {"a": 0.5}, "star": {"a": 0.6}}).against == "shared"
    with pytest.raises(InputError, match="unknown row of --against 'sngle'; did you mean 'single'"):
        compared(shares, against="sngle")


def test_rows_of_other_examples_are_not_compared():
    rows = [row(name, [{named("a"): classes([True] * n)}], arch=name) for name, n in (("single", 8), ("star", 7))]
    with pytest.raises(InputError, match="task a: star was tested on other examples than single"):
        Compared(rows, seeds=[0])
    with pytest.raises(InputError, match="two rows are called star"):
        Compared([rows[1], rows[1]], seeds=[0])


def test_calibration_is_the_mean_over_tasks():
    both = compared(seeds=2)
    answers = both.rows["star"].answers
    expected = [np.mean([ece(task.of_kind.answered(own)) for task, own in each.values()]) for each in answers]
    assert both.summary("star").calibration == pytest.approx(expected)


def test_time_size_and_epochs_are_the_runs():
    answers = [{named("a"): share_right(0.5)}]
    own = Compared([row("star", answers, parameters=7, seconds=120, best={"a": 2, "b": 5})], seeds=[0]).summary("star")
    assert (own.parameters, own.minutes, own.epochs) == (7, 2, ["2 to 5"])
    assert Compared([row("star", answers, best=4)], seeds=[0]).summary("star").epochs == ["4"]


# where a score is undefined


def _areas(positives, *, names=("single", "star", "majority"), size=60, seed=0):
    """Rows of two tasks measured by the area under the ROC curve, of the first of which few labels are right."""
    rng = np.random.default_rng(seed)
    spam, other = (named(name, metrics=("auc",)) for name in ("spam", "other"))
    labels = {spam: np.arange(size) < positives, other: np.arange(size) < size // 2}

    def answers(strength):
        found = {}
        for task, own in labels.items():
            sure = 1 / (1 + np.exp(-(strength * (2 * own - 1) + rng.normal(size=size))))
            both = np.stack([1 - sure, sure], 1)
            found[task] = predictions_of(own.astype(int), (sure > 0.5).astype(int), probabilities=both)
        return found

    strengths = {"single": 0.2, "star": 2.0, "majority": 0.0}
    return [row(name, [answers(strengths[name])], arch=None if name == "majority" else name) for name in names]


def test_draws_without_a_score_are_left_out():
    found = Compared(_areas(3), seeds=[0])
    assert found.undefined == {}
    own = found.differences("star", "single")
    for each in (own.tasks["spam"].found, own.mean):
        assert each.low < each.mean < each.high
    assert own.tasks["other"].verdict == "better"
    assert not np.isfinite(found._drawn["spam"]["star"]).all()


def test_a_mean_has_an_interval_however_many_tasks_have_no_score_in_some_draws():
    """Of 30 such tasks next to no draw has all scores."""
    few = [_areas(1, size=24, seed=seed) for seed in range(30)]
    rows = []
    for own in zip(*few, strict=True):
        answers = {named(f"spam{i}", metrics=("auc",)): each.answers[0]["spam"][1] for i, each in enumerate(own)}
        rows.append(row(own[0].name, [answers], arch=own[0].arch))
    found = Compared(rows, seeds=[0])
    assert found.undefined == {}
    assert all(np.isnan(own["star"]).any() for own in found._all_drawn.values())
    own = found.differences("star", "single")
    alone = np.mean([each.found.mean for each in own.tasks.values()])
    assert own.mean.mean == pytest.approx(alone)
    assert own.mean.low < alone < own.mean.high
    assert own.mean.p < 0.01
    assert own.mean.high - own.mean.low < np.mean([each.found.high - each.found.low for each in own.tasks.values()]) / 3


def test_the_mean_of_one_task_is_that_task_where_draws_have_no_score():
    found = Compared([row(own.name, [_only(own, "spam")], arch=own.arch) for own in _areas(1)], seeds=[0])
    own = found.differences("star", "single")
    assert own.mean == own.tasks["spam"].found


def test_no_mean_where_two_rows_have_few_draws_in_common():
    """Each has a score in more than half, both in a twentieth."""
    found = Compared(rows_of({"single": {"a": 0.4, "b": 0.4}, "star": {"a": 0.9, "b": 0.9}}, seeds=1), seeds=[0])
    draws = len(found._all_drawn["a"]["star"]) - 1
    found._all_drawn["a"]["star"][1 : 1 + round(0.48 * draws)] = np.nan
    found._all_drawn["a"]["single"][1 + round(0.53 * draws) :] = np.nan
    own = found.differences("star", "single")
    assert own.mean is None
    assert own.tasks["a"].found.p > 2 / (0.06 * draws)  # of the draws that there are
    assert own.tasks["a"].found.low < own.tasks["a"].found.mean < own.tasks["a"].found.high
    assert found.summary("star").test == pytest.approx([np.mean([*found.summary("star").scores.values()])])


def test_a_task_without_a_score_is_in_no_difference_and_no_mean_and_this_is_said():
    for positives in (0, 60):
        found = Compared(_areas(positives), seeds=[0])
        assert found.undefined == {"spam": ["single", "star", "majority"]}
        own = found.differences("star", "single")
        assert [*own.tasks] == ["other"]
        assert own.mean == own.tasks["other"].found
        assert found.summary("star").test == found.summary("star").scores["other"]
        assert found.summary("star").calibration == [ece(_answered(found, "star", "other"))]
        changed = found.rows["star"].metrics[0]["tasks"]
        changed["spam"]["valid"]["auc"], changed["other"]["valid"]["auc"] = 0.1, 0.7
        assert found.summary("star").valid == [0.7]
        assert "Undefined on the test examples, and so in no difference and no mean: auc of spam." in [*notes(found)]
        assert "NaN" not in json.dumps(as_json(found))


def test_of_no_task_is_there_a_score():
    found = Compared([row(own.name, [_only(own, "spam")], arch=own.arch) for own in _areas(0)], seeds=[0])
    assert "no task has a score of both star and training alone" in sentence(found, found.differences("star", "single"))
    assert found.differences("star", "single").mean is None
    assert markdown(found)
    assert terminal(found)


def _answered(found, name, task):
    about, predictions = found.rows[name].answers[0][task]
    return about.of_kind.answered(predictions)


def _only(own, task):
    return {about: answers for name, (about, answers) in own.answers[0].items() if name == task}


def test_a_metric_of_ones_own_need_not_have_a_value_for_every_draw_nor_for_a_baseline():
    rows = rows_of({"single": {"a": 0.6}, "star": {"a": 0.9}, "majority": {"a": 0.5}}, seeds=1, size=30)
    found = Compared(rows, seeds=[0])
    whole = found._sums["a"]
    right = {name: each.sums[:, 0] for name, (each,) in whole.items()}
    rare = 0  # the place of an example without which there is no value

    def own(name, times):
        known = (times[:, rare] > 0) & (name != "majority")
        return np.where(known, times @ right[name] / times.sum(1), np.nan)

    for name, (each,) in whole.items():
        whole[name] = [replace(each, sums=each.sums[:, :0], of_draws=partial(own, name))]
    difference = found.differences("star", "single").tasks["a"].found
    assert np.isfinite([difference.low, difference.high]).all()
    assert found.undefined == {"a": ["majority"]}
    assert found.floor == {}
    assert "no mean: accuracy of a for majority." in " ".join(notes(found))


def test_answers_that_have_one_probability_alone_have_no_calibration_error():
    task = Task(name="asked", kind="question-answering", text=("question", "context"))
    spans = lists([({"text": "x", "answer_start": 0},)] * 4)
    own = predictions_of(spans, spans, probabilities=np.full((4, 1), 0.5, np.float32))
    rows = [row(name, [{task: own}], arch=name) for name in ("single", "star")]
    assert Compared(rows, seeds=[0]).summary("star").calibration is None
