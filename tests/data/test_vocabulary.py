import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphmtl.data.vocabulary import (
    SEP,
    UNK,
    Vocabulary,
    tokenize,
)
from graphmtl.errors import InputError

# pieces that the tokenizer's rules look at, so that random texts meet every rule
# fmt: off
PIECES = st.sampled_from([
    "don't", "it's", "'s", "n't", "''", "``", '"', "'", "...", "..", ".", ",", "!", "?", "(", "[", "-lrb-", "--", "-",
    "i", "a", "u.s.", "mr.", "etc.", "1,000", "2.50", "$", "%", "*", "great", "C++", "’", "“", "é", "…", "<unk>", ":)",
    "_", "&", "#", "@", "=", "/", " ", "\x85",
])
# fmt: on


@given(st.lists(PIECES).map("".join) | st.text())
def test_tokenizing_tokens_changes_nothing(text):
    tokens = tokenize(text)
    assert tokenize(" ".join(tokens)) == tokens


@given(st.lists(PIECES).map("".join) | st.text())
def test_tokens_hold_all_letters_and_no_white_space(text):
    tokens = tokenize(text)
    assert all(token and token.split() == [token] for token in tokens)
    straight = text.translate(str.maketrans({"’": "'", "‘": "'", "“": "``", "”": "''", "…": "..."}))
    assert "".join(tokens) == "".join(straight.split())


@pytest.mark.parametrize(
    ("raw", "tokens"),
    [
        ("I don't, can't and won't.", "I do n't , ca n't and wo n't ."),
        ("It's Tom’s “best” film!", "It 's Tom 's `` best '' film !"),
        ("(e-mail me: a@b.com, or visit amazon.com)", "( e-mail me : a@b.com , or visit amazon.com )"),
        ("Mr. Smith paid $1,000.50 -- 50% off...", "Mr. Smith paid $ 1,000.50 -- 50 % off ..."),
        ("good,but the U.S. one is 10/10!!!", "good , but the U.S. one is 10/10 ! ! !"),
        ("loved it.The end", "loved it.The end"),
        (".the boys' *own* club-", ". the boys ' * own * club -"),
        ("so do i.", "so do i ."),
    ],
)
def test_raw_text_is_split_as_in_the_treebank(raw, tokens):
    assert tokenize(raw) == tokens.split()


def test_a_long_piece_without_white_space():
    assert tokenize("!" * 3000) == ["!"] * 3000
    assert tokenize("no!" * 1000) == ["no", "!"] * 1000


@pytest.mark.parametrize(
    "text",
    [
        "i do n't think it 's `` good '' , -lrb- really -rrb- ...",
        "the 1/2 hour show -- e.g. , mr. t in the u.s. -- cost $ 2.50 ; rock 'n roll , 'em all !",
    ],
)
def test_tokenized_text_stays(text):
    assert tokenize(text) == text.split()


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


def test_a_missing_vocabulary(tmp_path):
    with pytest.raises(InputError, match=r"vocabulary.txt: cannot read"):
        Vocabulary.load(tmp_path / "vocabulary.txt")


def test_more_words_stand_behind_the_known_ones():
    vocabulary = Vocabulary.build(["a good film"], lower_case=False)
    extended = vocabulary.extended(["noir", "film", "Rome"])
    assert extended.words == [*vocabulary.words, "noir", "Rome"]
    assert (extended.lower_case, extended.alphabet) == (False, vocabulary.alphabet)
    assert len(vocabulary) == 6
