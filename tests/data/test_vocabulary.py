import gzip
import lzma
from collections import Counter

import numpy as np
import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

from graphmtl.data.tokenizer import KINDS, Tokenizer
from graphmtl.data.vocabulary import (
    PAD,
    SEP,
    UNK,
    Coverage,
    Vectors,
    Vocabulary,
    coverage,
    read_vectors,
)
from graphmtl.errors import InputError


def test_most_frequent_words_come_first_and_rare_ones_go():
    vocabulary = Vocabulary.build(["b b a", "c b a"], min_count=2)
    assert vocabulary.words == ["<pad>", "<unk>", "<sep>", "b", "a"]
    assert vocabulary.counts == {"b": 3, "a": 2, "c": 1}
    assert vocabulary.encode("a c b") == [4, UNK, 3]


def test_case_is_kept_on_request():
    assert Vocabulary.build(["A a"]).encode("A") == Vocabulary.build(["A a"]).encode("a")
    cased = Vocabulary.build(["A a"], lower_case=False)
    assert cased.encode("A") != cased.encode("a")


def test_extra_words_follow_and_are_not_repeated():
    vocabulary = Vocabulary.build(["a b"], extra_words=["z", "a", "<unk>", "y"])
    assert vocabulary.words[3:] == ["a", "b", "z", "y"]
    assert "z" in vocabulary
    assert "x" not in vocabulary


def test_an_empty_text_is_one_unknown_word():
    vocabulary = Vocabulary.build(["a"])
    assert vocabulary.encode("") == vocabulary.encode(" \t") == [UNK]


def test_a_pair_has_a_separator_between():
    vocabulary = Vocabulary.build(["a b"])
    assert vocabulary.encode("a", "b") == [*vocabulary.encode("a"), SEP, *vocabulary.encode("b")]
    assert vocabulary.encode("a", "") == [*vocabulary.encode("a"), SEP, UNK]


@pytest.mark.parametrize("lower_case", [True, False])
def test_a_saved_vocabulary_encodes_the_same(tmp_path, lower_case):
    texts = ["The film , `` café '' \x85 don't", "¿qué? THE end\u2028of it"]
    vocabulary = Vocabulary.build(texts, lower_case=lower_case, extra_words=["new york"])
    vocabulary.save(tmp_path / "vocabulary.txt")
    loaded = Vocabulary.load(tmp_path / "vocabulary.txt")
    assert loaded.words == vocabulary.words
    assert [loaded.encode(text) for text in texts] == [vocabulary.encode(text) for text in texts]
    assert str(loaded) == f"Vocabulary({len(vocabulary)} words, lower_case={lower_case})"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a\nb\n", "line 1: 'lower_case true' or 'lower_case false' expected, found 'a'"),
        (b"lower_case true\na\nb\nc\n", "starts with <pad>, <unk>, <sep>, not with a, b, c"),
        (b"lower_case true\n<pad>\n<unk>\n<sep>\na\na\n", "stands twice"),
        (b"lower_case true\n\xff\n", "cannot read the vocabulary"),
    ],
)
def test_a_file_that_is_no_vocabulary(tmp_path, content, message):
    path = tmp_path / "vocabulary.txt"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        Vocabulary.load(path)


def saved(tmp_path, texts=("the film", "a film"), **options):
    vocabulary = Vocabulary.build(texts, tokenizer=Tokenizer(**options))
    vocabulary.save(tmp_path / "vocabulary.txt")
    return vocabulary


READABLE = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("abc 'n.\u0301’“…क्षि好"))


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=30)
@given(st.lists(READABLE), READABLE, READABLE)
def test_the_saved_tokenizer_alone_gives_the_indices(kind, texts, text, pair):
    vocabulary = Vocabulary.build(texts, tokenizer=Tokenizer(kind))
    alone = tokenizers.Tokenizer.from_str(vocabulary._encoder.to_str())
    assert (alone.encode(text).ids or [UNK]) == vocabulary.encode(text)
    if text.strip() and pair.strip():
        expected = vocabulary.encode(text, pair)
        assert expected == [*vocabulary.encode(text), SEP, *vocabulary.encode(pair)]
        assert UNK in expected or alone.encode(text, pair).ids == expected


@pytest.mark.parametrize("kind", KINDS)
@given(st.lists(READABLE), READABLE)
def test_words_as_they_are_written_have_the_indices_of_the_text(kind, texts, text):
    vocabulary = Vocabulary.build([text, *texts], tokenizer=Tokenizer(kind))
    assert [*map(vocabulary.index, vocabulary.split(text))] == vocabulary.encode(text)


@given(st.lists(READABLE), READABLE)
def test_many_texts_are_encoded_as_one_by_one(texts, pair):
    vocabulary = Vocabulary.build(texts)
    rows = [*((text,) for text in texts), *((text, pair) for text in texts), (texts,)]
    assert list(vocabulary.encode_texts(rows)) == [vocabulary.encode(*row) for row in rows]


@pytest.mark.parametrize("kind", KINDS)
def test_special_words_in_a_text_are_not_special(kind):
    texts = ["<sep> <pad>", ["<sep>", "<pad>", "<unk>"]]
    vocabulary = Vocabulary.build(texts, tokenizer=Tokenizer(kind))
    for text in texts:
        assert not {PAD, SEP} & {*vocabulary.encode(text)}
    assert vocabulary.encode(["<sep>", "<pad>", "<unk>"]) == [UNK] * 3


def test_a_loaded_vocabulary_cuts_texts_by_the_rules_it_was_saved_with(tmp_path):
    vocabulary = saved(tmp_path, ["don't 1,5"], kind="spaces", lower_case=False)
    loaded = Vocabulary.load(tmp_path / "vocabulary.txt")
    assert loaded.split("Don't 1,5") == ["Don't", "1,5"]
    assert (loaded.tokenizer, loaded.lower_case) == (vocabulary.tokenizer, False)


def test_a_vocabulary_of_an_earlier_version_is_read_with_a_warning(tmp_path, capsys):
    vocabulary = saved(tmp_path)
    (tmp_path / "tokenizer.json").unlink()
    loaded = Vocabulary.load(tmp_path / "vocabulary.txt")
    error = capsys.readouterr().err
    assert "vocabulary.txt: no tokenizer.json beside it; the model was trained by an earlier version" in error
    assert error.count("\n") == 1
    assert loaded.encode("The film!") == vocabulary.encode("The film!")


def test_a_tokenizer_with_other_words(tmp_path):
    saved(tmp_path)
    path = tmp_path / "vocabulary.txt"
    path.write_text(path.read_text().replace("film", "movie"))
    with pytest.raises(InputError, match=r"tokenizer.json: other words than in .*vocabulary.txt"):
        Vocabulary.load(path)


def test_a_missing_vocabulary(tmp_path):
    with pytest.raises(InputError, match=r"vocabulary.txt: cannot read"):
        Vocabulary.load(tmp_path / "vocabulary.txt")


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
    [("v.gz", VECTORS), ("v.gz", gzip.compress(VECTORS * 99)[:-9]), ("v.xz", VECTORS), ("missing.txt", None)],
)
def test_damaged_and_missing_files_of_vectors(tmp_path, name, content):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=f"{name}: cannot read the vectors"):
        read_vectors(path)


def test_coverage_counts_words_and_their_occurrences():
    vectors = Vectors(["a", "b"], np.zeros((2, 1), dtype=np.float32))
    assert coverage(Counter("aaabccde"), vectors) == Coverage(types=2 / 5, tokens=4 / 8)
    assert coverage({}, vectors) == Coverage(types=0, tokens=0)


def test_more_words_stand_behind_the_known_ones():
    vocabulary = Vocabulary.build(["a good film"], lower_case=False)
    extended = vocabulary.extended(["noir", "film", "Rome"])
    assert extended.words == [*vocabulary.words, "noir", "Rome"]
    assert (extended.lower_case, extended.alphabet) == (False, vocabulary.alphabet)
    assert len(vocabulary) == 6
