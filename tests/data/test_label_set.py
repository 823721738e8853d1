import pytest

from graphmtl.data.label_set import odd_labels, sort_labels


def test_what_looks_odd():
    assert "'No' and 'no' differ in case alone" in odd_labels({"No": 3, "no": 2, "yes": 4})
    assert odd_labels({"no": 3, "yes": 2}) is None
    assert "60 different labels of 60 examples; is it the right column" in odd_labels({str(i): 1 for i in range(60)})
    assert odd_labels({str(i): 1 for i in range(10)}) is None


@pytest.mark.parametrize(
    ("one", "other"),
    [("caf\u00e9", "cafe\u0301"), ("\u200bpos", "pos"), ("\uff11", "1"), ("very good", "very  good"), ("01", "1")],
)
def test_labels_that_look_the_same_are_said(one, other):
    assert "differ only in how the same is written" in odd_labels({one: 3, other: 2, "x": 4})
    assert odd_labels({one: 3, "x": 4}) is None


def test_numbers_are_sorted_by_their_size():
    assert sort_labels(["10", "2", "1.5", "-1"]) == ["-1", "1.5", "2", "10"]
    assert sort_labels(["nan", "10", "2"]) == ["10", "2", "nan"]
