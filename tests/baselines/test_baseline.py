import pytest

from graphmtl.baselines.baseline import Baseline, baseline_class, held_out
from graphmtl.errors import InputError
from graphmtl.registry import BASELINES


@pytest.mark.parametrize("name", BASELINES)
def test_every_name_of_the_table_is_a_baseline(name):
    assert issubclass(baseline_class(name), Baseline)
    assert f"``{name}``" in baseline_class(name).__doc__


def test_what_is_no_baseline_is_one_line():
    with pytest.raises(InputError, match="unknown baseline 'tfid'; did you mean 'tfidf'"):
        baseline_class("tfid")
    with pytest.raises(InputError, match="expected a class derived from Baseline"):
        baseline_class("graphmtl.kinds.ordinal:Ordinal")


def test_all_splits_but_training_are_held_out():
    splits = {"a": {"train": 1, "valid": 2, "test": 3}, "b": {"train": 4, "valid": 5, "test": 6, "test_other": 7}}
    assert held_out(splits) == {"valid": {"a": 2, "b": 5}, "test": {"a": 3, "b": 6}, "test_other": {"b": 7}}
    assert Baseline().groups({"a": None, "b": None}) == [("a",), ("b",)]
