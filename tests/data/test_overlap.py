import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphmtl.data.overlap import Overlap, SplitKeys, clean, normalise, seen_in

KEYS = st.lists(st.sampled_from("abcdef") | st.just(""), max_size=6)
SPLITS = st.dictionaries(
    st.sampled_from(["one", "two", "three"]), st.builds(SplitKeys, train=KEYS, valid=KEYS, test=KEYS), min_size=1
)


def keys(train="", valid="", test=""):
    return SplitKeys(train=list(train), valid=list(valid), test=list(test))


SPACES = " \t\n\u00a0\u2028\u3000\x1c"


def test_case_and_white_space_do_not_count():
    assert normalise(" It 's  GREAT\t! ") == normalise("it 's great !") == "it 's great !"
    assert normalise("C\u0327a et la\u0300") == normalise("ÇA ET LÀ") == "ça et là"
    assert normalise("STRASSE") == normalise("straße")
    assert normalise(" \t\u2003\n") == ""


# fmt: off
DIFFERENT = [
    ("love it 😀", "love it 😡"), ("-3 degrees", "3 degrees"), ("2.5 kg", "25 kg"), ("=) fine", "=( fine"),
    ("F++", "F#"), ("no where", "nowhere"), ("राम दिन", "राम दीन"), ("ดี", "ดู"), ("it's", "its"), ("!", "?"),
    ("a", "á"), ("x²", "x2"), ("❤", "❤️"), ("good film", "good film !"),
]
# fmt: on


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_all_else_counts(one, other):
    assert normalise(one) != normalise(other)


@given(st.text(), st.text(SPACES, min_size=1))
def test_how_much_white_space_there_is_never_counts(text, spaces):
    words = text.split()
    assert normalise(spaces.join(["", *words, ""])) == normalise(" ".join(words)) == normalise(text)


@given(st.text(st.characters() | st.sampled_from("Åéσςßİǰ\u0301\u0323\u0345\u0327")))
def test_the_key_of_a_key_is_itself(text):
    key = normalise(text)
    assert normalise(key) == key
    for form in ("NFC", "NFD"):
        assert normalise(unicodedata.normalize(form, text)) == key


def test_a_pair_is_its_two_texts_in_order():
    assert normalise("A  b", "c") == normalise("a b", "C")
    assert normalise("a b", "c") != normalise("a", "b c")
    assert normalise("a", "b") != normalise("b", "a")
    assert normalise("a", "b") != normalise("a b")
    assert normalise("a", "") != normalise("", "a") != normalise("")
    assert normalise(" ", "\t") == ""


def test_counts_of_one_task():
    result = clean({"one": keys(train="aabc", valid="cd", test="adex")})["one"]
    assert result.overlap == Overlap(
        test_in_own=2, test_in_others=0, repeated=2, dropped=0, test_seen=1, valid_seen=1, empty=0
    )
    assert result.keep.all()
    np.testing.assert_array_equal(result.valid_seen, [True, False])  # c
    np.testing.assert_array_equal(result.test_seen, [True, False, False, False])  # a; d is in valid only


def test_training_examples_in_anothers_held_out_splits_are_dropped():
    splits = {"one": keys(train="abcd", test="x"), "two": keys(train="xyz", valid="a", test="bq")}
    result = clean(splits)
    np.testing.assert_array_equal(result["one"].keep, [False, False, True, True])
    np.testing.assert_array_equal(result["two"].keep, [False, True, True])
    assert (result["one"].overlap.dropped, result["two"].overlap.dropped) == (2, 1)
    assert (result["one"].overlap.test_in_others, result["two"].overlap.test_in_others) == (1, 1)
    assert not result["two"].test_seen.any()


def test_what_another_task_validates_on_and_what_is_dropped_count_as_they_were_read():
    result = clean({"one": keys(train="ab", test="a"), "two": keys(train="x", valid="a")})
    assert (result["one"].overlap.dropped, result["one"].overlap.test_in_own) == (1, 1)
    result = clean({"one": keys(train="b", test="a"), "two": keys(train="x", valid="a")})
    assert (result["one"].overlap.test_in_own, result["one"].overlap.test_in_others) == (0, 1)


def test_kept_overlap_makes_the_held_out_texts_seen():
    splits = {"one": keys(train="abcd", test="x"), "two": keys(train="xyz", valid="a", test="bq")}
    result = clean(splits, keep_overlap=True)
    assert all(each.keep.all() and each.overlap.dropped == 0 for each in result.values())
    np.testing.assert_array_equal(result["two"].test_seen, [True, False])
    np.testing.assert_array_equal(result["two"].valid_seen, [True])


def test_a_task_alone_is_not_cleaned_of_its_own_test_texts():
    result = clean({"one": keys(train="ab", test="a")})["one"]
    assert result.keep.all()
    assert result.overlap.test_seen == 1


def test_texts_without_letters_equal_no_other():
    result = clean({"one": SplitKeys(train=["", ""], valid=[""], test=[""]), "two": keys(train="a", test="b")})
    assert result["one"].keep.all()
    assert not result["one"].test_seen.any()
    assert result["one"].overlap.repeated == result["one"].overlap.test_in_own == 0


@given(SPLITS, st.booleans())
def test_seen_says_exactly_whether_a_used_training_split_holds_the_text(splits, keep_overlap):
    result = clean(splits, keep_overlap=keep_overlap)
    used = {
        name: [key for key, kept in zip(splits[name].train, result[name].keep, strict=True) if kept] for name in splits
    }
    training = {key for each in used.values() for key in each if key}
    for name, each in splits.items():
        assert result[name].test_seen.tolist() == [key in training for key in each.test]
        assert result[name].valid_seen.tolist() == [key in training for key in each.valid]
        others = {key for other in splits if other != name for key in (*splits[other].valid, *splits[other].test)}
        assert keep_overlap or not others & set(used[name]) - {""}


@given(SPLITS)
def test_the_order_of_the_tasks_does_not_matter(splits):
    forward, backward = clean(splits), clean(dict(reversed(splits.items())))
    assert {name: each.overlap for name, each in forward.items()} == {
        name: each.overlap for name, each in backward.items()
    }


@pytest.mark.parametrize(("key", "seen"), [("a", True), ("b", False), ("", False)])
def test_seen_in(key, seen):
    assert seen_in({"a", ""}, [key]).tolist() == [seen]
