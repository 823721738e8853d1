import pytest

from graphmtl.data.table import Table, joined
from graphmtl.errors import InputError

SENTENCES = Table(source="a.conll", columns={"word": [["a", "b"], ["c"]], "# kind": ["x", None]}, lines=[[3, 4], [6]])


def test_what_has_no_lines_is_counted_from_one():
    table = Table(source="texts", columns={"x": ["a", "b"]}, row="row")
    assert (len(table), table.where(1), table.number(1)) == (2, "texts, row 2", 2)
    assert table.take([1]).where(0) == "texts, row 2"


def test_a_token_has_a_line_of_its_own():
    assert [SENTENCES.where(0, "word", j) for j in range(2)] == ["a.conll, line 3", "a.conll, line 4"]
    assert SENTENCES.number(0) == 3  # of a sentence the first one
    assert SENTENCES.take([1]).where(0) == "a.conll, line 6"


def test_a_column_of_a_file_of_its_own_is_named_by_it():
    table = Table(source="t.txt", columns={"text": ["a"], "label": ["b"]}, lines=[1], files={"label": "l.txt"})
    assert (table.where(0, "text"), table.where(0, "label")) == ("t.txt, line 1", "l.txt, line 1")


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("wrod", "a.conll: unknown column 'wrod'; did you mean 'word'"),
        ("# kidn", "a.conll: unknown key of a comment 'kidn'; did you mean 'kind'"),
    ],
)
def test_a_column_that_is_not_there(column, message):
    with pytest.raises(InputError, match=message):
        SENTENCES[column]


def test_joined_tables_keep_the_columns_that_all_have_and_every_rows_place():
    first = Table(source="a", columns={"x": [1, 2], "y": [3, 4]}, lines=[2, 5])
    both = joined([first, Table(source="b", columns={"x": [7], "z": [8]}, lines=[3])])
    assert (list(both.columns), both["x"]) == (["x"], [1, 2, 7])
    assert [both.where(i) for i in range(3)] == ["a, line 2", "a, line 5", "b, line 3"]
    assert both.take([2, 0]).where(0) == "b, line 3"
    assert [both.take([2, 0]).number(i) for i in range(2)] == [3, 2]
    assert joined([first]) is first


def test_classes_of_other_names_are_not_joined():
    first = Table(source="a", columns={"x": [1, 2]})
    with pytest.raises(InputError, match="b: the classes of column 'x' are not those of a"):
        joined([first, Table(source="b", columns={"x": [0]}, names={"x": ("p", "q")})])
