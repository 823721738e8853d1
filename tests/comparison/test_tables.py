import json

import pytest

from graphmtl.comparison import bootstrap
from graphmtl.comparison.comparing import Compared
from graphmtl.comparison.tables import as_json, frame, latex, markdown, notes, terminal
from graphmtl.data.task import Task
from tests.comparison.small import named, numbers, row, rows_of, share_right

RIGHT = {"single": {"a_1": 0.6, "b": 0.8}, "star": {"a_1": 0.95, "b": 0.5}, "majority": {"a_1": 0.5, "b": 0.5}}


@pytest.fixture(scope="module", autouse=True)
def _few_draws():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bootstrap, "DRAWS", 1000)
        yield


@pytest.fixture(scope="module")
def both(_few_draws):
    return Compared(rows_of(RIGHT), seeds=[0, 1])


def cells(lines, first):
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith(f"| {first} |")]


def test_the_first_line_of_the_markdown_is_the_sentence(both):
    lines = markdown(both)
    assert lines[0].startswith("star is better than training alone for 1 of 2 tasks, worse for 1 (b)")
    summary, differences = cells(lines, "star")
    assert summary[5:] == [summary[5], "100", "3, 3", "1.0"]
    assert differences[4] == "1, 1, 0"
    assert differences[5].startswith("b -")
    a, scores = cells(lines, "a_1")
    assert a[1].endswith("▲")
    assert scores[1:4] == ["accuracy", "90", "300"]


def test_the_long_form_has_a_line_for_each_row_and_task(both):
    found = frame(both)
    assert found[["row", "task"]].values.tolist() == [[r, t] for r in RIGHT for t in ("a_1", "b", "mean")]
    star = found[(found.row == "star") & (found.task == "a_1")].iloc[0]
    assert star.verdict == "better"
    assert star.low < star.difference < star.high
    single = found[(found.row == "single") & (found.task == "a_1")].iloc[0]
    assert star.difference == pytest.approx(star.score - single.score, abs=1e-4)


def test_json_has_no_number_that_is_none(both):
    found = json.loads(json.dumps(as_json(both), allow_nan=False))
    assert found["differences"]["star"]["tasks"]["b"]["verdict"] == "worse"
    assert found["against"] == "single"
    assert len(found["rows"]["star"]["scores"]["a_1"]) == 2


def test_latex_escapes_names_and_its_rows_are_of_one_length(both):
    lines = latex(both)
    assert any(line.startswith(r"a\_1 & ") for line in lines)
    rows = [line for line in lines if line.endswith(r"\\")]
    assert {line.count(" & ") for line in rows} == {3}


@pytest.mark.parametrize("tasks", [3, 16, 60])
@pytest.mark.parametrize("name", ["t", "a_very_long_name_of_a_task_that_nobody_would_cut_off_at_any_place"])
def test_a_terminal_has_80_columns_and_names_are_whole(tasks, name):
    shares = {
        row: {f"{name}{i}": 0.6 for i in range(tasks)} for row in ("single", "shared", "star", "complete", "mmoe")
    }
    lines = terminal(Compared(rows_of(shares, seeds=1, size=20), seeds=[0]))
    assert max(map(len, lines)) <= 80
    words = {word for line in lines for word in line.split()}
    assert {f"{name}{i}" for i in range(tasks)} <= words
    assert {"single", "shared", "star", "complete", "mmoe"} <= words


def test_a_terminal_shows_the_sentence_then_the_table(both):
    lines = terminal(both)
    assert " ".join(lines[:2]).startswith("star is better than training alone for 1 of 2 tasks, worse for 1 (b)")
    (row,) = [line.split() for line in lines if line.startswith("a_1 ")]
    assert row[4].startswith("+")
    assert row[5] == "▲"


def test_that_metrics_differ_is_said():
    score = Task(name="score", kind="regression", metrics=("pearson",))
    rows = [
        row("single", [{named("a"): share_right(0.7), score: numbers()}], arch="single"),
        row("star", [{named("a"): share_right(0.9), score: numbers(noise=0.2)}]),
        row("majority", [{named("a"): share_right(0.5), score: numbers(noise=1e9)}], arch=None),
    ]
    text = " ".join(terminal(Compared(rows, seeds=[0])))
    assert "different metrics (accuracy, pearson), so their scores are not averaged; normalised scores are." in text
    assert " mean " not in text.split("Seed 0")[0]
    assert "normalised, %" in text
    assert text.endswith("to 1, percent.")
    without = " ".join(terminal(Compared(rows[:2], seeds=[0])))
    assert "without baselines there are no normalised ones either" in without
    rows[2] = row("majority", [{named("a"): share_right(1.0), score: numbers(noise=1e9)}], arch=None)
    perfect = " ".join(terminal(Compared(rows, seeds=[0])))
    assert "so their scores are not averaged, nor normalised, since the share of the way to a perfect" in perfect
    assert "normalised, %" not in perfect


def test_a_metric_of_ones_own_is_said_to_stand_times_100():
    task = named("a", metrics=("tests.comparison.test_tables:right",))
    rows = [row(name, [{task: share_right(share, size=40)}]) for name, share in {"single": 0.6, "star": 0.9}.items()]
    assert any("test_tables:right, which need not be shares, stand times 100 too" in each for each in notes_of(rows))
    assert not any("times 100" in each for each in notes_of(rows_of(RIGHT)))


def right(labels, answers):
    return sum(a == b for a, b in zip(labels, answers, strict=True))


def notes_of(rows):
    return [*notes(Compared(rows, seeds=range(len(rows[0].answers))))]


def test_rows_that_were_stopped_while_they_still_rose_are_named():
    rows = rows_of({"single": {"a": 0.6}, "star": {"a": 0.7}, "majority": {"a": 0.5}})
    assert not any("last epoch" in note for note in notes(Compared(rows, seeds=[0, 1])))
    assert not any("Normalised" in line for line in terminal(Compared(rows, seeds=[0, 1])))  # nor does a row
    assert any(note.startswith("Normalised") for note in notes(Compared(rows, seeds=[0, 1])))
    rows[1].metrics[1]["cut_short"] = ["mean"]
    assert sum("last epoch than in any before: star." in note for note in notes(Compared(rows, seeds=[0, 1]))) == 1
