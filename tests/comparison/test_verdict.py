import pytest

from graphmtl.comparison import bootstrap
from graphmtl.comparison.comparing import Compared
from graphmtl.comparison.verdict import best_of, sentence, sentences
from tests.comparison.small import named, numbers, row, rows_of, share_right

RIGHT = {
    "shared": {"a": 0.6, "b": 0.6, "c": 0.6},
    "single": {"a": 0.6, "b": 0.6, "c": 0.8},
    "star": {"a": 0.95, "b": 0.6, "c": 0.5},
    "majority": {"a": 0.5, "b": 0.5, "c": 0.5},
    "tfidf": {"a": 0.6, "b": 0.9, "c": 0.8},
}


@pytest.fixture(scope="module")
def both():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bootstrap, "DRAWS", 2000)
        yield Compared(rows_of(RIGHT), seeds=[0, 1])


def test_a_sentence_counts_the_tasks_and_names_those_that_are_harmed(both):
    assert sentence(both, both.differences("star", "single")) == (
        "star is better than training alone for 1 of 3 tasks, worse for 1 (c), and within chance for 1"
    )
    assert sentence(both, both.differences("single", "single")) == (
        "training alone is within chance of training alone for all 3 tasks"
    )


def test_one_task_within_chance():
    compared = Compared(rows_of({"single": {"a": 0.6}, "star": {"a": 0.6}}), seeds=[0, 1])
    assert next(sentences(compared)) == "star is within chance of training alone for the one task"


def test_the_best_row_is_told_first_and_held_against_the_best_baseline(both):
    told = [*sentences(both)]
    assert [line.split(" for ")[0] for line in told] == [
        "star is better than training alone",
        "shared is better than training alone",
        "star is better than tfidf",
        "training alone is better than tfidf",
    ]
    assert best_of(both, both.others) == "tfidf"


def test_against_another_row_it_is_called_by_its_name():
    rows = rows_of({name: RIGHT[name] for name in ("shared", "star")})
    assert next(sentences(Compared(rows, seeds=[0, 1]))).startswith("star is better than shared for 1 of 3 tasks")


def test_where_there_is_no_mean_the_best_row_is_better_for_most_tasks():
    def of(name, share):
        score = named("score", kind="regression", labels=(), metrics=("pearson",))
        answers = [{named("a"): share_right(share, draw=seed, seed=7), score: numbers()} for seed in (0, 1)]
        return row(name, answers, arch=name)

    compared = Compared([of("single", 0.6), of("shared", 0.3), of("star", 0.95)], seeds=[0, 1])
    assert compared.to_reference["star"].overall is None
    assert best_of(compared, ["shared", "star"]) == "star"


def test_a_model_that_beats_the_most_frequent_answer_alone_is_not_told():
    rows = rows_of({name: RIGHT[name] for name in ("shared", "star", "majority")})
    told = [*sentences(Compared(rows, seeds=[0, 1]))]
    assert [line.split(" for ")[0] for line in told] == ["star is better than shared"]


def test_one_row_alone():
    rows = rows_of({"star": {"a": 0.5}})
    assert [*sentences(Compared(rows, seeds=[0, 1]))] == [
        "star alone was measured; there is nothing to compare it with"
    ]
