import json
from itertools import count
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from graphmtl.data.guessing import guess_tasks, is_data
from graphmtl.errors import InputError

NUMBERS = count()  # no two texts are the same


def text(words: int = 6) -> str:
    return " ".join([*["some", "words", "of", "a", "long", "text"][: words - 1], f"w{next(NUMBERS)}"])


def rows(labels=("good", "bad"), times: int = 20) -> list[tuple[str, str]]:
    return [(text(), label) for label in [*labels] * times]


def written(path: Path, *lines: str) -> Path:
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def csv(path: Path, *names: str, of=None, sign: str = ",") -> Path:
    return written(path, *([sign.join(names)] if names else []), *(sign.join(row) for row in of or rows()))


def jsonl(path: Path, objects) -> Path:
    return written(path, *map(json.dumps, objects))


def guess(*paths: Path):
    (found,) = guess_tasks(paths)
    return found


def roles(*paths: Path) -> dict:
    """What was guessed, without the files of the splits."""
    return {key: value for key, value in guess(*paths).keys.items() if key not in ("train", "valid", "test")}


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


def test_how_a_file_is_read(tmp_path):
    columns = {"text": ("text",), "label": "label"}
    assert roles(csv(tmp_path / "a.csv", "text", "label", sign=";")) == {"delimiter": ";", **columns}
    headless = csv(tmp_path / "b.csv", of=[row[::-1] for row in rows()])
    assert roles(headless) == {"columns": ["label", "text"], **columns}
    assert sum(guess(headless).counts.values()) == 40  # the first line is an example
    lines = [f"__label__{label} {own}" for own, label in rows()]
    assert roles(written(tmp_path / "c.txt", *lines)) == {"format": "LABEL text", **columns}
    other = csv(tmp_path / "d.data", "text", "label", sign="\t")
    assert roles(other) == {"format": "tsv", **columns}
    latin = tmp_path / "e.csv"
    latin.write_bytes(
        "".join(f"{own} für Äpfel,{label}\n" for own, label in [("text", "label"), *rows()]).encode("cp1252")
    )
    assert guess(latin).keys["encoding"] in ("cp1252", "latin-1", "windows-1252")


def test_names_of_classes_are_read_from_parquet(tmp_path):
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(text=datasets.Value("string"), label=datasets.ClassLabel(names=["no", "yes"]))
    own = datasets.Dataset.from_dict({"text": [text() for _ in range(20)], "label": [0, 1] * 10}, features)
    own.to_parquet(str(tmp_path / "a.parquet"))
    assert guess(tmp_path / "a.parquet").counts == {"no": 10, "yes": 10}
    pyarrow.parquet.write_table(pa.table({"text": own["text"][:], "label": own["label"][:]}), tmp_path / "b.parquet")
    assert guess(tmp_path / "b.parquet").counts == {"0": 10, "1": 10}


@pytest.mark.parametrize(
    ("train", "valid", "test", "name"),
    [
        ("a_train.csv", "a_dev.csv", "a_test.csv", "a"),
        ("a.train.csv", "a.valid.csv", "a.test.csv", "a"),
        ("train-a.csv", "val-a.csv", "test-a.csv", "a"),
        ("shop/train.csv", "shop/validation.csv", "shop/test.csv", "shop"),
        ("Shop.task.train", "Shop.task.dev", "Shop.task.test", "Shop.task"),
    ],
)
def test_files_that_are_named_as_splits_are_one_task(train, valid, test, name, tmp_path):
    splits = {"train": train, "valid": valid, "test": test}
    paths = {split: csv(tmp_path / file, "text", "label", sign=",") for split, file in splits.items()}
    if not train.endswith(".csv"):
        paths = {split: csv(path, of=[row[::-1] for row in rows()], sign="\t") for split, path in paths.items()}
    found = guess(*paths.values())
    assert {split: found.keys[split] for split in splits} == paths
    assert found.name == name
    assert found.rows == {"train": 40, "valid": 40, "test": 40}
    assert guess(paths["test"]) == guess(paths["train"]) == found  # each stands for all
    assert guess(paths["train"].parent) == found


def test_a_split_without_labels_is_not_taken(tmp_path):
    train = csv(tmp_path / "train.csv", "text", "label")
    csv(tmp_path / "dev.csv", "text", "label", of=[(text(), "") for _ in range(9)])
    csv(tmp_path / "test.csv", "text", of=[(text(),) for _ in range(9)])
    found = guess(train)
    assert (found.keys["valid"], found.keys["test"]) == (0.1, 0.2)
    assert [remark.split(":")[0] for remark in found.remarks] == ["not taken for valid", "not taken for test"]


def test_several_files_are_several_tasks(tmp_path):
    paths = [csv(tmp_path / name, "text", "label") for name in ("a.csv", "b c.csv", "x/d.csv")]
    assert [own.name for own in guess_tasks(paths)] == ["a", "b-c", "d"]
    alike = [csv(tmp_path / name, "text", "label") for name in ("x/e.csv", "y/e.csv")]
    assert [own.name for own in guess_tasks(alike)] == ["x.e", "y.e"]


def test_a_label_that_training_has_not_is_listed(tmp_path):
    train = csv(tmp_path / "train.csv", "text", "label")
    csv(tmp_path / "test.csv", "text", "label", of=rows(("good", "new")))
    assert guess(train).keys["labels"] == ["bad", "good", "new"]
    assert "labels that stand in no training row: 'new'" in guess(train).remarks


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


def test_a_folder_without_training_file_is_none(tmp_path):
    csv(tmp_path / "other.csv", "text", "label")
    assert not is_data(str(tmp_path))
    with pytest.raises(InputError, match="a folder without a file for training"):
        guess_tasks([tmp_path])


@pytest.mark.parametrize("name", ["fdu-mtl:books,dvd", "planted", "tasks.yaml", "x" * 5000, "a\0b"])
def test_other_names_are_no_data(name):
    assert not is_data(name)
