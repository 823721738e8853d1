import pytest

from graphmtl.data.lines import read_lines
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


def test_missing_and_unreadable_files(tmp_path):
    with pytest.raises(InputError, match=r"a\.txt: no such file"):
        read_lines(tmp_path / "a.txt")
    with pytest.raises(InputError, match="a folder, where a file is expected"):
        read_lines(tmp_path)
