"""What the report says of ``explanation.json``, as ``graphmtl explain`` writes it."""

import copy
import shutil

import pytest

from graphmtl.reporting.explanation import explanation_contents
from graphmtl.training.run import Run
from tests.reporting.explained import explain


@pytest.fixture(scope="module")
def written(finished, tmp_path_factory):
    """What is written of the runs of a complete graph and of a star; nobody may change it."""
    folders = {arch: tmp_path_factory.mktemp("explained") / arch for arch in ("complete", "star")}
    return {
        arch: explain(Run.open(shutil.copytree(finished(arch).run.folder, folder))) for arch, folder in folders.items()
    }


@pytest.fixture
def explanation(written):
    """That of the complete graph, for the test to change."""
    return copy.deepcopy(written["complete"])


def test_controls_stand_beside_the_model(explanation):
    found = explanation_contents(explanation)
    assert found["columns"] == ["this model", "untrained model", "trained on shuffled labels"]
    columns = [explanation, explanation["controls"]["untrained"], explanation["controls"]["shuffled"]]
    for i, row in enumerate(found["rows"]):
        names = explanation["agreement"][i]["pictures"]
        assert [row["a"], row["b"]] == [name.replace("_", ", ") for name in names]
        for cell, column in zip(row["cells"], columns, strict=True):
            own = {tuple(each["pictures"]): each for each in column["agreement"]}.get((names[0], names[1]))
            assert cell == (own and own | {"p": own["p_corrected"]})
    assert "ablation, zeroed" in [map["title"].split(":")[0] for map in found["maps"]]
    assert not any("not compared" in map["title"] for map in found["maps"])
    assert len(found["maps"]) == len(explanation["pictures"])
    for removal, column in zip(found["removal"], [columns[0], columns[2]], strict=True):
        assert [series["points"] for series in removal["series"]] == [
            list(zip(column["removal"]["edges"], column["removal"][order], strict=True))
            for order in ("strongest", "random", "weakest")
        ]
    assert [title for title, _ in found["meanings"]] == [title.replace("_", ", ") for title in explanation["pictures"]]
    for i, (picture, values) in enumerate(found["likeness"]["rows"]):
        name = [*explanation["pictures"]][i]
        assert picture == name.replace("_", ", ")
        assert values == [column["likeness"].get(name, {"within": None})["within"] for column in columns[1:]]


@pytest.mark.parametrize("arch", ["complete", "star"])
def test_a_file_without_verdicts_has_those_that_follow_from_its_pictures(arch, written):
    explanation = copy.deepcopy(written[arch])
    verdicts = explanation.pop("verdicts")
    assert explanation_contents(written[arch])["verdicts"] == verdicts
    found = explanation_contents(explanation)["verdicts"]
    assert [own["picture"] for own in found] == [own["picture"] for own in verdicts]
    assert all(own["says"] for own in found)
    nothing = [own for own in verdicts if own["says"].startswith("nothing is above")]
    assert [own["holds"] for own in found if own["says"].startswith("nothing is above")] == [False] * len(nothing)


def test_a_picture_that_the_controls_lack_is_not_compared(explanation):
    explanation["pictures"]["benefit"] = explanation["pictures"]["attention"]  # of `explain --affinity`
    found = explanation_contents(explanation)
    assert "benefit" in [title for title, _ in found["meanings"]]
    assert "benefit" not in [picture for picture, _ in found["likeness"]["rows"]]


def test_without_controls_the_model_stands_alone(explanation):
    found = explanation_contents({**explanation, "controls": {}})
    assert found["columns"] == ["this model"]
    assert found["likeness"] is None
    assert all(map["title"].endswith(": not compared with a control") for map in found["maps"])


def test_curves_of_removal_have_one_scale(explanation):
    removal = explanation_contents(explanation)["removal"]
    harms = [value for chart in removal for series in chart["series"] for _, value in series["points"]]
    assert {tuple(chart["range"]) for chart in removal} == {(min(harms), max(harms))}


def test_true_sources_are_counted_where_they_are_known(explanation):
    models = [explanation, *explanation["controls"].values()]
    for own, areas in zip(models, ({"child1": 0.75, "child2": 0.25}, {"child1": 0.5, "child2": 0.25}, {}), strict=True):
        own["auroc"] = {"attention": areas}
    found = explanation_contents(explanation)["auroc"]
    assert found["columns"] == ["this model", "untrained model", "trained on shuffled labels"]
    assert found["rows"] == [("attention", [0.5, 0.375, None])]
    for own in models:
        own["auroc"] = {}
    assert explanation_contents(explanation)["auroc"] is None


def test_texts_that_follow_their_parent_are_told_where_it_is_known(explanation):
    assert explanation_contents(explanation)["text_auroc"] is None
    explanation["text_auroc"] = {"attention": {"child1": 1.0, "child2": 0.5}}
    found = explanation_contents(explanation)
    assert found["text_auroc"]["rows"] == [("attention", [0.75, None, None])]
    del explanation["text_auroc"]  # a file of an earlier version
    assert explanation_contents(explanation)["text_auroc"] is None


def test_stability_of_several_runs_is_told(explanation):
    assert explanation_contents(explanation)["stability"] is None
    alike = {"runs": ["a", "b"], "pictures": {"alone": 0.5}}
    found = explanation_contents({**explanation, "stability": alike})["stability"]
    assert (found["runs"], found["rows"]) == (2, [("alone", [0.5])])


def test_pictures_of_a_star_that_are_no_matrix_are_left_out(written):
    explanation = written["star"]
    found = explanation_contents(explanation)
    assert [map["title"].split(":")[0] for map in found["maps"]] == ["affinity", "logits"]
    assert found["removal"] == []
    spokes = found["spokes"]
    assert spokes["columns"] == ["attention", "contribution", "ablation", "ablation, accuracy"]
    for i, name in enumerate(("attention", "contribution", "ablation", "ablation_accuracy")):
        weights = {edge["target"]: edge["weight"] for edge in explanation["pictures"][name]["edges"]}
        assert {task: values[i] for task, values in spokes["rows"]} == weights


def test_pictures_have_no_number_where_no_edge_is(explanation):
    for map in explanation_contents(explanation)["maps"]:
        for k, row in enumerate(map["rows"]):
            assert [cell is None for cell in row] == [k == j for j in range(len(row))]


def test_another_format_is_named(explanation):
    with pytest.raises(ValueError, match=r"^format: found 99, expected 1$"):
        explanation_contents({**explanation, "format": 99})
