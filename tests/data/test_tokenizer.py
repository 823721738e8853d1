import json
import time
import unicodedata

import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import models, normalizers, pre_tokenizers, trainers

from graphmtl.data.tokenizer import KINDS, Tokenizer, tokenize
from graphmtl.errors import InputError

# what the rules look at, so that random texts meet every rule
# fmt: off
PIECES = st.sampled_from([
    "don't", "it's", "'s", "n't", "'ll", "''", "``", '"', "'", "...", "..", ".", ",", "!", "?", "(", "[", "-lrb-", "--",
    "-", "i", "a", "n", "u.s.", "mr.", "etc.", "1,000", "2.50", "7", "$", "%", "*", "great", "C++", "C#", "+", "’", "“",
    "”", "é", "e\u0301", "…", "<unk>", ":)", ";-d", "_", "&", "#", "@", "=", "~", "/", " ", "\x85", "\u200b", "\u200d",
    "\u00ad", "http://", "हि", "क्ष", "்", "ช้", "好", "，", "カー", "か\u3099", "ー", "한", "ᄀ", "ᅡ", "İ", "ﬁ", "😀",
    "👍🏽", "🇩", "🇪", "\ufe0f", "\u20e3", "א", "ΟΣ ", "\u0600", "𝒳", "½", "٣",
])
# fmt: on
TEXTS = st.lists(PIECES).map("".join) | st.text(st.characters(exclude_categories=["Cs"]))


def is_space(character):
    return character.isspace() or character == "\u200b"


def words(text):
    return Tokenizer("words").tokens(text)


@given(TEXTS)
def test_tokenizing_tokens_changes_nothing(text):
    tokens = tokenize(text)
    assert tokenize(" ".join(tokens)) == tokens
    written = Tokenizer("words", lower_case=False).tokens(text)
    assert words(" ".join(written)) == written


@pytest.mark.parametrize("kind", KINDS)
@given(TEXTS | st.text())
def test_tokens_are_the_text_but_for_white_space(kind, text):
    tokenizer = Tokenizer(kind)
    spans = tokenizer.spans(text)
    places = [i for start, end in spans for i in range(start, end)]
    assert places == sorted({*places})  # in order, and none twice
    left_out = {*range(len(text))} - {*places}
    assert all(is_space(text[i]) for i in left_out)
    assert all(start < end for start, end in spans)
    assert tokenizer.tokens(text) == [text[start:end] for start, end in spans]
    if kind == "spaces":
        assert tokenizer.tokens(text) == text.split()


@pytest.mark.parametrize("kind", KINDS)
@given(TEXTS)
def test_the_form_of_a_token_is_that_of_the_token_alone(kind, text):
    tokenizer = Tokenizer(kind)
    (forms,) = tokenizer.forms([text])
    if forms:
        assert forms == [*map(tokenizer.normalise, tokenizer.tokens(text))]
        assert all(tokenizer.normalise(form) == form for form in forms)


@given(TEXTS)
def test_equivalent_texts_have_the_same_forms(text):
    composed, decomposed = (unicodedata.normalize(form, text) for form in ("NFC", "NFD"))
    assert next(Tokenizer().forms([composed])) == next(Tokenizer().forms([decomposed]))


@given(TEXTS)
def test_case_moves_no_token(text):
    assert Tokenizer().spans(text) == Tokenizer(lower_case=False).spans(text)


# fmt: off
RAW = [
    ("I don't, can't and won't.", "I do n't , ca n't and wo n't ."),
    ("It's Tom's ``best'' film!", "It 's Tom 's `` best '' film !"),
    ("It’s Tom’s “best” film…", "It ’s Tom ’s “ best ” film …"),
    ("(e-mail me: a@b.com, or visit amazon.com)", "( e-mail me : a@b.com , or visit amazon.com )"),
    ("Mr. Smith paid $1,000.50 -- 50% off...", "Mr. Smith paid $ 1,000.50 -- 50 % off ..."),
    ("good,but the U.S. one is 10/10!!!", "good , but the U.S. one is 10/10 ! ! !"),
    ("loved it.The end", "loved it.The end"),
    (".the boys' *own* club-", ". the boys ' * own * club -"),
    ("so do i.", "so do i ."),
    ("you'd've, they can't've", "you 'd 've , they ca n't 've"),
    ("C++, C# and C at -5 or .5 (+3)", "C++ , C# and C at -5 or .5 ( +3 )"),
    ("fine:) or :( ;-)", "fine :) or :( ;-)"),
    ("see https://a.org/b?c=d, ok?", "see https://a.org/b?c=d , ok ?"),
    ("good—but «dear»", "good — but « dear »"),
    ("वह घर में है।", "वह घर में है ।"),
    ("நான் வீட்டில் இருக்கிறேன்.", "நான் வீட்டில் இருக்கிறேன் ."),
    ("بَيْتٌ كَبِيرٌ، نعم؟", "بَيْتٌ كَبِيرٌ ، نعم ؟"),
    ("می\u200cروم خانه", "می\u200cروم خانه"),
    ("צה\"ל ו\"שלום\"", "צה\"ל ו\"שלום \""),
    ("cafe\u0301 naïve", "cafe\u0301 naïve"),
    ("집에 갑니다.", "집에 갑니다 ."),
    ("我很喜欢，ABC店！", "我 很 喜 欢 ， ABC 店 ！"),
    ("私はコーヒーを飲む。", "私 は コーヒー を 飲 む 。"),
    ("กินข้าว", "กิ น ข้ า ว"),
    ("❤️👍🏽👨‍👩‍👧🇩🇪🇫🇷 1️⃣", "❤️ 👍🏽 👨‍👩‍👧 🇩🇪 🇫🇷 1️⃣"),
    ("\ufeffgood so\u00adft", "\ufeff good so\u00adft"),
]
# fmt: on


@pytest.mark.parametrize(("raw", "tokens"), RAW)
def test_words(raw, tokens):
    assert words(raw) == tokens.split(" ")


@pytest.mark.parametrize(
    ("raw", "tokens"),
    [
        ("no é 好!", ["n", "o", "é", "好", "!"]),
        ("e\u0301 हिन्दी", ["e\u0301", "हि", "न्दी"]),
        ("🇩🇪🇫🇷👍🏽", ["🇩🇪", "🇫🇷", "👍🏽"]),
        (" \u0301", ["\u0301"]),
    ],
)
def test_characters(raw, tokens):
    assert Tokenizer("characters").tokens(raw) == tokens


def test_offsets_count_characters_of_the_text_as_it_is_written():
    text = "e\u0301t\u0065\u0301 İs 𝒳! “ﬁn”"
    spans = [(0, 5), (6, 8), (9, 10), (10, 11), (12, 13), (13, 15), (15, 16)]
    assert Tokenizer().spans(text) == spans
    assert next(Tokenizer().forms([text])) == ["été", "i̇s", "𝒳", "!", "``", "ﬁn", "''"]


def test_the_looked_up_form_keeps_case_on_request():
    assert tokenize("“Don’t” ΟΔΟΣ…") == ["``", "Do", "n't", "''", "ΟΔΟΣ", "..."]
    assert next(Tokenizer().forms(["ΟΔΟΣ Σ"])) == ["οδος", "σ"]
    assert next(Tokenizer("spaces").forms(["“Don’t” ΟΔΟΣ"])) == ["“don’t”", "οδος"]


@pytest.mark.parametrize("kind", ["words", "characters"])
@pytest.mark.parametrize("nothing", ["\u200b", "\u200b\u200b", "\ufeff", "\x00\x07", "\ud800", "\u0301"])
def test_what_is_nothing_does_not_make_a_text_empty(kind, nothing):
    assert "".join(Tokenizer(kind).tokens(nothing)) == nothing


@pytest.mark.parametrize("kind", KINDS)
def test_blank_texts_have_no_token(kind):
    for blank in ("", " \t\n\x1c\u2003"):
        assert Tokenizer(kind).tokens(blank) == []
        assert Tokenizer(kind).split(blank) == ["<unk>"]


# fmt: off
UNITS = [
    "a", "!", "7", "a.", "7,", "-----x", "n't", "n't's", "'", "-", "+", "c++", "好", "ช้", "カ", "🇩", "क्", "👨\u200d",
    "e\u0301", 'א"', '{"k":7,', "mr.", "http://!", "a-b's", ":)", "x@", "\u200d",
]
# fmt: on


@pytest.mark.parametrize("kind", ["words", "characters"])
@pytest.mark.parametrize("unit", UNITS)
def test_a_long_line_without_spaces_takes_linear_time(kind, unit):
    """The rules that are tried at one place after the other took minutes for such a line, and hours for this one."""
    text = (unit * (300_000 // len(unit) + 1) + "z")[-300_000:]
    start = time.process_time()
    tokenizer = Tokenizer(kind)
    assert "".join(tokenizer.tokens(text)) == text
    assert time.process_time() - start < 30  # on a quiet machine 1 at most


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


def pieces(tmp_path, model, trainer, **parts):
    tokenizer = tokenizers.Tokenizer(model)
    for name, part in parts.items():
        setattr(tokenizer, name, part)
    tokenizer.train_from_iterator(["lower lowest newer newest wider"] * 3, trainer)
    tokenizer.enable_truncation(2)
    tokenizer.enable_padding()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    return Tokenizer(str(tmp_path / "tokenizer.json"))


def test_a_file_of_pieces(tmp_path):
    trainer = trainers.BpeTrainer(vocab_size=80, show_progress=False, special_tokens=["[UNK]"])
    space = pre_tokenizers.Metaspace()
    tokenizer = pieces(tmp_path, models.BPE(unk_token="[UNK]"), trainer, pre_tokenizer=space)
    assert tokenizer.has_pieces
    assert "".join(tokenizer.tokens("lowest newer lower")) == "lowestnewerlower"
    (forms,) = tokenizer.forms(["lower ü"])
    assert forms[0].startswith("▁")
    assert "<unk>" in forms
    assert not tokenizer.lower_case


def test_of_a_file_of_words_the_rules_are_taken(tmp_path):
    trainer = trainers.WordLevelTrainer(show_progress=False, special_tokens=["[UNK]"])
    parts = {"pre_tokenizer": pre_tokenizers.CharDelimiterSplit("|"), "normalizer": normalizers.Lowercase()}
    tokenizer = pieces(tmp_path, models.WordLevel(unk_token="[UNK]"), trainer, **parts)
    assert tokenizer.tokens("New words|Of a text|and more") == ["New words", "Of a text", "and more"]
    assert next(tokenizer.forms(["New words|X"])) == ["new words", "x"]
    assert (tokenizer.has_pieces, tokenizer.lower_case) == (False, True)


@pytest.mark.parametrize("kind", KINDS)
@given(text=TEXTS)
def test_saved_rules_are_the_same_rules(kind, text, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / f"{kind}.json"
    tokenizer = Tokenizer(kind)
    if not path.exists():
        path.write_text(tokenizer.encoder(["<pad>", "<unk>", "<sep>"]).to_str())
    loaded = Tokenizer(str(path))
    assert loaded == tokenizer
    assert loaded.spans(text) == tokenizer.spans(text)


def test_tokenizers_that_differ():
    assert Tokenizer("words") != Tokenizer("characters")
    assert Tokenizer("words") != Tokenizer("words", lower_case=False)
    assert str(Tokenizer("spaces", lower_case=False)) == "Tokenizer('spaces', lower_case=False)"


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", json.dumps({"model": {"type": "?"}}).encode()])
def test_a_damaged_file(tmp_path, content):
    path = tmp_path / "tokenizer.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"tokenizer\.json: no tokenizer\.json that the library tokenizers") as error:
        Tokenizer(str(path))
    assert "\n" not in str(error.value)


def test_no_such_tokenizer(tmp_path):
    with pytest.raises(InputError, match=r"--tokenizer .*x\.json: no such file"):
        Tokenizer(str(tmp_path / "x.json"))
    with pytest.raises(InputError, match=r"unknown tokenizer 'word'; did you mean 'words'\? \(known: words, "):
        Tokenizer("word")
