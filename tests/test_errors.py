import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphmtl.errors import InputError, shown, unknown_name

NAMES = ["single", "shared", "complete", "star"]


@pytest.mark.parametrize(("name", "near"), [("stra", "star"), ("singel", "single"), ("complet", "complete")])
def test_the_nearest_name_is_named(name, near):
    assert f"unknown arch {name!r}; did you mean {near!r}?" in str(unknown_name("arch", name, NAMES))


def test_a_name_like_none_that_exist_gets_no_hint_but_the_list():
    error = str(unknown_name("arch", "xyzzy", NAMES))
    assert error == "unknown arch 'xyzzy' (known: single, shared, complete, star)"


def test_a_long_list_is_left_out_and_the_hint_stays():
    error = str(unknown_name("task", "task-3l", [f"task-{i}" for i in range(31)]))
    assert "known:" not in error
    assert "did you mean 'task-3'?" in error


known_names = st.lists(st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=60), unique=True, max_size=5)


@given(name=st.text(), known=known_names)
def test_it_is_a_value_error_of_one_line_that_holds_the_name(name, known):
    error = unknown_name("task", name, known)
    assert isinstance(error, InputError)
    assert isinstance(error, ValueError)
    assert shown(name) in str(error)
    assert "\n" not in str(error)
    assert all(each in str(error) for each in known)


def test_the_names_may_come_from_an_iterator():
    assert str(unknown_name("arch", "stra", iter(NAMES))) == str(unknown_name("arch", "stra", NAMES))


def test_names_of_any_length_make_a_short_message():
    columns = [f"{i} " + "a long text " * 1000 for i in range(5)]
    error = str(unknown_name("column", "x" * 1000, columns))
    assert len(error) < 500
    assert all(f"{i} a long text" in error for i in range(5))
    assert "'xxxxx" in error
    assert len(str(unknown_name("column", columns[0][:-1], columns))) < 600


def test_a_value_is_shown_in_one_short_line():
    assert shown("a\nb") == "'a\\nb'"
    assert len(shown("x" * 100)) == 60
