import json

import pytest

from graphmtl.data.planted_truth import PlantedTruth


def test_the_truth_survives_json_and_can_be_restricted():
    truth = PlantedTruth(edges=(("a", "c"), ("b", "c"), ("b", "d")), siblings=(("c", "d"),), inverted=(("b", "d"),))
    assert PlantedTruth.from_dict(json.loads(json.dumps(truth.to_dict()))) == truth
    some = truth.restricted({"b": "x.b", "c": "c", "d": "d"})
    assert some == PlantedTruth(edges=(("x.b", "c"), ("x.b", "d")), siblings=(("c", "d"),), inverted=(("x.b", "d"),))


def test_deciders_survive_json_and_are_kept_where_all_are_there():
    truth = PlantedTruth(edges=(("a", "c"), ("b", "c"), ("b", "d"), ("a", "d")), deciders={"c": ("a", "b")})
    assert PlantedTruth.from_dict(json.loads(json.dumps(truth.to_dict()))) == truth
    assert truth.restricted({"a": "x.a", "b": "b", "c": "x.c"}).deciders == {"x.c": ("x.a", "b")}
    assert truth.restricted({"a": "a", "c": "c"}).deciders == {}
    assert truth.restricted({"a": "a", "b": "b"}).deciders == {}


@pytest.mark.parametrize("wrong", [{"edges": [["a", []]]}, {"siblings": [[1, "a"]]}, {"deciders": {"c": [None]}}])
def test_what_is_no_name_of_a_task_is_none(wrong):
    with pytest.raises(TypeError, match="expected the name of a task"):
        PlantedTruth.from_dict(PlantedTruth(edges=(("a", "b"),)).to_dict() | wrong)
