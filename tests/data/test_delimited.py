import pytest

from graphmtl.data.delimited import Reading, is_header
from graphmtl.data.readers import read_file
from graphmtl.errors import InputError

BOTH = ("text", "label")


def write(folder, name, content):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_a_header_line_is_never_an_example(tmp_path):
    header = Reading(header=("label", "text"))
    for first in ("label,text\n", "Label,Text\n", "class,review\n", ""):
        assert read_file(write(tmp_path, "a.csv", f"{first}1,x\n0,y\n"), BOTH, header)["label"] == ["1", "0"]
    assert not is_header(["word", "x"], ["text", "label"])


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_two_quotes_are_an_empty_text_and_a_blank_line_is_none(end, tmp_path):
    """As pandas writes a column that stands alone."""
    path = write(tmp_path, "a.csv", end.join(["text", "a", '""', "", "  ", "b", '""', ""]))
    table = read_file(path, ["text"])
    assert (table["text"], [*table.lines]) == (["a", "", "b", ""], [2, 3, 6, 7])
    with pytest.raises(InputError, match=r"b\.csv, line 3: 1 fields, expected 2"):
        read_file(write(tmp_path, "b.csv", 'text,label\na,1\n""\n'), BOTH)
