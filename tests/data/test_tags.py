import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphmtl.data.tags import (
    SCHEMES,
    are_spans,
    check,
    in_doubt,
    is_iob2,
    recognise,
    respelled,
    sort_tags,
    spans,
    to_iob2,
)

LETTERS = {"bioes": "BIES", "bilou": "BILU", "bmes": "BMES"}  # first, middle, last, single
PREFIXES = ["B", "I", "E", "S", "L", "U", "M"]
TYPES = ["PER", "LOC", "creative-work"]


@st.composite
def sentences(draw):
    """A length and spans that do not overlap, some of them touching."""
    found, length = [], 0
    for gap, size, kind in draw(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 4), st.sampled_from(TYPES)))):
        found.append((kind, length + gap, length + gap + size - 1))
        length += gap + size
    return length + draw(st.integers(0, 2)), found


def write(length, found, scheme):
    """The tags of spans in any scheme, by its definition."""
    tags = ["O"] * length
    before = None
    for kind, first, last in found:
        for i in range(first, last + 1):
            tags[i] = f"{_letter(scheme, i - first, last - i, before == (kind, first - 1))}-{kind}"
        before = (kind, last)
    return tags


def _letter(scheme, behind, ahead, touches):
    if scheme == "iob2":
        return "I" if behind else "B"
    if scheme == "iob1":
        return "B" if touches and not behind else "I"
    first, middle, last, single = LETTERS[scheme]
    if not behind:
        return first if ahead else single
    return middle if ahead else last


@given(sentences(), st.sampled_from(sorted(SCHEMES)))
def test_every_scheme_reads_back_and_becomes_the_same_iob2(sentence, scheme):
    length, found = sentence
    tags = write(length, found, scheme)
    assert spans(tags) == found
    assert to_iob2(tags) == write(length, found, "iob2")


@given(st.lists(sentences(), min_size=1), st.sampled_from(sorted(SCHEMES)))
def test_a_corpus_is_recognised_as_far_as_its_tags_tell(corpus, scheme):
    tags = [write(length, found, scheme) for length, found in corpus]
    recognised = recognise(tags)
    assert all(check(tag, recognised) is None for each in tags for tag in each)
    used = {tag[0] for each in tags for tag in each} - {"O"}
    if used == set(SCHEMES[scheme]) and scheme in LETTERS:
        assert recognised == scheme
    if scheme == "iob1" and "I" in used:
        assert recognised == "iob1"


@given(
    st.lists(
        st.one_of(
            st.sampled_from(["O", "_"]), st.builds("{}-{}".format, st.sampled_from(PREFIXES), st.sampled_from(TYPES))
        )
    )
)
def test_any_sequence_becomes_iob2_with_the_same_spans_and_stays_so(tags):
    converted = to_iob2(tags)
    assert spans(converted) == spans(tags)
    assert to_iob2(converted) == converted
    assert [tag == "_" for tag in converted] == [tag == "_" for tag in tags]
    assert [tag in ("O", "_") for tag in converted] == [tag in ("O", "_") for tag in tags]
    for before, tag in zip(["O", *converted], converted, strict=False):
        assert not tag.startswith("I-") or before[2:] == tag[2:]


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("B-A B-A I-A", "B-A B-A I-A"),  # adjacent spans
        ("I-A I-A B-A", "B-A I-A B-A"),
        ("O I-A I-A", "O B-A I-A"),  # I after O
        ("I-A", "B-A"),
        ("B-A I-B I-B", "B-A B-B I-B"),  # type change inside a span
        ("B-A O I-A", "B-A O B-A"),
        ("E-A I-A E-A", "B-A B-A I-A"),  # nothing goes on past an end
        ("S-A E-A", "B-A B-A"),
        ("B-A M-A L-A U-A", "B-A I-A I-A B-A"),
        ("B-A _ I-A", "B-A _ B-A"),
        ("B-x-y I-x-y I-x", "B-x-y I-x-y B-x"),
    ],
)
def test_odd_sequences_are_read_as_conlleval_does(tags, expected):
    assert to_iob2(tags.split()) == expected.split()


@pytest.mark.parametrize(
    ("corpus", "scheme"),
    [
        (["I-A I-A O", "I-A B-A"], "iob1"),
        (["I-A I-A O", "B-A O"], "iob2"),
        (["B-A I-A O", "O I-B"], "iob2"),
        (["O O", "_"], "iob2"),
        (["B-A E-A", "S-A"], "bioes"),
        (["B-A L-A", "U-A"], "bilou"),
        (["B-A M-A E-A"], "bmes"),
        (["B-A I-A I-A", "B_A"], "iob2"),
        (["B-A I-A", "B-A E-A L-A E-A"], "bioes"),
    ],
)
def test_schemes_are_recognised(corpus, scheme):
    assert recognise([tags.split() for tags in corpus]) == scheme


def test_what_is_outside_a_scheme():
    assert check("O", "iob1") is check("_", "bmes") is check("M-A", "bmes") is None
    assert check("S-A", "iob1") == "tag 'S-A' is outside the scheme iob1 (O, B-TYPE, I-TYPE)"
    for tag in ("B-", "B_A", "b-A", "NN", "-A", ""):
        assert "is outside" in check(tag, "bioes")


def test_tags_that_are_no_spans():
    assert not are_spans({"-LRB-", "NN", ",", "O", "_"})
    assert not are_spans({"O"})
    assert are_spans({"O", "I-A"})
    assert not is_iob2(("O", "I-A"))
    assert not is_iob2(("O", "B-A", "S-A"))
    assert sort_tags({"NN", ",", "JJ"}) == [",", "JJ", "NN"]


SPELLINGS = ["{}_{}", "{}:{}", "{1}-{0}", "{1}_{0}", "{1}:{0}", "{}"]


@pytest.mark.parametrize("spelling", SPELLINGS)
@given(corpus=st.lists(sentences(), min_size=1), scheme=st.sampled_from(sorted(SCHEMES)))
def test_other_spellings_have_the_same_spans(spelling, corpus, scheme):
    usual = [write(length, found, scheme) for length, found in corpus]
    if spelling == "{}":
        usual = [[re.sub("-.*", "-span", tag) for tag in tags] for tags in usual]
    other = [[tag if tag == "O" else spelling.format(*tag.split("-", 1)) for tag in tags] for tags in usual]
    found = respelled({tag for tags in other for tag in tags})
    if found:
        assert [[found.get(tag, tag) for tag in tags] for tags in other] == usual
    by_type = {}
    for tag in {tag for tags in usual for tag in tags} - {"O"}:
        by_type.setdefault(tag[2:], set()).add(tag[0])
    with_outside = any("O" in tags for tags in usual)
    assert bool(found) or not (with_outside and any("B" in own and own & set("IMEL") for own in by_type.values()))


@pytest.mark.parametrize(
    "tags",
    [
        "O B-PER I-PER",  # as they should be
        "O B-B B-I I-B",
        "O B I V",  # one that is none
        "B I",  # without O
        "I O",
        "B O",
        "O PRON-S NOUN-S",
        "NN_B NN_I VB",
        "NN_B NN_I",
        "B E V N",
        "O B_PER I-PER",  # two spellings
        "O B_PER B_LOC",  # no type goes on
        "O B_PER I_LOC",
        "O B_PER I_PER S_PER U_PER",  # prefixes of two schemes
        "O b_per i_per",
        "O",
        "",
        ". , : NN",
    ],
)
def test_classes_are_not_spelled_anew(tags):
    assert respelled(tags.split()) == {}


@pytest.mark.parametrize(
    ("tags", "spans"),
    [
        ("O B_PER I_PER B_LOC _", "B-PER I-PER B-LOC"),
        ("O PER-B PER-I a-b-I", "B-PER I-PER I-a-b"),
        ("O B I", "B-span I-span"),
        ("O B I E S", "B-span I-span E-span S-span"),
        ("B M E S", "B-span M-span E-span S-span"),
        ("O B_B I_B", "B-B I-B"),
        ("O B_x_y I_x_y", "B-x_y I-x_y"),
    ],
)
def test_spans_are_spelled_anew(tags, spans):
    assert set(respelled(tags.split()).values()) == set(spans.split())


@pytest.mark.parametrize(
    ("tags", "looks"),
    [
        ("O B_PER I-PER", "B_PER I-PER"),
        ("o b-per i-per", "b-per i-per"),
        ("O B/PER I/PER", "B/PER I/PER"),
        ("B I", "B I"),
        ("O B_PER I_PER misc", "B_PER I_PER"),
        ("N V B I", ""),
        ("PRON-S PRON-P NOUN-S O", ""),
        ("O B_PER B_LOC", ""),
        ("NOUN VERB ADJ", ""),
        ("", ""),
    ],
)
def test_what_is_in_doubt_is_named(tags, looks):
    assert in_doubt(tags.split()) == looks.split()
