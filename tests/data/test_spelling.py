import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from graphmtl.data.spelling import Alphabet, WordForms, shape
from graphmtl.errors import InputError

ALPHABET = Alphabet.build(["Ada", "Böll", "Ada", "böll", "ad", "ad"])
words = st.text(st.characters(exclude_categories=["Cs", "Zs", "Cc"]), min_size=1, max_size=40)


@given(words)
def test_a_shape_is_short_and_does_not_change_when_runs_grow(word):
    assert len(shape(word)) <= 8
    assert shape(word[0] * 3) == shape(word[0] * 9)
    assert set(shape(word)) <= set("Xxd-")


@pytest.mark.parametrize(
    ("word", "expected"), [("ÉCOLE", "XX"), ("école", "xx"), ("北京", "xx"), ("３", "d"), ("!", "-")]
)
def test_shapes_of_other_alphabets(word, expected):
    assert shape(word) == expected


def test_what_occurs_once_is_unknown():
    assert ALPHABET.letters("Adz") == [ALPHABET.letters("A")[0], ALPHABET.letters("d")[0], 1]
    assert "B" not in ALPHABET.characters
    assert ALPHABET.shape("Eva") == ALPHABET.shape("Ada") > 1
    assert ALPHABET.shape("42") == 1
    assert ALPHABET.letters("") == [1]


def test_of_a_long_word_the_ends_are_read():
    alphabet = Alphabet("abcd", [])
    assert alphabet.letters("a" * 15 + "b" * 15) == alphabet.letters("a" * 10 + "b" * 10)


def test_saving_and_loading(tmp_path):
    ALPHABET.save(tmp_path / "characters.json")
    loaded = Alphabet.load(tmp_path / "characters.json")
    assert (loaded.characters, loaded.shapes) == (ALPHABET.characters, ALPHABET.shapes)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"characters": []}', '{"characters": 1, "shapes": []}'])
def test_a_damaged_file(content, tmp_path):
    (tmp_path / "characters.json").write_text(content)
    with pytest.raises(
        InputError, match=r"characters\.json(, line 1: not JSON|: an object|: characters: found|: shapes: found None)"
    ):
        Alphabet.load(tmp_path / "characters.json")


@given(st.lists(st.lists(words, min_size=1, max_size=4), min_size=1, max_size=3))
def test_forms_are_what_the_alphabet_says_of_each_word(texts):
    forms = WordForms(ALPHABET, lambda word: len(word) + 3)
    ids = np.zeros((len(texts), max(map(len, texts))), dtype=np.int64)
    for row, text in zip(ids, texts, strict=True):
        row[: len(text)] = forms.encode(text)
    spelling = forms.spelling(ids)
    for row, text in enumerate(texts):
        for column, word in enumerate(text):
            assert forms.indices(ids)[row, column] == len(word) + 3
            form = spelling.forms[row, column]
            letters = ALPHABET.letters(word)
            assert spelling.letters[form, : len(letters)].tolist() == letters
            assert spelling.lengths[form] == len(letters)
            assert spelling.shapes[form] == ALPHABET.shape(word)
        assert not forms.indices(ids)[row, len(text) :].any()
    assert len(spelling.shapes) == len(np.unique(ids))


def test_forms_that_come_later_are_there_too():
    forms = WordForms(ALPHABET, lambda word: 3)
    first = np.array([forms.encode(["Ada"])])
    forms.spelling(first)
    later = np.array([forms.encode(["Ada", "ad"])])
    assert forms.spelling(later).shapes.tolist() == [ALPHABET.shape("Ada"), ALPHABET.shape("ad")]
    assert forms.spelling(later).to("cpu").forms.dtype == torch.int64
