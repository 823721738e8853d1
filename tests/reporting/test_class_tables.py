import pytest

from graphmtl.reporting.class_tables import class_tables
from graphmtl.reporting.heat_map import confusion_map

SCORES = {"precision": 0.5, "recall": 0.25, "f1": 1 / 3, "support": 7}
MATRIX = {"labels": ["joy", "fear"], "counts": [[5, 2], [0, 3]]}


def test_a_task_of_classes_has_a_row_for_each_and_a_map():
    tasks = {"mood": {"classes": {"joy": SCORES, "fear": SCORES}, "confusion": MATRIX}, "price": {"test": {"mae": 1.0}}}
    (found,) = class_tables(tasks)
    assert (found["task"], found["heading"]) == ("mood", "label")
    assert found["columns"] == list(SCORES)
    assert found["rows"] == [("joy", list(SCORES.values())), ("fear", list(SCORES.values()))]
    assert found["map"] == confusion_map(["joy", "fear"], MATRIX["counts"], [7, 3]) | {"note": ""}


def test_types_of_spans_and_label_sets_have_no_map():
    types = {"PER": {"precision": 0.5, "recall": 0.25, "f1": 1 / 3, "spans": 7}}
    tags, sets = class_tables({"ner": {"types": types}, "topics": {"classes": {"joy": SCORES}, "confusion": None}})
    assert (tags["heading"], tags["map"]) == ("type of span", None)
    assert tags["columns"] == ["precision", "recall", "f1", "spans"]
    assert (sets["heading"], sets["map"]) == ("label", None)


@pytest.mark.parametrize(("count", "shown", "note"), [(60, 60, ""), (61, 60, "Of 61 labels the 60 with the most erro")])
def test_of_many_labels_the_most_confused_are_shown_and_it_is_said(count, shown, note):
    counts = [[100 if i == j else int(i == count - 1) for j in range(count)] for i in range(count)]
    matrix = {"labels": [f"label{i}" for i in range(count)], "counts": counts}
    (found,) = class_tables({"intent": {"classes": {"label0": SCORES}, "confusion": matrix}})
    assert len(found["map"]["rows"]) == shown
    assert f"label{count - 1}" in found["map"]["names"]
    assert found["map"]["note"].startswith(note)
    assert bool(found["map"]["note"]) == bool(note)
