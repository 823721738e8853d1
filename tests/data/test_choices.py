import re

import pytest

from graphmtl.data.choices import are_of_choices, choice_keys, choices, contexts, every_column
from graphmtl.data.table import Table
from graphmtl.errors import InputError

LISTS = ("text", ("own",))
APART = ("text", ("a", "b", "c"))


def table(**columns) -> Table:
    return Table(source="x.csv", columns=columns, lines=[*range(2, 2 + len(next(iter(columns.values()))))])


def test_columns_one_after_the_other():
    assert every_column(APART) == ("text", "a", "b", "c")
    assert every_column(("premise", "hypothesis")) == ("premise", "hypothesis")
    assert [are_of_choices(columns) for columns in (APART, LISTS, ("a", "b"))] == [True, True, False]


@pytest.mark.parametrize(
    "value",
    [
        ["it rained", "it's dry"],
        ["it rained", "it's dry", None],
        '["it rained", "it\'s dry"]',
        "['it rained', \"it's dry\"]",
        {"text": ["it rained", "it's dry"], "label": ["A", "B"]},
    ],
)
def test_a_list_is_read_as_it_is_written(value):
    assert choices(table(own=[value]), LISTS) == [["it rained", "it's dry"]]


def test_a_column_for_each_choice_of_which_the_last_may_be_empty():
    given = table(a=["p", "s"], b=["q", "t"], c=["r", ""])
    assert choices(given, APART) == [["p", "q", "r"], ["s", "t"]]
    assert choice_keys(given, APART) == [None, None]


def test_two_columns_of_the_context_are_joined():
    assert contexts(table(a=["p", " ", "p"], b=["q", "q", ""]), ("a", "b", ("c",))) == ["p q", "q", "p"]
    assert contexts(table(a=[" p", None]), ("a", ("c",))) == [" p", ""]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("it rained", "x.csv, line 3: column 'own' holds 'it rained', expected a list of texts"),
        ([1, 2], "x.csv, line 3: column 'own' holds [1, 2], expected a list of texts"),
        (3, "x.csv, line 3: column 'own' holds 3, expected a list of texts"),
        (["a", "", "b"], "x.csv, line 3: choice 2 of 3 is empty, expected a text"),
        (["a", ""], "x.csv, line 3: found 1 choices, expected 2 or more"),
        (None, "x.csv, line 3: found 0 choices, expected 2 or more"),
        ("['a' 'b']", "x.csv, line 3: column 'own' holds \"['a' 'b']\", expected a list as JSON has it"),
    ],
)
def test_what_is_no_list_of_choices_is_named(value, message):
    with pytest.raises(InputError, match=re.escape(message)):
        choices(table(own=[["a", "b"], value]), LISTS)


def test_a_row_without_choices_may_be_blank():
    assert choices(table(own=[["a", "b"], None]), LISTS, none=True) == [["a", "b"], []]
    with pytest.raises(InputError, match="found 1 choices"):
        choices(table(own=[["a"]]), LISTS, none=True)


def test_keys_are_as_many_as_choices():
    own = {"text": ["p", "q"], "label": ["A", 2]}
    assert choice_keys(table(own=[own, ["p", "q"]]), LISTS) == [["A", "2"], None]
    with pytest.raises(InputError, match=re.escape("x.csv, line 2: the keys are ['A'], expected one for each choice")):
        choice_keys(table(own=[{"text": ["p", "q"], "label": ["A"]}]), LISTS)
