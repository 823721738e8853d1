import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphmtl.data.table import Table
from graphmtl.data.values import labelled, labels, listed, scores, tags, texts, tokens, unused
from graphmtl.errors import DataWarning, InputError

NAN = float("nan")


def table(**columns):
    return Table(source="a.jsonl", columns=columns)


def test_a_missing_text_is_empty():
    assert texts(table(text=["a", None, NAN, " "]), "text") == ["a", "", "", " "]
    with pytest.raises(InputError, match=r"a.jsonl, line 2: column 'text' holds 3, expected a text"):
        texts(table(text=["a", 3]), "text")


def test_labels_and_what_is_none():
    made = table(label=["a", " a\t", "", None, NAN, "?", 1, 1.0, True, "_"])
    assert labels(made, "label", missing=("?",)) == ["a", "a", None, None, None, None, "1", "1", "True", "_"]
    assert labelled(made, "label", missing=("?",)) == [True, True, False, False, False, False, True, True, True, True]
    comments = Table(source="x", columns={"# kind": ["a", "_", None]})
    assert labels(comments, "# kind") == ["a", None, None]


def test_classes_by_their_names():
    made = Table(source="x", columns={"label": [1, 0, -1, None]}, names={"label": ("no", "yes")})
    assert labels(made, "label") == ["yes", "no", None, None]
    assert labelled(made, "label") == [True, True, False, False]
    with pytest.raises(InputError, match=r"x, line 1: class 2, expected one of the 2 that are declared"):
        labels(Table(source="x", columns={"label": [2]}, names={"label": ("no", "yes")}), "label")


@pytest.mark.parametrize("value", [[1], {"a": 1}, b"x", 0.5, float("inf")])
def test_what_can_be_no_label(value):
    with pytest.raises(InputError, match=r"a.jsonl, line 1: label .* expected a text or a whole number"):
        labels(table(label=[value]), "label")


def test_tags_and_what_is_none():
    made = Table(source="x", columns={"t": [["a", "b", "c", "d"], ["e"]], "g": [[1, None, -100, "_"], None]})
    assert tags(made, "g", of=tokens(made, "t")) == [["1", "_", "_", "_"], ["_"]]


def test_scores_and_what_is_none():
    about = {"accepted": "a number", "low": 0, "high": 5, "missing": ("n/a",)}
    found = scores(table(label=["1.5", 2, "n/a", "", None, NAN]), "label", **about)
    assert [None if score != score else score for score in found] == [1.5, 2, None, None, None, None]
    for value in ("6", -1, "x", [1], 10**400, True):
        with pytest.raises(InputError, match=r"line 1: score .*, expected a number"):
            scores(table(label=[value]), "label", **about)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("['Ada', 'ran']", ["Ada", "ran"]),
        ('["Ada", "it\'s"]', ["Ada", "it's"]),
        (" Ada  ran ", ["Ada", "ran"]),
        ("[0, 1]", [0, 1]),
        ('["O", null]', ["O", None]),
        ("[None, 'O']", [None, "O"]),
        ('["a\\/b", "\\ud83d\\ude00"]', ["a/b", "\U0001f600"]),
        ("('Ada', 'ran')", ["Ada", "ran"]),
        ("( 1990 , he said )", ["(", "1990", ",", "he", "said", ")"]),
        ("[ sic ] he said", ["[", "sic", "]", "he", "said"]),
        ("[1] as in [2]", ["[1]", "as", "in", "[2]"]),
        (["Ada"], ["Ada"]),
        (None, None),
    ],
)
def test_lists_that_are_written_as_text(written, read):
    assert listed(table(t=["x", written]), ["t"])["t"] == [["x"], read]


@pytest.mark.parametrize(
    "written",
    ["['Ada' 'ran']", "['Ada', 'ran' 'far']", "['Ada', ran]", "[Ada, ran]", "[0, 1 2]", "['a'" + "[" * 999 + "]"],
)
def test_lists_that_cannot_be_read_are_said(written):
    with pytest.raises(InputError, match=r"a.jsonl, line 1: column 't' holds .*, expected a list as JSON has it"):
        listed(table(t=[written]), ["t"])


def test_rows_of_one_token_are_said():
    with pytest.warns(DataWarning, match=r"a.jsonl: no row has more than one entry in column 't', such as 'a,b'"):
        assert listed(table(t=["a,b"] * 10), ["t"])["t"] == [["a,b"]] * 10
    assert listed(table(t=["a b", *["c"] * 9]), ["t"])["t"][0] == ["a", "b"]


def test_half_a_character_in_a_written_list_is_said():
    with pytest.raises(InputError, match=r"a.jsonl, line 1: .* holds half of a character"):
        listed(table(t=['["\\ud83d"]']), ["t"])


@given(st.lists(st.lists(st.text("ab'\"\\é ", min_size=1), min_size=1), min_size=1))
def test_lists_come_back_however_they_were_written(rows):
    assert listed(table(t=[repr(row) for row in rows]), ["t"])["t"] == rows


@pytest.mark.parametrize("value", ["-1", "-1.0", -1, -1.0])
@pytest.mark.parametrize("missing", ["-1", "-1.0"])
def test_a_number_that_is_missing_is_so_however_it_is_written(value, missing):
    about = {"accepted": "a number", "low": -5, "high": 5}
    made = table(label=[value, "2"], tags=[[value], ["2"]])
    assert labels(made, "label", missing=(missing,)) == [None, "2"]
    assert labelled(made, "label", missing=(missing,)) == [False, True]
    assert tags(made, "tags", of=[["a"], ["b"]], missing=(missing,)) == [["_"], ["2"]]
    assert str(scores(made, "label", missing=(missing,), **about)) == "[nan, 2.0]"


@pytest.mark.parametrize("value", ["-9.5", "-9.50", " -9.500", "-95e-1", -9.5])
@pytest.mark.parametrize("missing", ["-9.5", "-9.50"])
def test_a_score_that_is_missing_is_a_number(value, missing):
    made = table(label=[value, "2"])
    assert str(scores(made, "label", missing=(missing,), accepted="a number", low=-10, high=5)) == "[nan, 2.0]"
    assert labelled(made, "label", missing=(missing,)) == [False, True]


def test_which_values_that_mean_none_stand_nowhere():
    made = [table(label=["a", " ? ", None]), table(label=["-9.50", ["b", "n/a"], '["x", "y"]', {"text": []}])]
    assert unused(made, "label", ["?", "-9.5", "-9.500", "n/a", "x", "", "null"]) == []
    assert unused(made, "label", ["??", "-9", "A", "[", "none"]) == ["??", "-9", "A", "["]


def test_what_is_no_number_among_scores():
    about = {"accepted": "a number", "low": -5, "high": 5000, "missing": ()}
    assert str(scores(table(label=["NaN", " nan", "<NA>"]), "label", **about)) == "[nan, nan, nan]"
    with pytest.raises(InputError, match=r"score '1_000', expected a number$"):
        scores(table(label=["1_000"]), "label", **about)
    with pytest.raises(InputError, match=r"score 'n/a', expected a number; the key `missing` lists"):
        scores(table(label=["n/a"]), "label", **about)
