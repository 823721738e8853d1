import datasets
import pyarrow as pa
import pyarrow.parquet

from tests.data.example_files import csv, guess, roles, rows, text, written


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
    features = datasets.Features(text=datasets.Value("string"), label=datasets.ClassLabel(names=["no", "yes"]))
    own = datasets.Dataset.from_dict({"text": [text() for _ in range(20)], "label": [0, 1] * 10}, features)
    own.to_parquet(str(tmp_path / "a.parquet"))
    assert guess(tmp_path / "a.parquet").counts == {"no": 10, "yes": 10}
    pyarrow.parquet.write_table(pa.table({"text": own["text"][:], "label": own["label"][:]}), tmp_path / "b.parquet")
    assert guess(tmp_path / "b.parquet").counts == {"0": 10, "1": 10}


def test_a_split_without_labels_is_not_taken(tmp_path):
    train = csv(tmp_path / "train.csv", "text", "label")
    csv(tmp_path / "dev.csv", "text", "label", of=[(text(), "") for _ in range(9)])
    csv(tmp_path / "test.csv", "text", of=[(text(),) for _ in range(9)])
    found = guess(train)
    assert (found.keys["valid"], found.keys["test"]) == (0.1, 0.2)
    assert [remark.split(":")[0] for remark in found.remarks] == ["not taken for valid", "not taken for test"]
