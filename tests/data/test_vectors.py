import gzip
import lzma
import tracemalloc
from collections import Counter

import numpy as np
import pytest

from graphmtl.data.vectors import Coverage, Vectors, coverage, read_vectors
from graphmtl.errors import InputError

VECTORS = b"the 1 -2.5 3e-1\n, 0 0.25 7\nl\xc3\xa0 4 5 6\n"
MATRIX = np.array([[1, -2.5, 0.3], [0, 0.25, 7], [4, 5, 6]], dtype=np.float32)


@pytest.mark.parametrize("header", [b"", b"3 3\n"], ids=["no header", "header"])
@pytest.mark.parametrize(
    ("name", "compress"), [("v.txt", bytes), ("v.gz", gzip.compress), ("v.xz", lzma.compress)], ids=["txt", "gz", "xz"]
)
def test_vectors_of_every_form(tmp_path, name, compress, header):
    path = tmp_path / name
    path.write_bytes(compress(header + VECTORS))
    vectors = read_vectors(path)
    assert vectors.words == ["the", ",", "là"]
    assert vectors.matrix.dtype == np.float32
    np.testing.assert_array_equal(vectors.matrix, MATRIX)
    assert vectors.dim == 3


@pytest.mark.parametrize(
    "content",
    [VECTORS.replace(b" ", b"\t"), VECTORS.replace(b"\n", b" \r\n"), VECTORS.replace(b" ", b"  "), VECTORS[:-1]],
    ids=["tabs", "trailing space", "two spaces", "no last newline"],
)
def test_white_space_between_numbers_does_not_matter(tmp_path, content):
    path = tmp_path / "v.txt"
    path.write_bytes(content)
    np.testing.assert_array_equal(read_vectors(path).matrix, MATRIX)


@pytest.mark.parametrize("header", [b"", b"3 3\n"])
def test_a_byte_order_mark_before_vectors_is_left_out(tmp_path, header):
    path = tmp_path / "v.txt"
    path.write_bytes(b"\xef\xbb\xbf" + header + VECTORS)
    vectors = read_vectors(path)
    assert vectors.words == ["the", ",", "là"]
    np.testing.assert_array_equal(vectors.matrix, MATRIX)


def test_a_word_may_hold_spaces_and_a_repeated_word_keeps_its_first_vector(tmp_path):
    path = tmp_path / "v.txt"
    path.write_bytes(b"a 1 2\n. . . 3 4\na 5 6\n")
    vectors = read_vectors(path)
    assert vectors.words == ["a", ". . .", "a"]
    assert vectors.index == {"a": 0, ". . .": 1}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a 1 2\nb 3\n", "line 2: 1 numbers after the word, expected 2"),
        (b"a 1 2\nb 3 4 5\n", "line 2: 3 numbers after the word, expected 2"),
        (b"2 2\na 1 2\nb 3\n", "line 3: 1 numbers after the word, expected 2"),
        (b"a 1 2\n\nb 3 4\n", "line 2: 0 numbers after the word, expected 2"),
        (b"a 1 2\nb 3 x\n", "line 2: 'x' is not a finite number"),
        (b"a 1 2\nb 3 nan\n", "line 2: 'nan' is not a finite number"),
        (b"a 1 2\nb 1e99 3\n", "line 2: '1e99' is not a finite number"),
        (b"a 1 2\n\xff 3 4\n", "line 2: not UTF-8"),
        (b"3 2\na 1 2\n", "promises 3 words, the file holds 1"),
        (b"3 2\n", "no vectors"),
        (b"", "line 1: a word and its numbers expected"),
        (b"word\n", "line 1: a word and its numbers expected, found 'word'"),
        (b"a 1_0\n", "line 1: '1_0' is not a finite number"),  # a number in Python, not in a file of vectors
        (b"a 1 2\nb 3\x0c4 5\n", "line 2: '3.x0c4' is not a finite number"),
        (b"1 " + b"9" * 4300 + b"\n", "line 1: '9{40}' is not a finite number"),
        (b"1 1\na 1" + b"0" * 70_000, "line 2: more than 65,600 bytes; a word and its numbers expected"),
        (b"a" * 2_000_000, "line 1: more than 1,048,576 bytes"),
    ],
)
def test_faults_in_vectors_name_file_line_and_value(tmp_path, content, message):
    path = tmp_path / "v.txt"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as error:
        read_vectors(path)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


def test_a_fault_after_many_lines_has_the_right_number(tmp_path):
    path = tmp_path / "v.txt"
    path.write_text("".join(f"w{i} 1 2\n" for i in range(25_000)) + "x 1\n")
    with pytest.raises(InputError, match="line 25001: 1 numbers"):
        read_vectors(path)


@pytest.mark.parametrize(
    ("name", "content"),
    [("v.gz", VECTORS), ("v.gz", gzip.compress(VECTORS * 99, mtime=0)[:-9]), ("v.xz", VECTORS)],
)
def test_damaged_files_of_vectors(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"{name}: cannot read the vectors"):
        read_vectors(path)


def test_vectors_that_are_no_file(tmp_path):
    for path in (tmp_path, tmp_path / "missing.txt", "/dev/zero"):
        with pytest.raises(InputError, match=r"no such file|a folder, where|a device, where"):
            read_vectors(path)


def test_a_packed_file_of_one_endless_line_is_not_unpacked_to_its_end(tmp_path):
    path = tmp_path / "v.gz"
    with gzip.open(path, "wb") as file:
        for _ in range(32):
            file.write(bytes(1 << 20))
    tracemalloc.start()
    with pytest.raises(InputError, match="line 1: more than 1,048,576 bytes"):
        read_vectors(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 << 20


def test_coverage_counts_words_and_their_occurrences():
    vectors = Vectors(["a", "b"], np.zeros((2, 1), dtype=np.float32))
    assert coverage(Counter("aaabccde"), vectors) == Coverage(types=2 / 5, tokens=4 / 8)
    assert coverage({}, vectors) == Coverage(types=0, tokens=0)
