import csv
import io
import json

import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from graphmtl.data.delimited import Reading
from graphmtl.data.readers import read_file
from graphmtl.data.rows import open_rows, read_rows
from graphmtl.errors import DataWarning, InputError

HARD = ["plain", " spaces ", "", "a, b; c", 'said "no"', "two\nlines", "007", "1e3", "naïve 日本語 🎬", "null", "a\tb"]
ADDED = {"x.label": pa.string(), "x.probability": pa.float64(), "y.labels": pa.list_(pa.string())}
NEW = ["good", 0.25, ["O", "B-PER"]]

quoted = pytest.mark.filterwarnings("ignore:.*stand in double quotes")


def copied(source, target, added=ADDED, new=NEW):
    """The file, read and written with what is added to each row; in two parts."""
    rows = read_rows(source)
    new = [new if added else []] * len(rows)
    half = len(rows) // 2
    with open_rows(target, rows.names, added, rows) as write:
        write(0, rows.values[:half], new[:half])
        write(half, rows.values[half:], new[half:])
    return rows


def fields_of(path, delimiter=","):
    return [*csv.reader(io.StringIO(path.read_text(encoding="utf-8"), newline=""), delimiter=delimiter)]


def write_csv(path, rows):
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)


def test_all_fields_of_a_csv_file_survive(tmp_path):
    write_csv(tmp_path / "a.csv", [["id", "text"], *([f"0{i}", text] for i, text in enumerate(HARD))])
    copied(tmp_path / "a.csv", tmp_path / "b.csv")
    header, *rows = fields_of(tmp_path / "b.csv")
    assert header == ["id", "text", *ADDED]
    assert [row[:2] for row in rows] == [[f"0{i}", text] for i, text in enumerate(HARD)]
    assert all(row[2:] == ["good", "0.25", '["O", "B-PER"]'] for row in rows)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.tuples(st.text(st.characters(codec="utf-8", exclude_characters="\r\0"))), min_size=1, max_size=4)
)
@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "parquet"])
@quoted
def test_what_is_written_is_read_again(ending, rows, tmp_path):
    """Of any text, whatever signs it holds, and from any format into any other."""
    source, target, back = tmp_path / "a.jsonl", tmp_path / f"b.{ending}", tmp_path / "c.jsonl"
    source.write_text("".join(json.dumps({"k": "key", "text": text}) + "\n" for (text,) in rows))
    copied(source, target)
    copied(target, back, added={})
    found = [json.loads(line) for line in back.read_text(encoding="utf-8").split("\n")[:-1]]
    assert [row["text"] for row in found] == [text for (text,) in rows]


def test_quotes_of_a_tsv_file_stay_what_they_are(tmp_path):
    lines = ["id\ttext", '1\tthe 5" disk', '2\t"so" said', "3\tplain"]
    (tmp_path / "a.tsv").write_text("".join(f"{line}\n" for line in lines))
    copied(tmp_path / "a.tsv", tmp_path / "b.tsv", added={})
    assert (tmp_path / "b.tsv").read_text() == (tmp_path / "a.tsv").read_text()


@quoted
def test_quoted_fields_of_a_tsv_file(tmp_path):
    (tmp_path / "a.tsv").write_text('id\ttext\n1\t"a\tb"\n2\t"he said ""so"""\n')
    copied(tmp_path / "a.tsv", tmp_path / "b.tsv", added={})
    assert fields_of(tmp_path / "b.tsv", "\t") == [["id", "text"], ["1", "a\tb"], ["2", 'he said "so"']]


def test_values_of_json_keep_their_kinds_and_rows_their_keys(tmp_path):
    rows = [
        {"id": 12345678901234567890, "text": "a", "more": {"x": [1, None, True]}, "score": 1.5},
        {"text": "日本", "id": None, "extra": False},
    ]
    (tmp_path / "a.jsonl").write_text("".join(f"{json.dumps(row)}\n\n" for row in rows))
    read = copied(tmp_path / "a.jsonl", tmp_path / "b.jsonl", added={"answers": None}, new=[[]])
    assert read.lines == [1, 3]
    found = [json.loads(line) for line in (tmp_path / "b.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [{key: row[key] for key in row if key != "answers"} for row in found] == rows
    copied(tmp_path / "a.jsonl", tmp_path / "b.csv", added={})
    assert fields_of(tmp_path / "b.csv") == [
        ["id", "text", "more", "score", "extra"],
        ["12345678901234567890", "a", '{"x": [1, null, true]}', "1.5", ""],
        ["", "日本", "", "", "false"],
    ]


@pytest.mark.parametrize(
    "content",
    [
        '[{"t": "a"}, {"t": "b"}]',
        '{"data": [{"t": "a"}, {"t": "b"}]}',
        '{"t": ["a", "b"]}',
        '{"version": "1", "t": ["a", "b"]}',
    ],
)
def test_json_files(content, tmp_path):
    (tmp_path / "a.json").write_text(content)
    rows = read_rows(tmp_path / "a.json")
    assert (rows.names, rows.values, rows.lines) == (("t",), [["a"], ["b"]], [1, 2])


def test_types_of_parquet_stay(tmp_path):
    table = pa.table(
        {
            "id": pa.array([1, 2, None], pa.int32()),
            "when": pa.array([0, 1, 2], pa.timestamp("ns")),
            "text": pa.array(["a", None, "c"]).dictionary_encode(),
            "score": pa.array([1.5, float("nan"), None], pa.float32()),
        }
    )
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    copied(tmp_path / "a.parquet", tmp_path / "b.parquet")
    found = pyarrow.parquet.read_table(tmp_path / "b.parquet")
    assert found.select(table.column_names).schema.equals(table.schema)
    assert found.drop_columns([*ADDED, "score"]).to_pylist() == table.drop_columns(["score"]).to_pylist()
    assert found["y.labels"].to_pylist() == [["O", "B-PER"]] * 3
    with pytest.warns(DataWarning, match="1 numbers that JSON has no form for"):
        copied(tmp_path / "a.parquet", tmp_path / "b.jsonl")
    lines = (tmp_path / "b.jsonl").read_text().splitlines()
    assert json.loads(lines[1], parse_constant=pytest.fail)["score"] is None
    assert json.loads(lines[0])["when"].startswith("1970-01-01")


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl"])
def test_numbers_that_json_cannot_hold_are_null_and_counted(ending, tmp_path):
    lines = ['{"t": "a", "x": 1e400, "m": {"y": [NaN, 1.5, {"z": -Infinity}]}}', '{"t": "b", "x": 2.5, "m": [1e300]}']
    (tmp_path / "a.jsonl").write_text("".join(f"{line}\n" for line in lines))
    count = 3 if ending == "jsonl" else 2  # a field of its own may hold inf
    with pytest.warns(DataWarning, match=f"--output: {count} numbers that JSON has no form for .* as null$"):
        copied(tmp_path / "a.jsonl", tmp_path / f"b.{ending}", added={})
    if ending == "jsonl":
        first, second = (tmp_path / "b.jsonl").read_text().splitlines()
        assert json.loads(first, parse_constant=pytest.fail)["x"] is None
        found = json.loads(first)["m"]
        assert json.loads(second) == json.loads(lines[1])
    else:
        _, (_, x, m), _ = fields_of(tmp_path / f"b.{ending}", {"csv": ",", "tsv": "\t"}[ending])
        assert x == "inf"
        found = json.loads(m, parse_constant=pytest.fail)
    assert found == {"y": [None, 1.5, {"z": None}]}


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_the_columns_of_a_table_are_those_of_training(ending, tmp_path):
    path = tmp_path / f"a.{ending}"
    if ending == "csv":
        write_csv(path, [["text", "id"], *([text, "1"] for text in HARD)])
    else:
        path.write_text("".join(json.dumps({"text": text, "id": 1}) + "\n" for text in HARD))
    ours, theirs = read_rows(path).table(["text"], 2, 5), read_file(path, ["text"], Reading())
    assert ours["text"] == theirs["text"][2:5]
    assert [ours.where(i) for i in range(3)] == [theirs.where(i + 2) for i in range(3)]


def test_a_file_that_fails_is_not_there(tmp_path):
    write_csv(tmp_path / "a.csv", [["text"], ["a"]])
    (tmp_path / "b.csv").write_text("before")
    with pytest.raises(ValueError, match="shorter"), open_rows(tmp_path / "b.csv", ["text"], ADDED) as write:
        write(0, [["a"], ["b"]], [NEW])
    assert (tmp_path / "b.csv").read_text() == "before"
    assert {path.name for path in tmp_path.iterdir()} == {"a.csv", "b.csv"}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.xml", "<x/>", "unknown format of rows 'xml'"),
        ("a.jsonl", "{}\n3\n", "line 2: a JSON object expected, found 3"),
        ("a.jsonl", "{\n", "line 1: not JSON"),
        ("a.jsonl", '{"t": "\\ud83d"}\n', "line 1: .* half of a character"),
        ("a.json", '{"t": ["a"], "u": ["a", "b"]}', "a list of objects expected"),
        ("a.csv", "a,b\n1\n", "line 2: 1 fields, expected 2"),
        ("a.csv", "", "the file is empty"),
        ("a.parquet", "PAR1", "cannot be read as parquet"),
        ("no.csv", None, "no such file"),
    ],
)
def test_faults_of_files(name, content, message, tmp_path):
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=message) as error:
        read_rows(tmp_path / name)
    assert str(error.value).startswith(str(tmp_path / name))
    assert "\n" not in str(error.value)


def test_a_key_that_a_row_has_not(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"t": "a"}\n{"u": "b"}\n')
    assert read_rows(tmp_path / "a.jsonl").table(["t"])["t"] == ["a", None]


def test_values_that_parquet_cannot_hold(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"t": "a"}\n{"t": 3}\n')
    with pytest.raises(InputError, match=r"a\.jsonl: column 't' does not fit into a parquet file") as error:
        copied(tmp_path / "a.jsonl", tmp_path / "b.parquet")
    assert "\n" not in str(error.value)


def test_a_column_is_not_added_twice(tmp_path):
    with (
        pytest.raises(InputError, match="has a column 'text' already"),
        open_rows(tmp_path / "b.csv", ["text"], {"text": None}),
    ):
        pass


@pytest.mark.parametrize("ending", ["jsonl", "csv", "tsv", "parquet"])
def test_two_columns_of_one_name_are_kept_or_refused(ending, tmp_path):
    write_csv(tmp_path / "a.csv", [["id", "text", "id"], ["1", "a", "x"]])
    path = tmp_path / f"b.{ending}"
    if ending in ("jsonl", "parquet"):  # which such a parquet file could not be read from
        with pytest.raises(InputError, match=rf"b\.{ending}: column 'id' stands 2 times in the input; give \.csv or"):
            copied(tmp_path / "a.csv", path)
        assert not path.exists()
        return
    copied(tmp_path / "a.csv", path)
    found = read_rows(path)
    assert found.names == ("id", "text", "id", *ADDED)
    assert found.values[0][:3] == ["1", "a", "x"]


@quoted
def test_a_tab_in_a_text_alone_is_read_again_from_a_tsv_file(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"id": "1", "text": "a\\tb"}\n')
    copied(tmp_path / "a.jsonl", tmp_path / "b.tsv", added={})
    assert read_rows(tmp_path / "b.tsv").values == [["1", "a\tb"]]
