import math

import numpy as np
import pyarrow as pa
import pytest
from datasets import Dataset
from hypothesis import given
from hypothesis import strategies as st

from graphmtl.data import column
from graphmtl.data.column import Column, ColumnWriter, EachValue, chained, gathered, mapped, numbered

TEXTS = st.lists(st.none() | st.text(max_size=3), max_size=12)
VALUES = st.one_of(
    TEXTS,
    st.lists(st.none() | st.integers(), max_size=8),
    st.lists(st.none() | st.floats(allow_nan=False) | st.booleans() | st.integers(0, 3), max_size=8),
    st.lists(st.none() | st.lists(st.sampled_from("ab")) | st.lists(st.integers(0, 9)), max_size=8),
    st.lists(st.none() | st.text(max_size=2) | st.integers(0, 2) | st.dictionaries(st.text(max_size=1), st.none())),
)


@pytest.fixture(autouse=True, scope="module")
def in_small_parts():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(column, "AT_ONCE", 2)
        patch.setattr(column, "_SMALL", 0)  # so that all stands in files
        yield


@given(VALUES)
def test_what_is_written_comes_back_with_its_types(values):
    (found,) = gathered(((value,) for value in values), 1)
    assert [*found] == values
    assert [*map(type, found)] == [*map(type, values)]
    assert found == values
    assert [found[i] for i in range(len(found))] == values


def test_texts_and_numbers_are_arrows_and_what_is_mixed_is_a_list():
    texts, numbers, mixed, late = gathered([(None, 1, "a", "a"), ("a", 2, "b", "b"), ("b", 3, 1, 2**70)], 4)
    assert isinstance(texts, Column)
    assert texts.is_text
    assert isinstance(numbers, Column)
    assert not numbers.is_text
    assert isinstance(mixed, list)
    assert isinstance(late, list)
    assert isinstance(gathered([(math.nan,)], 1)[0], Column)


@given(TEXTS.filter(bool), st.data())
def test_rows_that_are_taken_are_those_of_a_list(values, data):
    (found,) = gathered(((value,) for value in [*values, "last"]), 1)
    rows = np.array(data.draw(st.lists(st.integers(0, len(values) - 1))), dtype=np.int64)
    more = np.arange(len(rows))[::2]
    assert found.take(rows) == [values[i] for i in rows]
    assert found.take(rows).take(more) == [values[i] for i in rows[more]]
    assert found.take(rows).in_order().to_pylist() == [values[i] for i in rows]
    assert found[1:] == [*values[1:], "last"]
    assert found.take(rows).filled("-") == ["-" if values[i] is None else values[i] for i in rows]


@given(st.lists(TEXTS, max_size=3))
def test_columns_one_after_the_other(parts):
    columns = [gathered(((value,) for value in part), 1)[0] for part in parts]
    assert chained(columns) == [value for part in parts for value in part]


def test_columns_of_texts_one_after_the_other_are_no_python_objects():
    columns = [Column(pa.chunked_array([["a", "b"]])), Column(pa.chunked_array([["c"]])).take(np.array([0, 0]))]
    assert isinstance(chained(columns), Column)
    assert [*chained(columns)] == ["a", "b", "c", "c"]


@given(st.lists(st.none() | st.sampled_from(["", "a", "b", "c"])))
def test_numbers_of_equal_keys(keys):
    first = [*dict.fromkeys(key for key in keys if key)]
    found = numbered(keys)
    assert found.dtype == np.int64
    order = dict(zip([*dict.fromkeys(n for n in found.tolist() if n >= 0)], first, strict=True))
    assert [order.get(n, {-1: "", -2: None}.get(n)) for n in found.tolist()] == keys
    assert [*order] == sorted(order)


def test_values_of_a_data_set_whose_rows_were_selected():
    rows = Dataset.from_dict({"text": ["a", "b", "c", "d"], "n": [1, 2, 3, 4]}).select([3, 1, 0])
    values = EachValue(rows, "text")
    assert ([*values], len(values), "d" in values, "c" in values) == (["d", "b", "a"], 3, True, False)
    again = EachValue(Dataset.from_dict({"text": ["d", "b", "a"]}), "text")
    assert b"".join(values.serialized()) == b"".join(again.serialized())


def test_arrays_of_no_values():
    assert mapped([], pa.string()).to_pylist() == []
    with ColumnWriter() as writer:
        assert writer.column() == []
