import gzip
import json
import lzma

import datasets
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphmtl.data.delimited import Reading
from graphmtl.data.lines import read_bytes
from graphmtl.data.readers import read_file, read_label_tab_text, read_label_text, read_tsv
from graphmtl.errors import DataWarning, InputError

BOTH = ("text", "label")


def write(folder, name, content):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_label_tab_text(tmp_path, newline):
    path = write(tmp_path, "a.task.train", newline.join(["1\tgood\tfilm", "0\t", " 1 \t \x1c NA"]))
    table = read_label_tab_text(path)
    assert table["label"] == ["1", "0", "1"]
    assert table["text"] == ["good\tfilm", "", " \x1c NA"]
    assert table.where(2) == f"{path}, line 3"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"1\ta\n0 b\n", "line 2: no TAB between label and text: '0 b'"),
        (b"1\ta\n\n0\tb\n", "line 2: no TAB between label and text: ''"),
        (b"1\ta\n\tb\n", r"line 2: no label before the TAB: '\\tb'"),
        (b"1\ta\n0\tb\xe9\n", "line 2: byte 0xe9 is not utf-8; the key `encoding` in the YAML file"),
        ("1\ta\n".encode("utf-16"), "line 1: byte 0xff is not utf-8; try `encoding: utf-16`"),
        (b"", "the file is empty"),
        (b"\n \n", "the file is empty"),
    ],
)
def test_faults_in_label_tab_text(tmp_path, content, message):
    path = write(tmp_path, "a.task.train", content)
    with pytest.raises(InputError, match=message) as error:
        read_label_tab_text(path)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


TEXTS = ['say "hi"', "NA", "null", "", "a, b", "two\x85lines é"]
LABELS = ["1", "2", "NA", "1", "2", "1"]
CSV = 'id,label,text\n1,1,"say ""hi"""\n2,2,NA\n3,NA,null\n\n4,1,\n5,2,"a, b"\n6,1,two\x85lines é\n'
TSV = 'id\tlabel\ttext\n1\t1\tsay "hi"\n2\t2\tNA\n3\tNA\tnull\n4\t1\t\n5\t2\ta, b\n6\t1\ttwo\x85lines é\n'
JSONL = (
    '{"text": "say \\"hi\\"", "label": 1}\n{"label": "2", "text": "NA", "x": null}\n{"text": "null", "label": "NA"}\n'
    '{"text": "", "label": 1}\n{"text": "a, b", "label": 2}\n{"text": "two\x85lines é", "label": "1"}\n'
)


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
@pytest.mark.parametrize(("name", "content"), [("a.csv", CSV), ("a.tsv", TSV), ("a.jsonl", JSONL)])
def test_files_of_lines(tmp_path, name, content, encoding):
    table = read_file(write(tmp_path, name, content.encode(encoding)), BOTH, Reading(encoding=encoding))
    assert (table["text"], [str(label) for label in table["label"]]) == (TEXTS, LABELS)
    assert list(table.columns) == ["text", "label"]


def test_a_csv_record_may_span_lines_and_errors_name_its_first(tmp_path):
    path = write(tmp_path, "a.csv", 'text,label\r\n"one\r\ntwo",a\r\n"three\nfour",b\r\n')
    table = read_file(path, BOTH)
    assert table["text"] == ["one\r\ntwo", "three\nfour"]
    assert [table.where(i) for i in range(2)] == [f"{path}, line 2", f"{path}, line 4"]
    with pytest.raises(InputError, match="line 4: 3 fields, expected 2"):
        read_file(write(tmp_path, "a.csv", 'text,label\n"one\ntwo",a\n"three\nfour",b,c\n'), BOTH)


def test_a_long_csv_field(tmp_path):
    text = "word " * 40_000
    assert read_file(write(tmp_path, "a.csv", f"text,label\n{text},a\n"), BOTH)["text"] == [text.strip()]


@pytest.mark.parametrize(("name", "separator"), [("a.csv", ","), ("a.tsv", "\t")])
def test_pairs_and_files_without_a_line_of_names(tmp_path, name, separator):
    path = write(tmp_path, name, separator.join(["x", "a b", "c d"]) + "\n" + separator.join(["y", "e", ""]) + "\n")
    header = ("gold", "premise", "hypothesis")
    table = read_file(path, ("premise", "hypothesis", "gold"), Reading(header=header))
    assert dict(table.columns) == {"premise": ["a b", "e"], "hypothesis": ["c d", ""], "gold": ["x", "y"]}
    assert table.where(0) == f"{path}, line 1"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.tsv", "text\tlabel\na\tx\nb\n", "line 3: no TAB between the columns text, label: 'b'"),
        ("a.tsv", "text\tlabel\na\tx\ty\n", r"line 2: 3 fields, expected 2 \(text, label\)"),
        ("a.tsv", "text\tlabels\na\tx\n", "unknown column 'label'; did you mean 'labels'"),
        ("a.tsv", "text\tlabel\n", "the file holds no examples"),
        ("a.tsv", "", "the file is empty"),
        ("a.tsv", b"text\tlabel\na\tx\n\xff\ty\n", "line 3: byte 0xff is not utf-8"),
        ("a.csv", "text,label\na,x\nb\n", "line 3: 1 fields, expected 2"),
        ("a.csv", 'text,label\na,x\n"b,y\nc,z\n', r"line 3: not CSV \(unexpected end of data\)"),
        ("a.csv", "text,label\n", "the file holds no examples"),
        ("a.csv", "txet,label\na,x\n", "unknown column 'text'; did you mean 'txet'"),
        (
            "a.csv",
            "text;label\na;x\n",
            "unknown column 'text'.*; commas are expected between its columns, not ';'; .*`delimiter: \";\"`",
        ),
        ("a.csv", "text,text,label\na,b,x\n", "column 'text' stands there 2 times"),
        (
            "a.json",
            '{"text": ["a"], "label": ["b", "c"]}',
            "a list of objects expected, or an object of lists of the same",
        ),
        ("a.json", "[1]", "item 1: a JSON object expected, found 1"),
        ("a.txt", "good film\n", "line 1: no TAB between columns; the key `delimiter` names"),
        ("a.csv", "", "the file is empty"),
        ("a.jsonl", '{"text": "a", "lable": 1}\n{"text": "b"}\n', "unknown column 'label'; did you mean 'lable'"),
        ("a.jsonl", '{"text": "a", "label": 1\n', "line 1: not JSON"),
        ("a.jsonl", '["a", 1]\n', "line 1: a JSON object expected, found"),
        ("a.jsonl", f'{{"text": "a", "label": {"1" * 5000}}}\n', r"line 1: not JSON that can be read \(.* 5000 digits"),
        ("a.jsonl", '{"text": "a", "label": 1}\n{"text": "x \\ud800", "label": 1}\n', r"line 2: 'x \\ud800' holds"),
        ("a.jsonl", '{"text": "a", "label": "x \\udfff"}\n', r"line 1: 'x \\udfff' holds half of a character"),
        ("a.parquet", "no parquet", "cannot be read as parquet"),
        ("a.parquet", "", "the file is empty"),
        (
            "a.xlsx",
            "",
            r"unknown file format '.xlsx' \(known: .csv, .tsv, .txt, .jsonl, .ndjson, .json, .parquet, or by",
        ),
    ],
)
def test_faults_name_the_file_the_line_and_the_value(tmp_path, name, content, message):
    path = write(tmp_path, name, content)
    with pytest.raises(InputError, match=message) as error:
        read_file(path, BOTH)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


def test_a_character_in_two_halves_is_one(tmp_path):
    path = write(tmp_path, "a.jsonl", '{"text": "\\ud83d\\ude00", "label": 1, "other": "\\ud800"}\n')
    assert read_file(path, BOTH)["text"] == ["😀"]


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl"])
def test_an_unknown_encoding(tmp_path, name):
    with pytest.raises(InputError, match="unknown encoding 'latin1000'"):
        read_file(write(tmp_path, name, "x"), BOTH, Reading(encoding="latin1000"))


def test_values_keep_their_types_and_only_the_wanted_columns_are_read(tmp_path):
    path = write(tmp_path, "a.jsonl", '{"text": "x", "label": 0.1}\n\n{"text": "y", "label": null}\n{"text": "z"}\n')
    table = read_file(path, BOTH)
    assert (table["label"], table.where(1)) == ([0.1, None, None], f"{path}, line 3")
    datasets.Dataset.from_dict({"text": ["x", "y"], "label": [0.1, 3.0]}).to_parquet(tmp_path / "a.parquet")
    assert read_file(tmp_path / "a.parquet", BOTH)["label"] == [0.1, 3]
    assert list(read_file(tmp_path / "a.parquet", ("text",)).columns) == ["text"]


def test_a_tsv_file_of_any_name(tmp_path):
    path = write(tmp_path, "a.data", 'text\tlabel\n"NA\t1\nnull\t2\n')
    assert read_tsv(path, BOTH)["text"] == ['"NA', "null"]
    assert read_file(write(tmp_path, "a.txt", path.read_bytes()), BOTH)["text"] == ['"NA', "null"]
    assert read_file(path, BOTH, Reading(format="tsv"))["text"] == ['"NA', "null"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", '[{"text": "x", "label": 1}, {"text": "y", "label": 0}]'),
        ("a.json", '{"version": 1, "data": [{"text": "x", "label": 1}, {"text": "y", "label": 0}]}'),
        ("a.json", '{"text": ["x", "y"], "label": [1, 0]}'),
        ("a.ndjson", '{"text": "x", "label": 1}\n{"text": "y", "label": 0}'),
        ("a.csv", "text;label\nx;1\ny;0\n"),
        ("a.CSV", " text , label\n x ,1 \ny, 0\n"),
    ],
)
def test_other_forms(tmp_path, name, content):
    reading = Reading(delimiter=";") if ";" in content else Reading()
    table = read_file(write(tmp_path, name, content), BOTH, reading)
    assert (table["text"], [str(label) for label in table["label"]]) == (["x", "y"], ["1", "0"])


@pytest.mark.parametrize(("ending", "pack"), [(".gz", gzip.compress), (".xz", lzma.compress)])
def test_packed_files(tmp_path, ending, pack):
    path = write(tmp_path, f"a.csv{ending}", pack(CSV.encode()))
    assert read_file(path, BOTH)["text"] == TEXTS
    damaged = write(tmp_path, f"b.csv{ending}", pack(CSV.encode())[:-9])
    with pytest.raises(InputError, match=r"b.csv.*: cannot be read"):
        read_file(damaged, BOTH)
    with pytest.raises(InputError, match=r"cannot be read"):
        read_bytes(write(tmp_path, f"c.csv{ending}", "text,label\n"))


QUOTED = 'text\tlabel\n"a ""fine"" film"\t1\nplain\t0\n"two\nlines"\t1\n'


def test_a_tsv_file_that_is_quoted_as_a_csv_file_is_recognised_and_that_is_said(tmp_path):
    path = write(tmp_path, "a.tsv", QUOTED)
    with pytest.warns(DataWarning, match=r"a.tsv: 2 fields stand in double quotes, which are no part of them"):
        table = read_file(path, BOTH)
    assert table["text"] == ['a "fine" film', "plain", "two\nlines"]
    assert [table.where(i)[-6:] for i in range(3)] == ["line 2", "line 3", "line 4"]
    assert read_file(path, BOTH, Reading(quoting="csv"))["text"] == table["text"]
    windows = write(tmp_path, "w.tsv", 'label\ttext\r\n1\t"a ""fine"" film"\r\n')
    with pytest.warns(DataWarning, match="1 fields stand in double quotes, which are no part of them"):
        assert read_file(windows, BOTH)["text"] == ['a "fine" film']
    literal = write(tmp_path, "b.tsv", 'text\tlabel\n"so he said"\t1\n6" wide\t0\n')
    assert read_file(literal, BOTH)["text"] == ['"so he said"', '6" wide']
    mixed = write(tmp_path, "c.tsv", 'text\tlabel\n"a ""b"" c"\t1\n6" wide\t0\n')
    with pytest.warns(DataWarning, match="which are read as letters, since other quotes"):
        assert read_file(mixed, BOTH)["text"][0] == '"a ""b"" c"'
    assert (
        read_file(path.rename(tmp_path / "d.csv"), BOTH, Reading(delimiter="\t", quoting="csv"))["text"]
        == table["text"]
    )


@given(st.lists(st.tuples(st.text("ab\"', ", max_size=6), st.text("xy", min_size=1, max_size=2)), min_size=1))
def test_what_was_written_is_read_whatever_the_format(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("files")
    quoted = "".join(f'"{text.replace(chr(34), chr(34) * 2)}",{label}\n' for text, label in rows)
    write(folder, "a.csv", f"text,label\n{quoted}")
    write(folder, "a.jsonl", "".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in rows))
    datasets.Dataset.from_dict(dict(zip(BOTH, map(list, zip(*rows, strict=True)), strict=True))).to_parquet(
        folder / "a.parquet"
    )
    for name in ("a.csv", "a.jsonl", "a.parquet"):
        table = read_file(folder / name, BOTH)
        assert [text.strip() for text in table["text"]] == [text.strip() for text, _ in rows]
        assert table["label"] == [label for _, label in rows]


def test_label_and_text_on_a_line(tmp_path):
    path = write(tmp_path, "a.txt", "label text\nHUM:ind Who is it ?\nLOC\tWhere  is it ?\n\nNUM\n")
    table = read_label_text(path, BOTH)
    assert table["label"] == ["HUM:ind", "LOC", "NUM"]
    assert table["text"] == ["Who is it ?", "Where  is it ?", ""]
    assert table.where(2) == f"{path}, line 5"
    fasttext = write(tmp_path, "b.txt", "__label__a x y\n__label__b z\n")
    assert read_file(fasttext, BOTH, Reading(format="LABEL text"))["label"] == ["a", "b"]
    for line in ("__label__a __label__b x\n", "no label here\n"):
        with pytest.raises(InputError, match="line 2: one label, such as __label__x, expected before"):
            read_label_text(write(tmp_path, "c.txt", f"__label__a x\n{line}"), BOTH)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-8"])
def test_a_byte_order_mark_is_no_part_of_a_name_whatever_the_encoding(tmp_path, encoding):
    path = write(tmp_path, "a.csv", "\ufefftext,label\na,0\nb,1\n".encode(encoding))
    assert read_file(path, BOTH, Reading(encoding=encoding))["text"] == ["a", "b"]


@pytest.mark.parametrize(("name", "sign"), [("a.csv", ","), ("a.tsv", "\t"), ("a.txt", "\t")])
def test_lines_may_all_end_in_carriage_returns(tmp_path, name, sign):
    path = write(tmp_path, name, f"text{sign}label\ra{sign}0\rb{sign}1\r")
    table = read_file(path, BOTH)
    assert table["label"] == ["0", "1"]
    assert table.where(1).endswith("line 3")


@pytest.mark.parametrize(
    "content", [gzip.compress(b"text,label\na,0\n", mtime=0), lzma.compress(b"a"), b"PK\x03\x04", b"BZh9"]
)
def test_a_packed_file_of_another_name_is_said(tmp_path, content):
    with pytest.raises(InputError, match=r"a.csv: holds (gzip|xz|a zip archive|bzip2).*, expected text"):
        read_file(write(tmp_path, "a.csv", content), BOTH)


def test_json_of_the_other_kind_is_said(tmp_path):
    rows = [{"text": "a", "label": 0}, {"text": "b", "label": 1}]
    with pytest.raises(InputError, match=r"a.jsonl, line 1: not JSON .*`format: json`"):
        read_file(write(tmp_path, "a.jsonl", json.dumps(rows, indent=1)), BOTH)
    with pytest.raises(InputError, match=r"a.json, line 2: not JSON .*`format: jsonl`"):
        read_file(write(tmp_path, "a.json", "\n".join(map(json.dumps, rows))), BOTH)


def test_a_first_line_that_only_resembles_names_is_left_out_with_a_word(tmp_path):
    path = write(tmp_path, "a.csv", "text,1\na,0\n")
    with pytest.warns(DataWarning, match=r"a.csv, line 1: 'text 1' is taken for names of the columns"):
        assert read_file(path, BOTH, Reading(header=BOTH))["text"] == ["a"]
