import pytest

from graphmtl.data.side_by_side import read_one_class_a_file, read_parallel
from graphmtl.errors import InputError

BOTH = ("text", "label")


def write(folder, name, content):
    path = folder / name
    path.write_text(content)
    return path


def test_files_side_by_side(tmp_path):
    paths = {"text": write(tmp_path, "t.txt", "one\n\nthree\n"), "label": write(tmp_path, "l.txt", "1\n0\n1\n")}
    table = read_parallel(paths, BOTH)
    assert dict(table.columns) == {"text": ["one", "", "three"], "label": ["1", "0", "1"]}
    assert table.where(1, "label") == f"{tmp_path / 'l.txt'}, line 2"
    titled = {"text": write(tmp_path, "u.txt", "text\none\n"), "label": write(tmp_path, "m.txt", "label\n1\n")}
    assert read_parallel(titled, BOTH).where(0, "label") == f"{tmp_path / 'm.txt'}, line 2"
    with pytest.raises(InputError, match=r"m.txt, line 3: the file has ended, but .*t.txt has 3 lines"):
        read_parallel({**paths, "label": titled["label"]}, BOTH)


def test_a_file_or_a_folder_for_each_label(tmp_path):
    (tmp_path / "neg").mkdir()
    paths = {"good": write(tmp_path, "pos.txt", "a\n\nb\n"), "bad": tmp_path / "neg"}
    write(tmp_path, "neg/1.txt", "two\nlines\n")
    table = read_one_class_a_file(paths, BOTH, "label")
    assert dict(table.columns) == {"text": ["a", "b", "two\nlines"], "label": ["good", "good", "bad"]}
    assert table.where(1) == f"{tmp_path / 'pos.txt'}, line 3"
    with pytest.raises(InputError, match="one column, not 2"):
        read_one_class_a_file(paths, ("a", "b", "label"), "label")
