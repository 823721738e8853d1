import gzip
import lzma
import sys

import numpy as np
import pytest

from examples.train_vectors import MAX_WORDS, Sentences, main, write_vectors
from graphmtl.cli import run_verb
from graphmtl.data.vectors import read_vectors
from graphmtl.errors import InputError

TEXT = "The cat sat on the mat .\nThe dog sat on the rug .\n" * 20


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text(TEXT)
    return path


@pytest.fixture
def train(tmp_path):
    """Trains small vectors on files and returns the output's path."""
    pytest.importorskip("gensim", reason="gensim is not installed (pip install 'graphmtl[vectors]')")

    def train(*arguments, output="out.vec"):
        path = tmp_path / output
        command = ["--output", path, "--dims", 8, "--epochs", 2, "--min-count", 1, *arguments]
        main([str(part) for part in command])
        return path

    return train


def read(*files, column=None, encodings=("utf-8", "latin-1")):
    return list(Sentences(files=files, column=column, encodings=encodings))


def fails(capsys, *arguments):
    """The one line that the command prints when it leaves with exit code 2."""
    with pytest.raises(SystemExit) as leaving:
        run_verb(main, [str(part) for part in arguments])
    output = capsys.readouterr()
    assert leaving.value.code == 2
    assert output.out == ""
    assert output.err.count("\n") == 1
    return output.err


@pytest.mark.parametrize("name", ["out.vec", "out.vec.gz", "out.vec.xz"])
def test_vectors_load(train, text, name):
    vectors = read_vectors(train(text, output=name))
    assert set(vectors.words) == set(TEXT.lower().split())
    assert vectors.words[0] == "the"  # the most frequent one
    assert vectors.matrix.shape == (8, 8)
    assert np.isfinite(vectors.matrix).all()
    assert np.abs(vectors.matrix).max() > 0


def test_same_seed_same_bytes(train, text):
    first = train(text, "--seed", 3, output="a.vec.gz").read_bytes()
    assert first == train(text, "--seed", 3, output="b.vec.gz").read_bytes()
    assert first != train(text, "--seed", 4, output="c.vec.gz").read_bytes()


def test_words_with_the_same_neighbours_are_near(train, text):
    groups = ((("cat", "dog"), ("runs", "sleeps", "eats")), (("red", "blue"), ("light", "paint", "colour")))
    generator = np.random.default_rng(0)
    lines = []
    for words, neighbours in groups * 1000:
        lines.append(" ".join([generator.choice(words), *generator.permutation(neighbours)]))
    text.write_text("\n".join(lines))
    vectors = read_vectors(train(text, "--epochs", 5))
    unit = vectors.matrix / np.linalg.norm(vectors.matrix, axis=1, keepdims=True)  # (words, dims)
    index = {word: row for row, word in enumerate(vectors.words)}
    assert unit[index["cat"]] @ unit[index["dog"]] > unit[index["cat"]] @ unit[index["red"]]


def test_min_count_leaves_rare_words_out(train, text):
    text.write_text("often rare often often\n")
    assert read_vectors(train(text, "--min-count", 2)).words == ["often"]


def test_label_column_is_left_out(train, text):
    text.write_text("1\tgood\n0\tbad\n")
    assert set(read_vectors(train(text, "--column", -1)).words) == {"good", "bad"}


def test_sentences_can_be_read_again(text):
    sentences = Sentences(files=[text], column=None, encodings=["utf-8"])
    assert list(sentences) == list(sentences)
    assert len(list(sentences)) == 40


def test_compressed_files_read_as_plain_ones(tmp_path, text):
    (tmp_path / "text.gz").write_bytes(gzip.compress(TEXT.encode()))
    (tmp_path / "text.xz").write_bytes(lzma.compress(TEXT.encode()))
    assert read(tmp_path / "text.gz") == read(tmp_path / "text.xz") == read(text)


def test_words_are_lower_case(text):
    assert read(text)[0] == ["the", "cat", "sat", "on", "the", "mat", "."]


def test_columns(text):
    text.write_text("1\ta text\n0\t\n")
    assert read(text, column=1) == [["a", "text"]]
    assert read(text, column=-1) == [["a", "text"]]
    assert read(text) == [["1", "a", "text"], ["0"]]


def test_last_column_of_a_line_without_tab_is_the_line(text):
    text.write_text("a text\n")
    assert read(text, column=-1) == [["a", "text"]]


@pytest.mark.parametrize("separator", ["\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\r"])
def test_only_the_newline_ends_a_line(text, separator):
    text.write_bytes(f"one{separator}line\nanother\n".encode())
    assert [len(words) for words in read(text)] == [2, 1]


def test_lines_that_are_not_utf8_are_latin1(text):
    text.write_bytes("naïve".encode() + b"\n" + "naïve".encode("latin-1") + b"\n")
    assert read(text) == [["naïve"], ["naïve"]]


def test_byte_order_mark_is_no_word(text):
    text.write_bytes("\ufefftext\n".encode())
    assert read(text) == [["text"]]


def test_long_lines_lose_no_word(text):
    text.write_text("word " * (2 * MAX_WORDS + 5))
    assert [len(words) for words in read(text)] == [MAX_WORDS, MAX_WORDS, 5]


def test_reading_is_lazy(text, tmp_path):
    sentences = iter(Sentences(files=[text, tmp_path / "missing.txt"], column=None, encodings=["utf-8"]))
    assert next(sentences)[0] == "the"  # before the second file is looked at
    with pytest.raises(InputError, match=r"missing\.txt"):
        list(sentences)


def test_write_vectors_refuses_words_without_vectors(tmp_path):
    with pytest.raises(ValueError, match="zip"):
        write_vectors(tmp_path / "out.vec", ["one", "two"], np.zeros((1, 3), dtype=np.float32))
    assert list(tmp_path.iterdir()) == []


def test_folders_are_not_replaced(tmp_path):
    (tmp_path / "out.vec").mkdir()
    with pytest.raises(InputError, match=r"out\.vec: cannot be written"):
        write_vectors(tmp_path / "out.vec", ["one"], np.zeros((1, 3), dtype=np.float32))
    assert [path.name for path in tmp_path.iterdir()] == ["out.vec"]


def test_output_is_kept(train, text, tmp_path, capsys):
    output = train(text)
    before = output.read_bytes()
    capsys.readouterr()
    assert "out.vec: exists already (--overwrite" in fails(capsys, text, "--output", output)
    assert output.read_bytes() == before
    train(text, "--overwrite", "--seed", 5)
    assert output.read_bytes() != before


@pytest.mark.parametrize(
    ("content", "arguments", "message"),
    [
        (b"1\ta\nno tab\n", ["--column", 1], "text.txt, line 2: no column 1, the line has 1"),
        (b"caf\xe9\n", ["--encoding", "utf-8"], "text.txt, line 1: is not utf-8; name its encoding with --encoding"),
        (b"", [], "no word occurs 5 times in"),
        (b"rare\n", [], "no word occurs 5 times in"),
        (b"a\n", ["--dims", 0], "--dims: expected a whole number from 1 and under 2^32, found '0'"),
        (b"a\n", ["--dims", "x"], "--dims: expected a whole number from 1 and under 2^32, found 'x'"),
        (b"a\n", ["--encoding", "utf-9"], "unknown encoding 'utf-9'"),
        (b"a\n", ["--encoding", "utf-16"], "utf-16 is not supported"),
        (b"a\n", ["--unknown"], "unrecognized arguments: --unknown"),
    ],
)
def test_mistakes_are_one_line(capsys, text, tmp_path, content, arguments, message):
    pytest.importorskip("gensim", reason="gensim is not installed (pip install 'graphmtl[vectors]')")
    text.write_bytes(content)
    assert message in fails(capsys, text, "--output", tmp_path / "out.vec", *arguments)
    assert list(tmp_path.iterdir()) == [text]


def flipped(content):
    middle = len(content) // 2
    return content[:middle] + bytes(255 - byte for byte in content[middle : middle + 4]) + content[middle + 4 :]


@pytest.mark.parametrize(("name", "compress"), [("a.gz", gzip.compress), ("a.xz", lzma.compress)])
@pytest.mark.parametrize("damage", [flipped, lambda content: b"no" + content, lambda content: content[:-5]])
def test_damaged_files_are_named(tmp_path, name, compress, damage):
    (tmp_path / name).write_bytes(damage(compress(TEXT.encode())))
    with pytest.raises(InputError, match=name):
        read(tmp_path / name)


def test_missing_folder(capsys, text, tmp_path):
    assert "there is no folder" in fails(capsys, text, "--output", tmp_path / "none" / "out.vec")


def test_missing_gensim(capsys, monkeypatch, text, tmp_path):
    monkeypatch.setitem(sys.modules, "gensim.models", None)
    assert "pip install 'graphmtl[vectors]'" in fails(capsys, text, "--output", tmp_path / "out.vec")
