"""The official evaluation of SQuAD 2.0, and where it is not that of 1.1.

`published` and `published_1` are what the two published scripts do for one answer, line by line.
"""

import re
import string
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphmtl.metrics.texts import exact_match, normalised, token_f1
from tests.metrics.answers import texts


def normalize_answer(s):
    s = "".join(ch for ch in s.lower() if ch not in set(string.punctuation))
    s = re.sub(re.compile(r"\b(a|an|the)\b", re.UNICODE), " ", s)
    return " ".join(s.split())


def compute_f1(a_gold, a_pred):
    gold_toks, pred_toks = normalize_answer(a_gold).split(), normalize_answer(a_pred).split()
    common = Counter(gold_toks) & Counter(pred_toks)
    num_same = sum(common.values())
    if len(gold_toks) == 0 or len(pred_toks) == 0:
        return int(gold_toks == pred_toks)
    if num_same == 0:
        return 0
    precision, recall = 1.0 * num_same / len(pred_toks), 1.0 * num_same / len(gold_toks)
    return (2 * precision * recall) / (precision + recall)


def published(accepted, given):
    """Exact match and F1 of version 2.0."""
    gold_answers = [a for a in accepted if normalize_answer(a)] or [""]
    exact = max(int(normalize_answer(a) == normalize_answer(given)) for a in gold_answers)
    return exact, max(compute_f1(a, given) for a in gold_answers)


def compute_f1_of_1(prediction, ground_truth):
    prediction_tokens, ground_truth_tokens = (normalize_answer(s).split() for s in (prediction, ground_truth))
    common = Counter(prediction_tokens) & Counter(ground_truth_tokens)
    num_same = sum(common.values())
    if num_same == 0:
        return 0
    precision, recall = 1.0 * num_same / len(prediction_tokens), 1.0 * num_same / len(ground_truth_tokens)
    return (2 * precision * recall) / (precision + recall)


def published_1(accepted, given):
    """Exact match and F1 of version 1.1."""
    exact = max(int(normalize_answer(a) == normalize_answer(given)) for a in accepted)
    return exact, max(compute_f1_of_1(given, a) for a in accepted)


@pytest.mark.parametrize(
    ("accepted", "given", "exact", "f1"),
    [
        (["Denver Broncos"], "The Denver Broncos!", 1, 1),
        (["Denver Broncos"], "Broncos", 0, 2 / 3),
        (["Denver Broncos", "the Broncos"], "Broncos", 1, 1),  # the best of the accepted ones
        (["the the cat"], "cat cat", 0, 2 / 3),  # a token counts as often as both have it
        (["1,000"], "1000", 1, 1),
        (["co-operation"], "co operation", 0, 0),
        (["an apple a day"], "Apple  day", 1, 1),
        (["theatre"], "atre", 0, 0),  # an article is a word
        (["Zürich"], "zürich", 1, 1),
        ([], "", 1, 1),  # no answer is right
        ([], "the", 1, 1),  # which nothing is left of
        ([], "Paris", 0, 0),
        (["Paris"], "", 0, 0),
        (["the", "Paris"], "", 0, 0),  # what normalises to nothing is not accepted
        (["the"], "", 1, 1),
    ],
)
def test_one_answer_by_hand(accepted, given, exact, f1):
    found = texts([accepted], [given])
    assert (exact_match(found), token_f1(found)) == (exact, pytest.approx(f1))
    assert published(accepted, given) == (exact, pytest.approx(f1))


words = st.sampled_from(["a", "An", "the", "cat", "Cat.", "sat", "on", "mat", "-", "it's"])
some_text = st.lists(words, max_size=5).map(" ".join)


@given(st.lists(st.tuples(st.lists(some_text, max_size=3), some_text), min_size=1, max_size=5))
def test_the_mean_is_that_of_the_published_script(examples):
    accepted, given = (list(column) for column in zip(*examples, strict=True))
    exact, f1 = zip(*map(published, accepted, given), strict=True)
    found = texts(accepted, given)
    assert exact_match(found) == pytest.approx(sum(exact) / len(exact))
    assert token_f1(found) == pytest.approx(sum(f1) / len(f1))


@given(st.lists(some_text.filter(normalize_answer), min_size=1, max_size=3), some_text)
def test_version_1_has_the_same_where_every_accepted_text_says_something(accepted, given):
    found = texts([accepted], [given])
    assert (exact_match(found), token_f1(found)) == pytest.approx(published_1(accepted, given))


@given(st.lists(some_text, min_size=1, max_size=5))
def test_right_answers_are_the_best(given):
    found = texts([[text] for text in given], given)
    assert (exact_match(found), token_f1(found)) == (1, 1)


@given(st.text())
def test_normalised_as_the_script(text):
    assert normalised(text) == normalize_answer(text).split()
