from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphmtl.metrics.classes import SCORES, accuracy
from graphmtl.metrics.span_scores import of_all_types, of_each_type, of_type, types_of
from tests.metrics.answers import tags

# conlleval, line by line in Python: the rules that its chunk boundaries come from (Tjong Kim Sang and Buchholz 2000)


def split_tag(tag):
    prefix, _, kind = tag.partition("-")
    return prefix, kind


def ends(before, before_kind, tag, kind):
    pairs = {("B", "B"), ("B", "O"), ("I", "B"), ("I", "O")}
    return (before, tag) in pairs or (before != "O" and before_kind != kind)


def begins(before, before_kind, tag, kind):
    pairs = {("B", "B"), ("I", "B"), ("O", "B"), ("O", "I")}
    return (before, tag) in pairs or (tag != "O" and before_kind != kind)


def conlleval(predicted, right):
    """Counts of right, predicted and correctly predicted chunks of each type."""
    counts = {"right": Counter(), "found": Counter(), "correct": Counter()}
    lines = [
        pair for sentence in zip(predicted, right, strict=True) for pair in [*zip(*sentence, strict=True), ("O", "O")]
    ]
    (guessed, guessed_kind), (correct, correct_kind) = ("O", ""), ("O", "")
    in_correct = False
    for guess_tag, right_tag in lines:
        (guess, guess_kind), (gold, gold_kind) = split_tag(guess_tag), split_tag(right_tag)
        if in_correct:
            guess_ends, gold_ends = (
                ends(guessed, guessed_kind, guess, guess_kind),
                ends(correct, correct_kind, gold, gold_kind),
            )
            if guess_ends and gold_ends and guessed_kind == correct_kind:
                in_correct = False
                counts["correct"][correct_kind] += 1
            elif guess_ends != gold_ends or guess_kind != gold_kind:
                in_correct = False
        guess_begins, gold_begins = (
            begins(guessed, guessed_kind, guess, guess_kind),
            begins(correct, correct_kind, gold, gold_kind),
        )
        if guess_begins and gold_begins and guess_kind == gold_kind:
            in_correct = True
        counts["found"][guess_kind] += guess_begins
        counts["right"][gold_kind] += gold_begins
        guessed, guessed_kind, correct, correct_kind = guess, guess_kind, gold, gold_kind
    return counts


def prf(correct, found, right):
    precision, recall = correct / found if found else 0.0, correct / right if right else 0.0
    return precision, recall, 2 * precision * recall / (precision + recall) if precision + recall else 0.0


TAGS = ("O", "B-A", "I-A", "B-B", "I-B")


def all_types(found) -> tuple[float, ...]:
    return tuple(of_all_types(score)(found) for score in SCORES)


@pytest.mark.parametrize(
    ("predicted", "right", "counts"),
    [
        ("B-A B-A", "B-A B-A", (2, 2, 2)),  # adjacent spans
        ("B-A I-A", "B-A B-A", (0, 1, 2)),
        ("B-A B-A", "B-A I-A", (0, 2, 1)),
        ("O I-A I-A", "O B-A I-A", (1, 1, 1)),  # I after O
        ("I-A O", "B-A O", (1, 1, 1)),
        ("B-A I-B", "B-A B-B", (2, 2, 2)),  # type change inside a span
        ("B-A I-B I-A", "B-A I-A I-A", (0, 3, 1)),
        ("B-A I-B", "B-A I-A", (0, 2, 1)),
        ("O O", "B-A I-A", (0, 0, 1)),
        ("B-A I-A", "O O", (0, 1, 0)),
        ("O O", "O O", (0, 0, 0)),
    ],
)
def test_scores_of_edge_cases_are_conllevals(predicted, right, counts):
    reference = conlleval([predicted.split()], [right.split()])
    assert tuple(reference[key].total() for key in ("correct", "found", "right")) == counts
    found = tags([right], [predicted], TAGS, spans=True)
    assert all_types(found) == pytest.approx(prf(*counts))
    same = [a == b for a, b in zip(predicted.split(), right.split(), strict=True)]
    assert accuracy(found) == pytest.approx(sum(same) / len(same))


one = st.sampled_from(TAGS)
two_taggings = st.lists(st.lists(st.tuples(one, one), max_size=8), min_size=1, max_size=5)


@given(two_taggings)
def test_scores_are_conllevals_over_all_and_of_each_type(pairs):
    predicted, right = ([[pair[side] for pair in sentence] for sentence in pairs] for side in (0, 1))
    counts = conlleval(predicted, right)
    found = tags([" ".join(tags) for tags in right], [" ".join(tags) for tags in predicted], TAGS, spans=True)
    assert all_types(found) == pytest.approx(prf(*(counts[key].total() for key in ("correct", "found", "right"))))
    by_type = of_each_type(found)
    assert list(by_type) == sorted({kind for key in ("found", "right") for kind, n in counts[key].items() if n})
    for kind in ("A", "B"):
        expected = prf(*(counts[key][kind] for key in ("correct", "found", "right")))
        assert tuple(of_type(score, kind)(found) for score in SCORES) == pytest.approx(expected)
        assert by_type.get(kind, (*expected, 0)) == pytest.approx((*expected, counts["right"][kind]))


def test_scores_are_those_of_the_answers_that_were_asked_about():
    """Not of those before."""
    right = ["B-A I-A O"]
    for answer, expected in (("B-A I-A O", 1), ("B-A O O", 0), ("B-A I-A O", 1)):
        assert all_types(tags(right, [answer], TAGS, spans=True)) == (expected,) * 3


def test_right_spans_are_the_best_and_order_does_not_matter():
    right = ["B-A I-A B-B", "O O", "B-A"]
    assert all_types(tags(right, right, TAGS, spans=True)) == (1, 1, 1)
    given = ["B-A O B-B", "B-B O", "B-A"]
    expected = all_types(tags(right, given, TAGS, spans=True))
    assert all_types(tags(right[::-1], given[::-1], TAGS, spans=True)) == expected
    other = {"A": "B", "B": "A"}  # types change places
    renamed = [
        [" ".join(t[:-1] + other.get(t[-1], t[-1]) for t in text.split()) for text in side] for side in (right, given)
    ]
    assert all_types(tags(*renamed, TAGS, spans=True)) == expected


def test_types_are_those_of_the_tags():
    assert types_of(TAGS) == ["A", "B"]
    assert types_of(("O", "B-a-b", "I-a-b")) == ["a-b"]
