import json

import pytest

from graphmtl.data.answers import answers
from graphmtl.data.table import Table
from graphmtl.errors import InputError

CONTEXT = "one e\u0301te\u0301 🙂 two one"


def read(value, context=CONTEXT, **more):
    table = Table(source="a.jsonl", columns={"answers": [value]}, lines=[7])
    return answers(table, "answers", [context], **more)[0]


def pairs(value, context=CONTEXT):
    return [(each["text"], each["answer_start"]) for each in read(value, context)]


@pytest.mark.parametrize(
    "value",
    [
        {"text": ["one", "two"], "answer_start": [16, 12]},
        [{"text": "one", "answer_start": 16}, {"text": "two", "answer_start": 12}],
        {"text": ["one", "two"], "answer_start": ["16", 12.0]},
        [{"text": ["one"], "answer_start": [16]}, {"text": "two", "answer_start": 12, "more": None}],
    ],
)
def test_all_forms_of_answers_are_read(value):
    assert CONTEXT[16:] == "one"
    assert CONTEXT[12:15] == "two"
    assert pairs(value) == pairs(json.dumps(value)) == [("one", 16), ("two", 12)]


def test_places_are_characters():
    assert pairs({"text": ["🙂"], "answer_start": [10]}) == [("🙂", CONTEXT.index("🙂"))]
    assert pairs({"text": ["e\u0301"], "answer_start": [4]}) == [("e\u0301", 4)]


@pytest.mark.parametrize("value", [[], {"text": [], "answer_start": []}, "[]", {"text": []}])
def test_an_empty_list_is_no_answer(value):
    assert read(value) == []


@pytest.mark.parametrize("value", [None, float("nan"), "", " "])
def test_nothing_is_no_label(value):
    assert read(value) is None
    assert read("n/a", missing=["n/a"]) is None


def test_an_answer_that_stands_once_elsewhere_is_taken_there_which_is_said():
    with pytest.warns(UserWarning, match=r"a.jsonl: 1 answers do not stand where their answer_start says, but once"):
        assert pairs({"text": ["two"], "answer_start": [14]}) == [("two", 12)]
    with pytest.warns(UserWarning, match=r"a.jsonl: 1 answers without an answer_start stand once"):
        assert pairs("two") == [("two", 12)]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"text": ["six"], "answer_start": [2]}, "answer 'six' does not stand at character 2 nor elsewhere"),
        ({"text": ["one"], "answer_start": [2]}, "answer 'one' does not stand at character 2 but at several places"),
        ({"text": ["one"], "answer_start": [-1]}, "'one' does not stand at character -1 but at several places"),
        ("six", "answer 'six' does not stand in its context"),
        ("one", "answer 'one' does not stand at one place alone; expected where it begins"),
        ({"text": ["two"], "answer_start": [1.5]}, "answer_start 1.5, expected a whole number of characters"),
        ({"text": ["two"], "answer_start": [True]}, "answer_start True, expected a whole number"),
        ({"text": ["two", "one"], "answer_start": [12]}, "2 answers, but 1 in answer_start"),
        (
            {"text": [" "], "answer_start": [3]},
            "answer ' ' has no characters; an empty list says that the right answer is none",
        ),
        ({"answer": "two"}, "found {'answer': 'two'}, expected answers as "),
        ({"text": [3], "answer_start": [3]}, "expected answers as "),
        (5, "found 5, expected answers as "),
        ([5], r"found \[5\], expected answers as "),
    ],
)
def test_a_mistake_is_named_with_its_place(value, message):
    with pytest.raises(InputError, match=f"a.jsonl, line 7: .*{message}"):
        read(value)


def test_a_text_that_only_looks_like_json_is_a_text():
    with pytest.warns(UserWarning, match="without an answer_start"):
        assert pairs("[1] b", "a [1] b") == [("[1] b", 2)]
