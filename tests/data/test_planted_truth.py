import json

from graphmtl.data.planted_truth import PlantedTruth


def test_the_truth_survives_json_and_can_be_restricted():
    truth = PlantedTruth(edges=(("a", "c"), ("b", "c"), ("b", "d")), siblings=(("c", "d"),), inverted=(("b", "d"),))
    assert PlantedTruth.from_dict(json.loads(json.dumps(truth.to_dict()))) == truth
    some = truth.restricted({"b": "x.b", "c": "c", "d": "d"})
    assert some == PlantedTruth(edges=(("x.b", "c"), ("x.b", "d")), siblings=(("c", "d"),), inverted=(("x.b", "d"),))
