import gzip
import lzma

import pytest

from graphmtl.data.lines import read_bytes, read_lines
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


@pytest.mark.parametrize(("ending", "pack"), [(".gz", gzip.compress), (".xz", lzma.compress)])
def test_what_unpacks_without_end_is_refused_and_honest_files_are_not(tmp_path, monkeypatch, ending, pack):
    monkeypatch.setattr("graphmtl.data.lines._LEAST", 1 << 20)
    bomb, honest = tmp_path / f"bomb.csv{ending}", tmp_path / f"honest.csv{ending}"
    bomb.write_bytes(pack(b"a,1\n" * 500_000))
    honest.write_bytes(pack(b"a,1\n" * 200_000))  # as much better packed than texts are, but small
    with pytest.raises(InputError, match=rf"bomb\.csv{ending}: unpacks to more than 1,048,576 bytes, 100 times"):
        read_bytes(bomb)
    assert len(read_bytes(honest)) == 800_000
    assert len(read_bytes(bomb, most=10)) == 10
