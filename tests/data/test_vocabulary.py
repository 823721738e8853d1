import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

from graphmtl.data.tokenizer import KINDS, Tokenizer
from graphmtl.data.vocabulary import (
    PAD,
    SEP,
    UNK,
    Vocabulary,
    truncate,
    truncate_pair,
)
from graphmtl.errors import DataWarning, InputError


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


BREAKING = ["a\nb", "a\\nb", "a\\\nb", "\n", "\r\n", "\r", "\u2028", "\x85", "\x0b", "\\", "c\\", "\\\\"]


@pytest.mark.parametrize("words", [BREAKING, [word for word in BREAKING if "\n" not in word], ["a\n", ""]])
def test_words_with_line_breaks_and_backslashes_are_saved(tmp_path, words):
    vocabulary = Vocabulary.build([words], tokenizer=Tokenizer("spaces"))
    vocabulary.save(tmp_path / "vocabulary.txt")
    loaded = Vocabulary.load(tmp_path / "vocabulary.txt")
    assert loaded.words == vocabulary.words
    assert loaded.encode(words) == vocabulary.encode(words)


def test_a_backslash_alone_is_written_as_it_is(tmp_path):
    Vocabulary.build([["a\\nb"]]).save(tmp_path / "vocabulary.txt")
    lines = (tmp_path / "vocabulary.txt").read_text().split("\n")
    assert (lines[0], lines[4]) == ("lower_case true", "a\\nb")


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


def test_a_vocabulary_of_an_earlier_version_is_read_with_a_warning(tmp_path):
    vocabulary = saved(tmp_path)
    (tmp_path / "tokenizer.json").unlink()
    with pytest.warns(DataWarning, match=r"vocabulary.txt: no tokenizer.json beside it; .* by an earlier version"):
        loaded = Vocabulary.load(tmp_path / "vocabulary.txt")
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


def test_more_words_stand_behind_the_known_ones():
    vocabulary = Vocabulary.build(["a good film"], lower_case=False)
    extended = vocabulary.extended(["noir", "film", "Rome"])
    assert extended.words == [*vocabulary.words, "noir", "Rome"]
    assert (extended.lower_case, extended.alphabet) == (False, vocabulary.alphabet)
    assert len(vocabulary) == 6


@given(st.integers(1, 8), st.integers(1, 8), st.integers(1, 20), st.sampled_from(["head", "tail", "both"]))
def test_of_a_pair_a_token_of_the_longer_text_goes_until_it_fits(first, second, size, end):
    texts = [*range(10, 10 + first)], [*range(30, 30 + second)]
    sizes = [first, second]
    while sum(sizes) + 1 > size:
        sizes[sizes[1] >= sizes[0]] -= 1
    kept = [truncate(text, n, end) for text, n in zip(texts, sizes, strict=True)]
    assert truncate_pair([*texts[0], SEP, *texts[1]], size, end) == [*kept[0], SEP, *kept[1]]
