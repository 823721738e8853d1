import pytest

from graphmtl.errors import InputError
from tests.data.example_files import csv, guess, jsonl, roles, rows, text, written


def test_the_columns_of_text_and_label_by_their_names_or_by_what_they_hold(tmp_path):
    own = [(str(i), *row, "x" if i % 3 else "y") for i, row in enumerate(rows())]
    named = csv(tmp_path / "a.csv", "id", "review", "sentiment", "source", of=own)
    assert roles(named) == {"text": ("review",), "label": "sentiment"}
    other = csv(tmp_path / "b.csv", "no", "was", "wie", of=[row[:3] for row in own])
    assert roles(other) == {"text": ("was",), "label": "wie"}
    assert guess(named).remarks == ("may be labels too, each for a task of its own: 'source'",)
    assert guess(other).counts == {"bad": 20, "good": 20}


@pytest.mark.parametrize(
    "names",
    [("premise", "hypothesis"), ("s1", "s2"), ("text_a", "text_b"), ("#1 String", "#2 String"), ("query", "document")],
)
def test_a_pair(names, tmp_path):
    of = [(*row, text(5)) for row in rows()]
    path = csv(tmp_path / "a.tsv", names[0], "label", names[1], of=of, sign="\t")
    assert roles(path) == {"text": names, "label": "label"}


def test_two_texts_that_are_no_pair_are_told(tmp_path):
    path = csv(tmp_path / "a.csv", "text", "label", "notes", of=[(*row, text()) for row in rows()])
    assert roles(path)["text"] == ("text",)
    assert "also looks like text, and is not read: 'notes'" in guess(path).remarks


@pytest.mark.parametrize(
    ("name", "values", "kind"),
    [
        ("score", [f"{i / 10}" for i in range(40)], "regression"),
        ("rating", [str(i) for i in range(40)], "regression"),
        ("value", [0.5, 1, 2.5, None] * 10, "regression"),
        ("rating", ["1", "2", "3", "4", "5"] * 8, None),
        ("label", [0.0, 1.0] * 20, None),
        ("label", [str(i % 20) for i in range(40)], None),  # many classes that have numbers for names
    ],
)
def test_scores_are_numbers_with_fractions_or_many_of_them_under_such_a_name(name, values, kind, tmp_path):
    found = guess(jsonl(tmp_path / "a.jsonl", [{"text": text(), name: value} for value in values]))
    assert (found.keys["label"], found.keys.get("kind")) == (name, kind)
    assert bool(found.counts) != bool(found.about)


def test_tokens_and_tags(tmp_path):
    objects = [{"id": i, "tokens": text().split(), "ner_tags": ["O", "B-PER"] * 3} for i in range(20)]
    expected = {"kind": "token-classification", "tokens": "tokens", "label": "ner_tags"}
    assert roles(jsonl(tmp_path / "a.jsonl", objects)) == expected
    sentence = ["the DT O", "dog NN B-X", ""]
    path = written(tmp_path / "b.conll", *sentence * 20)
    assert roles(path) == {"columns": ["word", "column2", "tag"], **expected, "tokens": "word", "label": "tag"}
    assert guess(path).remarks[0] == "may be tags too, each for a task of its own: 'column2'"
    titled = written(tmp_path / "c.conll", "word pos ner", *sentence * 20)
    assert roles(titled)["columns"] == ["word", "pos", "ner"]
    tagged = written(tmp_path / "d.txt", *["the/DT dog/NN"] * 20)
    assert roles(tagged) == {"format": "word/TAG", **expected, "tokens": "word", "label": "tag"}
    line = "{}\t{}\t_\t{}\t_\t_\t0\troot\t_\t_"
    words = [line.format(1, "the", "DET"), line.format(2, "dog", "NOUN"), ""]
    assert roles(written(tmp_path / "e.conllu", *words * 20)) == {**expected, "tokens": "form", "label": "upos"}


def test_labels_of_lists_of_tokens(tmp_path):
    objects = [{"tokens": own.split(), "label": label} for own, label in rows()]
    expected = {"kind": "text-classification", "tokens": "tokens", "label": "label"}
    assert roles(jsonl(tmp_path / "a.jsonl", objects)) == expected


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["id,name", "1,x", "2,y", "3,z", "4,u"], "no column of labels can be told (its columns: 'id', 'name')"),
        (["text,label", "a b,x", "c d,x"], "every row has the same in 'label'"),
        (["a,label", "1,x", "2,y"], "label may be 'label', but no column of text can be told (its columns: 'a', 'lab"),
        (["just a line of text"] * 3, "no columns, each with a name, can be told"),
        (["text,label"], "one line and no examples after it"),
    ],
)
def test_what_cannot_be_guessed_names_the_columns_and_how_a_task_file_does(lines, message, tmp_path):
    with pytest.raises(InputError) as error:
        guess(written(tmp_path / "a.csv", *lines))
    assert message in str(error.value)
    if "one line" not in message:
        assert "tasks: {a: {train: a.csv, test: 0.2, text: COLUMN, label: COLUMN}}" in str(error.value)
