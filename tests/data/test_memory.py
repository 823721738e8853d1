import datasets
import numpy as np
import pandas as pd
import pytest

from graphmtl.data.memory import Data, column_names, is_data, plain, read_data, splits_of
from graphmtl.errors import DataWarning, InputError

FRAME = pd.DataFrame({"text": ["a", None, "c"], "label": [1, 2, 1], "more": [0.5, float("nan"), 2]}, index=[7, 7, 9])
FORMS = {
    "a frame": FRAME,
    "a data set": datasets.Dataset.from_pandas(FRAME, preserve_index=False),
    "a list of dicts": [{"text": "a", "label": 1}, {"label": 2}, {"text": "c", "label": 1, "more": 2}],
    "a dict of lists": {"text": ["a", None, "c"], "label": [1, 2, 1], "more": [0.5, None, 2]},
    "a dict of columns": {"text": FRAME["text"], "label": np.array([1, 2, 1]), "more": FRAME["more"]},
}


def read(rows, *wanted, **options):
    return read_data(Data(rows, "task 'a', train"), wanted, **options)


@pytest.mark.parametrize("rows", FORMS.values(), ids=FORMS)
def test_every_form_holds_the_same_rows(rows):
    table = read(rows, "label", "text")
    assert is_data(rows)
    assert column_names(rows) == ["text", "label", "more"]
    assert dict(table.columns) == {"label": [1, 2, 1], "text": ["a", None, "c"]}
    assert table.where(1) == "task 'a', train, row 2"  # counted from 1, whatever the index of a frame is


@pytest.mark.parametrize("value", [[], {}, "text", ["a"], {"a": "text"}, [{"a": 1}, 3], None])
def test_what_holds_no_rows(value):
    assert not is_data(value)
    with pytest.raises(InputError, match=r"^task 'a', train: found .*, expected a pandas DataFrame, a datasets"):
        read(value, "text")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (FRAME, "unknown column 'txet'; did you mean 'text'"),
        (FRAME[["text", "text"]].rename(columns={"text": "txet"}), "column 'txet' stands there 2 times"),
        (FRAME.assign(txet="a", **{"1": 1}).rename(columns={"1": 1, "more": "1"}), "column '1' stands there 2 times"),
        ({"1": ["a"], 1: ["b"], "label": [1]}, "column '1' stands there 2 times"),
        ([{"1": "a", "label": 1}, {1: "b", "label": 1}], "column '1' stands there 2 times"),
        ({"txet": ["a"], "label": [1, 2]}, r"the columns have unlike lengths \(label: 2, txet: 1\)"),
        (FRAME[:0].assign(txet=[]), "no examples in it"),
        (datasets.Dataset.from_dict({"label": [], "txet": []}), "no examples in it"),
    ],
)
def test_what_a_task_cannot_read(rows, message):
    rows = rows.assign(label=1) if "'txet' stands" in message else rows
    with pytest.raises(InputError, match=f"^task 'a', train: {message}"):
        read(rows, "label", "1" if "'1'" in message else "txet")


def test_names_of_columns_that_are_numbers():
    for rows in (pd.DataFrame({0: ["a"], 1: [2]}), {0: ["a"], 1: [2]}, [{0: "a", 1: 2}]):
        assert dict(read(rows, "0", "1").columns) == {"0": ["a"], "1": [2]}


def test_a_data_set_with_a_transform_is_refused():
    rows = FORMS["a data set"]
    with pytest.raises(InputError, match=r"^task 'a', train: it has a transform, which is not applied; accepted: what"):
        read(rows.with_transform(lambda batch: {"text": [f"{text}!" for text in batch["text"]]}), "text")
    assert read(rows.with_format("numpy"), "text")["text"] == ["a", None, "c"]


def test_texts_to_be_labelled_may_be_none():
    for rows in (FRAME[:0], datasets.Dataset.from_dict({"text": []}), {"text": []}):
        assert read(rows, "text", least=0)["text"] == []


def test_half_a_character_is_said():
    with pytest.raises(InputError, match=r"task 'a', train, row 2: .* holds half of a character"):
        read({"text": ["a", "\ud83d"]}, "text")


def test_values_have_no_types_of_libraries():
    nothing = [pd.NA, pd.NaT, float("nan"), np.float64("nan"), None]
    assert [plain(value) for value in nothing] == [None] * 5
    values = [np.int64(3), np.str_("a"), np.array(["a", "b"]), np.bool_(True), ("a", [np.float32(0.5)])]
    found = [plain(value) for value in values]
    assert found == [3, "a", ["a", "b"], True, ["a", [0.5]]]
    assert [type(value) for value in found] == [int, str, list, bool, list]


def test_splits_by_the_names_that_they_go_by():
    assert splits_of({"train": 1, "dev": 2, "test": 3}, "task 'a'") == {"train": 1, "valid": 2, "test": 3}
    assert splits_of({"train": 1, "extra": 2}, "task 'a'", {"test": "extra"}) == {"train": 1, "test": 2}


def test_splits_that_are_not_read_are_said():
    several = {"train": 1, "eval": 2, "dev": 2, "validation": 3}
    with pytest.warns(DataWarning, match="task 'a': not read: 'eval', 'dev'; the splits are called .*, the first of a"):
        assert splits_of(several, "task 'a'") == {"train": 1, "valid": 3}
    with pytest.warns(DataWarning, match="task 'a': not read: 'dev', 'validation'; the splits"):
        assert splits_of(several, "task 'a'", {"valid": "eval"}) == {"train": 1, "valid": 2}
    message = r"task 'a': not read: 'test_other'; the splits are called train, validation, valid, dev, val, eval, test"
    with pytest.warns(DataWarning, match=message):
        splits_of({"train": 1, "test_other": 2}, "task 'a'")


def test_tasks_share_the_rows_of_one_object_alone():
    """Not of another that holds equal rows: a frame says nothing simple when it is asked for equality."""
    assert Data(FRAME, "task 'a'") == Data(FRAME, "task 'b'")
    assert hash(Data(FRAME, "task 'a'")) == hash(Data(FRAME, "task 'b'"))
    assert Data(FRAME, "task 'a'") != Data(FRAME.copy(), "task 'a'")
