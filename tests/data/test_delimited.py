from graphmtl.data.delimited import Reading, is_header
from graphmtl.data.readers import read_file

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
