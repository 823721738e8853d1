import io

import datasets
import numpy as np
import pandas as pd
import pytest

from graphmtl.data.raw_texts import check_columns, texts_by_task, texts_of_table
from graphmtl.data.table import Table
from graphmtl.data.task import Task
from graphmtl.errors import InputError

A, B, PAIRS = Task(name="a"), Task(name="b"), Task(name="pairs", text=("p", "q"))
TAGS = Task(name="tags", kind="token-classification", labels=("o", "x"), tokens=True, text=("words",))
FRAME = pd.DataFrame({"id": [1, 2, 3], "text": ["good film", None, "bad"]}, index=[7, 7, 9])
ROWS = datasets.Dataset.from_pandas(FRAME, preserve_index=False)
SAME = {  # three texts, the second of which is missing
    "an iterator": lambda: iter(["good film", "", "bad"]),
    "a generator": lambda: map(str, ["good film", "", "bad"]),
    "a tuple": lambda: ("good film", "", "bad"),
    "an array": lambda: np.array(["good film", "", "bad"]),
    "an array of objects": lambda: np.array(["good film", float("nan"), "bad"], dtype=object),
    "missing texts": lambda: ["good film", None, "bad"],
    "a column of pandas": lambda: FRAME["text"],
    "categories": lambda: FRAME["text"].astype("category"),
    "texts of pandas": lambda: FRAME["text"].astype("string"),
    "a column of datasets": lambda: ROWS["text"],
    "a frame": lambda: FRAME,
    "a data set": lambda: ROWS,
    "a list of dicts": lambda: [{"text": "good film"}, {"id": 3}, {"text": "bad", "id": 3}],
    "a dict of lists": lambda: {"text": ["good film", None, "bad"], "id": [1, 2, 3]},
    "a dict of columns": lambda: {"text": ROWS["text"], "id": FRAME["id"]},
}


@pytest.mark.parametrize("texts", SAME.values(), ids=SAME)
def test_texts_may_be_given_in_many_forms(texts):
    found = texts_by_task(texts(), [B, A])
    assert found == {"b": ["good film", "", "bad"], "a": ["good film", "", "bad"]}
    assert found["a"] is found["b"]  # so that they are encoded once
    assert {type(text) for text in found["a"]} == {str}


@pytest.mark.parametrize("text", ["good film", np.array("good film"), np.str_("good film")])
def test_a_text_alone_is_one(text):
    assert texts_by_task(text, [A]) == {"a": ["good film"]}


@pytest.mark.parametrize("rows", [FRAME[:0], ROWS.select([]), {"text": []}, [], FRAME["text"][:0]])
def test_no_rows_no_texts(rows):
    assert texts_by_task(rows, [A]) == {"a": []}


def test_each_task_reads_its_own_columns():
    rows = pd.DataFrame({"q": ["bad", None], "text": ["good", "film"], "p": ["not", "very"]})
    found = texts_by_task(rows, [A, PAIRS, B])
    assert found == {"a": ["good", "film"], "pairs": [("not", "bad"), ("very", "")], "b": ["good", "film"]}
    assert found["a"] is found["b"]


@pytest.mark.parametrize(
    "words",
    [
        [["good", "film not"], ["bad"]],
        [np.array(["good", "film not"], dtype=object), np.array(["bad"], dtype=object)],
        ["['good', 'film not']", '["bad"]'],  # as pandas and csv files have lists
    ],
)
def test_tokens_of_a_column_are_lists_of_texts(words):
    assert texts_by_task({"words": words}, [TAGS]) == {"tags": [["good", "film not"], ["bad"]]}


def test_a_text_in_a_column_of_tokens_stays_a_text():
    assert texts_by_task({"words": ["good film", "[sic]"]}, [TAGS]) == {"tags": ["good film", "[sic]"]}


@pytest.mark.parametrize(
    ("texts", "task", "message"),
    [
        (None, A, "texts: found None, expected a text; a list or a column of texts"),
        (b"good film", A, "texts: found b'good film', expected a text; a list"),
        ({"good", "bad"}, A, "texts: found a set, expected a text; a list"),
        ({"a": "good"}, A, "texts: found a dict, expected a text; a list"),
        ({}, A, "texts: found a dict, expected a text; a list"),
        (datasets.DatasetDict(test=ROWS), A, "texts: found a DatasetDict, expected a text; a list"),
        (io.StringIO("text\ngood\n"), A, "texts: found a StringIO, expected a text; a list"),
        (np.array(3), A, "texts: found 3, expected a text; a list"),
        (FRAME[["id"]], A, "texts: task 'a' reads column 'text', which is not there (columns: id)"),
        (FRAME[["text", "text"]], A, "texts: task 'a' reads column 'text', which stands there 2 times"),
        (FRAME[:0][["id"]], A, "texts: task 'a' reads column 'text', which is not there (columns: id)"),
        (FRAME.assign(text=[1, 2, 3]), A, "texts, row 1: column 'text' holds 1, expected a text or a list of tokens"),
        ({"p": ["x"], "q": [["y"]]}, PAIRS, "texts, row 1: column 'q' holds ['y'], expected a text"),
        ({"p": ["x"], "q": ["y", "z"]}, PAIRS, "texts: the columns have unlike lengths (p: 1, q: 2)"),
    ],
)
def test_what_holds_no_texts_is_named(texts, task, message):
    with pytest.raises(InputError) as error:
        texts_by_task(texts, [task])
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_a_column_that_is_missing_is_named_with_what_can_be_done():
    known = [f"c{i}" for i in range(40)]
    with pytest.raises(InputError) as error:
        check_columns({"a": ["text"]}, known, "a.csv", "; --columns names them")
    listed = ", ".join(known[:30])
    expected = f"a.csv: task 'a' reads column 'text', which is not there (columns: {listed}, ...); --columns names them"
    assert str(error.value) == expected
    check_columns({"a": ["c0"], "b": ["c1", "c0"]}, known, "a.csv")


def test_a_value_of_a_file_is_named_with_its_line():
    table = Table(source="a.jsonl", columns={"text": ["x", 5]}, lines=[2, 7])
    with pytest.raises(InputError, match=r"^a\.jsonl, line 7: column 'text' holds 5, expected a text"):
        texts_of_table(table, {"a": ("text",)})
