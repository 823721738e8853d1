import gzip
import io
import lzma

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphmtl.data import lines
from graphmtl.data.lines import each_line, each_line_of, each_piece, holds_quotes, read_bytes, read_lines
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


@given(
    st.text("a\u00e9\U0001f600\r\n\u2028 ", max_size=30).filter(str.strip),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"]),
    st.integers(4, 12),
)
def test_lines_one_after_the_other_are_those_of_the_whole_file(tmp_path_factory, text, encoding, size):
    path = write(tmp_path_factory.mktemp("lines"), "a.txt", text.encode(encoding))
    whole = read_lines(path, encoding=encoding, ends=True)
    first = len(text[: text.index("\n") + 1 if "\n" in text else None].encode(encoding))  # which tells how lines end
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "_BLOCK", first + size)
        found = [*each_line(path, encoding)]
        assert "".join(each_piece(path, encoding)) == (text if "\n" in text else text.replace("\r", "\n"))
    assert [*found, *[""] * (len(whole) - len(found))] == whole


def test_what_is_wrong_in_a_later_block_is_named_with_its_line(tmp_path, monkeypatch):
    monkeypatch.setattr(lines, "_BLOCK", 4)
    path = write(tmp_path, "a.txt", b"one\ntwo\nthr\xffe\nfour\n")
    with pytest.raises(InputError, match=r"a\.txt, line 3: byte 0xff is not utf-8"):
        [*each_line(path, "utf-8")]
    with pytest.raises(InputError, match="the file is empty"):
        [*each_line(write(tmp_path, "b.txt", b"\xef\xbb\xbf  \n \n"), "utf-8")]
    with pytest.raises(InputError, match="unknown encoding 'hex'"):
        [*each_line(path, "hex")]
    with pytest.raises(InputError, match="holds gzip, expected text"):
        [*each_line(write(tmp_path, "c.txt", gzip.compress(b"a")), "utf-8")]
    assert [holds_quotes(path), holds_quotes(write(tmp_path, "d.txt", 'a line "b"'))] == [False, True]


class Terminal(io.BytesIO):
    """Gives what was typed, and would go on to ask after its end."""

    ended = False

    def read(self, size=-1):
        assert not self.ended
        block = super().read(size)
        self.ended = len(block) < size
        return block


def test_the_lines_of_an_open_file_which_may_be_empty(monkeypatch):
    monkeypatch.setattr(lines, "_FLOW", 3)
    assert [*each_line_of(Terminal(b"\xef\xbb\xbfone\r\n\nt\xc3\xa9o"), "texts", "utf-8")] == ["one", "", "téo"]
    assert [*each_line_of(Terminal(b"\n \n"), "texts", "utf-8")] == ["", " "]
    assert [*each_line_of(Terminal(b""), "texts", "utf-8")] == []
    for content, encoding, message in (
        (b"one\ntw\xffo", "utf-8", "texts, line 2: byte 0xff is not utf-8; the key `encoding`"),
        (b"\xff\xfeo\0", "utf-8", r"texts, line 1: byte 0xff .* `encoding: utf-16` \(predict: --encoding utf-16\)"),
        (b"one", "hex", "texts: unknown encoding 'hex'"),
    ):
        with pytest.raises(InputError, match=message):
            [*each_line_of(Terminal(content), "texts", encoding)]
