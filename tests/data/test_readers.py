import datasets
import pytest

from graphmtl.data.examples import Columns
from graphmtl.data.readers import read_file, read_label_tab_text, read_lines, read_tsv
from graphmtl.errors import InputError


def write(folder, name, content):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_lines_are_cut_at_newlines_only(tmp_path):
    path = write(tmp_path, "a.txt", "one\x85 still\u2028one\x0b\r\ntwo\rtwo\n\nfour\n\n\n")
    assert read_lines(path) == ["one\x85 still\u2028one\x0b", "two\rtwo", "", "four"]


def test_a_byte_order_mark_is_left_out(tmp_path):
    assert read_lines(write(tmp_path, "a.txt", b"\xef\xbb\xbfone\n")) == ["one"]
    assert read_lines(write(tmp_path, "b.txt", "one\ntwo\n".encode("utf-16")), encoding="utf-16") == ["one", "two"]


def test_lines_that_are_not_utf8_take_the_fallback(tmp_path):
    path = write(tmp_path, "a.txt", b"caf\xc3\xa9\ncaf\xe9\n")
    assert read_lines(path, fallback="latin-1") == ["café", "café"]


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_label_tab_text(tmp_path, newline):
    path = write(tmp_path, "a.task.train", newline.join(["1\tgood\tfilm", "0\t", " 1 \t \x1c NA"]))
    examples = read_label_tab_text(path)
    assert examples.label == ["1", "0", "1"]
    assert examples.text == ["good\tfilm", "", " \x1c NA"]
    assert examples.empty() == 1
    assert examples.where(2) == f"{path}, line 3"


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


def test_missing_and_unreadable_files(tmp_path):
    with pytest.raises(InputError, match=r"a\.txt: no such file"):
        read_lines(tmp_path / "a.txt")
    with pytest.raises(InputError, match=r"cannot be read \(Is a directory"):
        read_lines(tmp_path)


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
    examples = read_file(write(tmp_path, name, content.encode(encoding)), Columns(encoding=encoding))
    assert (examples.text, examples.label, examples.text_pair) == (TEXTS, LABELS, None)


def test_a_csv_record_may_span_lines_and_errors_name_its_first(tmp_path):
    path = write(tmp_path, "a.csv", 'text,label\r\n"one\r\ntwo",a\r\n"three\nfour",b\r\n')
    examples = read_file(path, Columns())
    assert examples.text == ["one\r\ntwo", "three\nfour"]
    assert [examples.where(i) for i in range(2)] == [f"{path}, line 2", f"{path}, line 4"]
    with pytest.raises(InputError, match="line 4: 3 fields, expected 2"):
        read_file(write(tmp_path, "a.csv", 'text,label\n"one\ntwo",a\n"three\nfour",b,c\n'), Columns())


def test_a_long_csv_field(tmp_path):
    text = "word " * 40_000
    assert read_file(write(tmp_path, "a.csv", f"text,label\n{text},a\n"), Columns()).text == [text]


@pytest.mark.parametrize(("name", "separator"), [("a.csv", ","), ("a.tsv", "\t")])
def test_pairs_and_files_without_a_line_of_names(tmp_path, name, separator):
    path = write(tmp_path, name, separator.join(["x", "a b", "c d"]) + "\n" + separator.join(["y", "e", ""]) + "\n")
    columns = Columns(text=("premise", "hypothesis"), label="gold", header=("gold", "premise", "hypothesis"))
    examples = read_file(path, columns)
    assert (examples.label, examples.text, examples.text_pair) == (["x", "y"], ["a b", "e"], ["c d", ""])
    assert examples.empty() == 1
    assert examples.where(0) == f"{path}, line 1"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.tsv", "text\tlabel\na\tx\nb\n", "line 3: no TAB between the columns text, label: 'b'"),
        ("a.tsv", "text\tlabel\na\tx\ty\n", r"line 2: 3 fields, expected 2 \(text, label\)"),
        ("a.tsv", "text\tlabel\na\t \n", "line 2: no label in column 'label'"),
        ("a.tsv", "text\tlabels\na\tx\n", "unknown column 'label'; did you mean 'labels'"),
        ("a.tsv", "text\tlabel\n", "the file holds no examples"),
        ("a.tsv", "", "the file is empty"),
        ("a.tsv", b"text\tlabel\na\tx\n\xff\ty\n", "line 3: byte 0xff is not utf-8"),
        ("a.csv", "text,label\na,x\nb\n", "line 3: 1 fields, expected 2"),
        ("a.csv", "text,label\na,\n", "line 2: no label in column 'label'"),
        ("a.csv", 'text,label\na,x\n"b,y\nc,z\n', r"line 3: not CSV \(unexpected end of data\)"),
        ("a.csv", "text,label\n", "the file holds no examples"),
        ("a.csv", "txet,label\na,x\n", "unknown column 'text'; did you mean 'txet'"),
        ("a.csv", "text;label\na;x\n", "unknown column 'text'; .* a csv file has commas between its columns"),
        ("a.csv", "", "the file is empty"),
        ("a.jsonl", '{"text": "a", "label": 1}\n{"text": "b"}\n', "line 2: unknown column 'label'"),
        ("a.jsonl", '{"text": "a", "label": 1\n', "line 1: not JSON"),
        ("a.jsonl", '["a", 1]\n', "line 1: a JSON object expected, found"),
        ("a.jsonl", '{"text": 5, "label": 1}\n', "line 1: column 'text' holds 5, expected a text"),
        ("a.jsonl", '{"text": "a", "label": null}\n', "line 1: no label in column 'label'"),
        ("a.jsonl", '{"text": "a", "label": ""}\n', "line 1: no label in column 'label'"),
        ("a.jsonl", '{"text": "a", "label": [1]}\n', r"line 1: label \[1\], expected a text or a whole number"),
        ("a.jsonl", f'{{"text": "a", "label": {"1" * 5000}}}\n', r"line 1: not JSON \(.* 5000 digits"),
        ("a.jsonl", '{"text": "a", "label": 1}\n{"text": "x \\ud800", "label": 1}\n', r"line 2: 'x \\ud800' holds"),
        ("a.jsonl", '{"text": "a", "label": "x \\udfff"}\n', r"line 1: 'x \\udfff' holds half of a character"),
        ("a.parquet", "no parquet", "cannot be read as parquet"),
        ("a.parquet", "", "the file is empty"),
        ("a.xlsx", "", r"unknown file format '.xlsx' \(known: .csv, .tsv, .jsonl, .parquet\)"),
    ],
)
def test_faults_name_the_file_the_line_and_the_value(tmp_path, name, content, message):
    path = write(tmp_path, name, content)
    with pytest.raises(InputError, match=message) as error:
        read_file(path, Columns())
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


def test_a_character_in_two_halves_is_one(tmp_path):
    path = write(tmp_path, "a.jsonl", '{"text": "\\ud83d\\ude00", "label": 1, "other": "\\ud800"}\n')
    assert read_file(path, Columns()).text == ["😀"]


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl"])
def test_an_unknown_encoding(tmp_path, name):
    with pytest.raises(InputError, match="unknown encoding 'latin1000'"):
        read_file(write(tmp_path, name, "x"), Columns(encoding="latin1000"))


def test_labels_that_are_numbers_and_texts_without_labels(tmp_path):
    path = write(tmp_path, "a.jsonl", '{"text": "x", "label": 0.1}\n{"text": "y", "label": 3}\n')
    assert read_file(path, Columns(scores=True)).label == ["0.1", "3"]
    datasets.Dataset.from_dict({"text": ["x", "y"], "label": [0.1, 3.0]}).to_parquet(tmp_path / "a.parquet")
    found = read_file(tmp_path / "a.parquet", Columns(scores=True))
    assert [float(label) for label in found.label] == [0.1, 3]
    for name in ("a.jsonl", "a.parquet"):
        unlabelled = read_file(tmp_path / name, Columns(label=""))
        assert (unlabelled.text, unlabelled.label) == (["x", "y"], ["", ""])
    with pytest.raises(InputError, match=r"a.jsonl, line 1: label \[1\], expected a number"):
        read_file(write(tmp_path, "a.jsonl", '{"text": "x", "label": [1]}\n'), Columns(scores=True))


def test_a_tsv_file_of_any_name(tmp_path):
    path = write(tmp_path, "a.txt", 'text\tlabel\n"NA\t1\nnull\t2\n')
    assert read_tsv(path, Columns()).text == ['"NA', "null"]
    with pytest.raises(InputError, match=r"unknown file format '\.txt'"):
        read_file(path, Columns())
