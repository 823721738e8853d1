from pathlib import Path

import pytest

from graphmtl.data.readers import read_file
from graphmtl.data.rows import read_rows
from graphmtl.data.squad import is_squad, squad_rows
from graphmtl.errors import InputError
from tests.questions import as_squad, questions

FILE = Path("dev.json")


def content(**question):
    return {"data": [{"title": "t", "paragraphs": [{"context": "a b", "qas": [{"question": "q"} | question]}]}]}


def test_every_question_is_a_row():
    answers = [{"text": "a", "answer_start": 0}]
    (row,) = squad_rows(content(id="7", answers=answers, other=1), FILE)
    assert row == {"id": "7", "title": "t", "question": "q", "context": "a b", "answers": answers}


def test_what_is_impossible_has_no_answer_and_what_has_no_answers_no_label():
    assert squad_rows(content(is_impossible=True), FILE)[0]["answers"] == []
    assert squad_rows(content(is_impossible=True, answers=[], plausible_answers=[1]), FILE)[0]["answers"] == []
    assert squad_rows(content(), FILE)[0]["answers"] is None


def test_the_form_is_told_from_others():
    assert is_squad(content())
    for other in ([], {}, {"data": []}, {"data": [1]}, {"data": [{"text": "a"}]}, {"rows": [{"paragraphs": []}]}):
        assert not is_squad(other)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"data": [{"text": "a"}]}, 'dev.json: not as SQuAD has it, {"data": '),
        ({"data": [{"paragraphs": 3}]}, "dev.json, article 1: 'paragraphs' is 3, expected a list of objects"),
        ({"data": [{"paragraphs": [{"qas": ["a"]}]}]}, r"article 1, paragraph 1: 'qas' is \['a'\], expected a list"),
        (
            content(is_impossible=True, answers=[1]),
            r"paragraph 1, question 1: is_impossible, but its answers are \[1\]",
        ),
    ],
)
def test_a_mistake_is_named_with_its_place(wrong, message):
    with pytest.raises(InputError, match=message):
        squad_rows(wrong, FILE)


def test_files_are_read_alike_for_training_and_for_prediction(tmp_path):
    path, rows = tmp_path / "dev.json", questions(6)
    path.write_text(as_squad(rows))
    columns = ("question", "context", "answers")
    trained, predicted = read_file(path, columns), read_rows(path).table(columns)
    assert trained.columns == predicted.columns
    assert trained["context"] == [row["context"] for row in rows]
    assert trained.where(2) == predicted.where(2) == f"{path}, question 3"
