import pytest

from tests.data.example_files import csv, guess, jsonl, rows, text


def remarks(tmp_path, changed) -> str:
    return "; ".join(guess(csv(tmp_path / "a.csv", "text", "label", of=[*rows(), *changed])).remarks)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ([("same again", "good")] * 2, "1 rows repeat the text of another"),
        ([("same again", "good"), ("Same  again", "bad")], "1 texts stand there with different labels"),
        ([("some text", "")], "1 rows have no label"),
        ([("", "good")], "1 rows have no text"),
        ([("some text", "Good")] * 2, "the labels 'Good' and 'good' differ in case alone"),
        ([("some text", "rare")], "labels that stand there once: 'rare'"),
        ([("many " * 1001, "good")], "1 texts have more than 1,000 words, the longest 1,001"),
        ([("some text", "7")] * 2, "some labels are numbers, others are not"),
        ([(f"text {i}", "good") for i in range(900)], "920 of 940 rows have the label 'good'"),
        ([("some text", "?")] * 2, "the label '?' may mean that there is none: then `missing: ['?']`"),
    ],
)
def test_what_looks_wrong_is_told(changed, expected, tmp_path):
    assert expected in remarks(tmp_path, changed)
    assert remarks(tmp_path, []) == ""


def test_labels_of_several_types(tmp_path):
    objects = [{"text": text(), "label": label} for label in ["a", 1] * 20]
    assert "labels of several types: a number, text" in guess(jsonl(tmp_path / "a.jsonl", objects)).remarks


def test_what_is_no_score_is_listed_as_missing(tmp_path):
    path = csv(tmp_path / "a.csv", "text", "score", of=[(text(), f"{i / 8}") for i in range(40)] + [(text(), "n/a")])
    assert (guess(path).keys["kind"], guess(path).keys["missing"]) == ("regression", ["n/a"])


def test_a_label_that_training_has_not_is_listed(tmp_path):
    train = csv(tmp_path / "train.csv", "text", "label")
    csv(tmp_path / "test.csv", "text", "label", of=rows(("good", "new")))
    assert guess(train).keys["labels"] == ["bad", "good", "new"]
    assert "labels that stand in no training row: 'new'" in guess(train).remarks
