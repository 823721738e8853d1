import copy
import json

import numpy as np
import pytest

from graphmtl.baselines.scores import read_scores
from graphmtl.cli import main
from graphmtl.data.planted_truth import PlantedTruth
from graphmtl.errors import InputError
from graphmtl.graph.clustering import clustered
from graphmtl.graph.evidence import evidence
from graphmtl.reporting.contents import comparison, run_contents
from graphmtl.reporting.explanation import explanation_contents
from graphmtl.training.run import Run
from graphmtl.training.run_picture import held_graphs
from tests import tiny
from tests.graph.examples import complete, write_control
from tests.reporting.explained import explain


def contents(run: Run, examples: int = 0) -> dict:
    return run_contents(run, name="a run", examples=examples, seed=0)


def test_results_are_those_of_the_run(finished):
    run = finished("complete").run
    found, baselines = contents(run)["results"], read_scores(run)
    rows = iter(found["rows"])
    for task, own in run.metrics["tasks"].items():
        for i, metric in enumerate(own["test"]):
            row = next(rows)
            assert (row["task"], row["metric"]) == ("" if i else task, metric)
            of_baselines = [scores[task]["test"][metric] for scores in baselines.values()]
            valid, test, dedup = (own[split][metric] for split in ("valid", "test", "test_dedup"))
            assert row["scores"] == [f"{100 * score:.1f}" for score in (test, dedup, *of_baselines, valid)]
            assert row["sizes"] == [
                own[size] if i == 0 else "" for size in ("n_train", "n_test", "n_test_dedup", "n_valid")
            ]
    assert next(rows, None) is None
    assert found["columns"] == ["test", "test_dedup", *baselines, "valid"]
    means = dict(zip(found["columns"], found["means"], strict=True))
    assert {split: means[split] for split in run.metrics["mean"]} == {
        split: f"{100 * mean:.1f}" for split, mean in run.metrics["mean"].items()
    }
    assert {*found["not_above"]} <= {*baselines}


def test_a_run_without_baselines_has_the_splits_alone(copy_of):
    folder = copy_of("complete")
    (folder / "baselines.json").unlink()
    found = contents(Run(folder))["results"]
    assert found["columns"] == ["test", "test_dedup", "valid"]
    assert len(found["means"]) == 3
    assert found["not_above"] == {}


def test_what_is_the_same_on_unseen_texts_has_no_column_of_its_own(finished, tmp_path):
    def change(metrics):
        for own in metrics["tasks"].values():
            own |= {"test_dedup": own["test"], "n_test_dedup": own["n_test"]}

    run = finished("complete").run
    same = changed(run, tmp_path / "same", change)
    assert list(comparison([same, same], ["a", "b"])["splits"]) == ["test", "valid"]
    assert list(comparison([same, run], ["a", "b"])["splits"]) == ["test", "test_dedup", "valid"]


def test_of_many_tasks_each_has_a_small_curve_with_its_kept_epoch(copy_of):
    run = Run.open(copy_of("single"))
    assert contents(run)["task_curves"] == []
    lines = [json.loads(line) for line in (run.folder / "history.jsonl").read_text().splitlines()]
    names = [f"task{i}" for i in range(7)]
    own = run.metrics["tasks"]["child1"]
    metrics = copy.deepcopy(run.metrics) | {"tasks": dict.fromkeys(names, own), "best_epoch": {}}
    metrics["best_epoch"] = {name: 1 + i % 2 for i, name in enumerate(names)}
    run.write_json("metrics.json", metrics)
    for line in lines:
        line["metrics"] = dict.fromkeys(names, line["metrics"]["child1"])
    (run.folder / "history.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = contents(Run.open(run.folder))
    assert [chart["title"] for chart in found["task_curves"]] == names
    assert [chart["kept"] for chart in found["task_curves"]] == [1, 2, 1, 2, 1, 2, 1]
    (points,) = {str(chart["series"][0]["points"]) for chart in found["task_curves"]}
    assert points == str([[line["epoch"], line["metrics"]["task0"]["accuracy"]] for line in lines])
    assert {chart["kept"] for chart in found["curves"]} == {None}


@pytest.mark.parametrize("arch", ["complete", "star", "cmtr"])
def test_the_node_link_graph_has_what_is_above_the_control(arch, copy_of):
    run = Run.open(copy_of(arch))
    write_control(run.folder)
    found = next(each for each in held_graphs(run) if not each.graph.virtual)
    drawn = contents(run)["graphs"][0]
    names = [node["name"] for node in drawn["nodes"]]
    edges = {(names[edge["source"]], names[edge["target"]]): edge for edge in drawn["edges"]}
    tasks, above = found.graph.tasks, found.evidence.above
    expected = {(tasks[j], tasks[k]) for k, j in np.argwhere(above) if found.directed or j < k}
    assert edges.keys() == expected
    assert expected
    for (source, target), edge in edges.items():
        place = (tasks.index(target), tasks.index(source))
        assert edge["weight"] == float(found.cells.texts[place[0]][place[1]])
        assert edge["place"] == pytest.approx(found.cells.places[place], abs=1e-3)
    assert drawn["directed"] == (arch != "star")


def test_there_is_no_node_link_graph_without_anything_above_a_control(copy_of):
    run = Run.open(copy_of("complete"))
    assert contents(run)["graphs"] == []
    assert {*contents(run)["findings"]} == {"not compared with a control"}
    write_control(run.folder)
    run.task_graph.save(run.folder / "controls" / "shuffled" / "task_graph.json")
    assert contents(run)["graphs"] == []
    assert contents(run)["findings"][0].startswith("nothing is above the control")
    assert len(contents(Run.open(run.folder))["maps"]) == 1


def test_spokes_go_from_half_of_their_mean_to_double(finished):
    run = finished("star").run
    (found,) = contents(run)["spokes"]
    weights = {edge.target: edge.weight for edge in run.task_graph.edges}
    mean = np.mean([*weights.values()])
    assert {row["name"]: row["share"] for row in found["rows"]} == pytest.approx(
        {name: np.log2(weight / mean).clip(-1, 1) for name, weight in weights.items()}, abs=1e-3
    )
    assert [row["share"] for row in found["rows"]] == sorted((row["share"] for row in found["rows"]), reverse=True)
    assert not any(row["dot"] for row in found["rows"])
    assert contents(finished("complete").run)["spokes"] == []


def test_maps_are_in_clustered_order(copy_of):
    run = Run.open(copy_of("complete"))
    complete(9).save(run.folder / "task_graph.json")
    found, _ = contents(run)["maps"]
    order = clustered(complete(9))
    assert found["names"] == list(order.tasks)
    for cells, ratios in zip(found["rows"], 2 ** evidence(order).excess, strict=True):
        for cell, ratio in zip(cells, ratios, strict=True):
            assert cell is None if np.isnan(ratio) else float(cell["text"]) == pytest.approx(ratio, abs=0.0051)


def test_a_note_says_what_dots_frames_and_the_diagonal_are(copy_of):
    run = Run.open(copy_of("cmtr"))
    (run.folder / "truth.json").unlink()
    map_of, cut = contents(Run.open(run.folder))["maps"]
    assert "the sources that are cut" in cut["note"]
    assert "On the diagonal" in map_of["note"]
    assert "A dot" not in map_of["note"]
    assert "A frame" not in map_of["note"]
    run.write_json("truth.json", PlantedTruth(edges=(("parent1", "child1"),)).to_dict())
    write_control(run.folder)
    (map_of,) = contents(Run.open(run.folder))["maps"]
    assert "A dot" in map_of["note"]
    assert "A frame" in map_of["note"]


def test_the_conflict_of_gradients_is_that_of_the_file(copy_of):
    run = Run.open(copy_of("single"))
    assert contents(run)["conflict"] is None
    written = {"tasks": ["a", "b"], "cosine": [[1.0, -0.25], [-0.25, None]], "updates": [[3, 3], [3, 0]]}
    run.write_json("gradient_conflict.json", written)
    found = contents(Run.open(run.folder))["conflict"]
    assert found["names"] == ["a", "b"]
    assert [[cell and float(cell["text"]) for cell in row] for row in found["rows"]] == written["cosine"]
    assert "in up to 3 updates" in found["note"]


def test_what_a_task_reads_from_itself_is_told_at_its_node(copy_of):
    run = Run.open(copy_of("cmtr"))
    write_control(run.folder)
    (graph,) = contents(run)["graphs"]
    own = {edge.target: edge.weight for edge in run.task_graph.edges if edge.source == edge.target}
    assert {node["name"]: node["own"] for node in graph["nodes"]} == own
    assert all(edge["source"] != edge["target"] for edge in graph["edges"])


def test_curves_are_those_of_history(finished):
    run = finished("complete").run
    history = [json.loads(line) for line in (run.folder / "history.jsonl").read_text().splitlines()]
    training, _, metric = contents(run)["curves"]
    for series in training["series"][:-1]:
        assert series["points"] == [[record["epoch"], record["losses"][series["name"]]] for record in history]
    first = run.metrics["tasks"]["pairs"]["metric"]
    points = next(series["points"] for series in metric["series"] if series["name"] == "pairs")
    assert points == [[record["epoch"], record["metrics"]["pairs"][first]] for record in history]
    means = [np.mean(list(record["losses"].values())) for record in history]
    assert [value for _, value in training["series"][-1]["points"]] == pytest.approx(means)


@pytest.mark.parametrize(("examples", "evaluated"), [("all", True), ("20", False)])
def test_a_transfer_has_the_curves_of_its_new_task(examples, evaluated, tmp_path):
    source = tiny.run(arch="complete", tasks="planted:parent1", output=tmp_path / "source", epochs=1).run
    flags = ["--task", "child1", "--examples", examples, "--steps", "0", "--no-progress"]
    main(["transfer", str(source.folder), *flags, "--output", str(tmp_path / "new")])
    found = contents(Run.open(tmp_path / "new"))
    assert {row["task"] for row in found["results"]["rows"]} == {"parent1", "child1"}
    training, *validation = ([series["name"] for series in curve["series"]] for curve in found["curves"])
    assert training == ["child1"]
    assert validation == [["child1"] if evaluated else []] * 2


def with_classes(run: Run, task: str, **own) -> Run:
    """The run with scores by class of a task, as it was written."""
    metrics = copy.deepcopy(run.metrics)
    metrics["tasks"][task] |= own
    run.write_json("metrics.json", metrics)
    return Run.open(run.folder)


def test_classes_are_those_of_the_tasks_that_have_some(copy_of):
    scores = {"yes": {"precision": 0.5, "recall": 0.25, "f1": 1 / 3, "support": 4}}
    run = with_classes(Run.open(copy_of("shared")), "child1", classes=scores, confusion=None)
    table = next(table for table in contents(run)["classes"] if table["task"] == "child1")
    assert table["rows"] == [("yes", [0.5, 0.25, 1 / 3, 4])]


def test_classes_that_are_none_are_named(copy_of):
    run = with_classes(Run.open(copy_of("shared")), "child1", classes=3)
    with pytest.raises(InputError, match=r"metrics\.json: not what graphmtl writes there"):
        contents(run)


def test_what_is_not_there_is_left_out(copy_of):
    run = Run.open(copy_of("shared"))
    (run.folder / "history.jsonl").unlink()
    found = contents(run)
    assert (found["findings"], found["graphs"], found["maps"], found["spokes"]) == ([], [], [], [])
    assert (found["curves"], found["explanation"], found["examples"]) == (None, None, None)


def test_missing_data_is_said(copy_of):
    run = Run.open(copy_of("shared"))
    config = run.folder / "config.yaml"
    config.write_text(config.read_text().replace(f"tasks: {run.options.tasks}", "tasks: gone.yaml"))
    found = contents(Run.open(run.folder), examples=1)
    assert found["examples"] is None
    assert "gone.yaml" in found["no_examples"]


def test_the_explanation_is_that_of_the_file(copy_of):
    run = Run.open(copy_of("complete"))
    assert contents(run)["explanation"] is None
    explanation = explain(run)
    assert contents(run)["explanation"] == explanation_contents(explanation)


@pytest.mark.parametrize("name", ["metrics.json", "history.jsonl", "explanation.json"])
@pytest.mark.parametrize("text", ["{", "{}", "[]", '{"tasks": 3}', "3"])
def test_damaged_files_are_named(name, text, copy_of):
    folder = copy_of("complete")
    (folder / name).write_text(text + "\n")
    with pytest.raises(InputError, match=f"{name}(: not what graphmtl writes there|, line [12]: |: an object)"):
        contents(Run.open(folder))


def test_another_format_of_an_explanation_is_named(copy_of):
    run = Run.open(copy_of("complete"))
    run.write_json("explanation.json", {"format": 99})
    with pytest.raises(InputError, match=r"explanation\.json: .*format: found 99, expected 1"):
        contents(run)


def changed(run: Run, folder, change) -> Run:
    """A run with other metrics."""
    metrics = copy.deepcopy(run.metrics)
    change(metrics)
    other = Run(folder)
    folder.mkdir()
    other.write_json("metrics.json", metrics)
    return other


def test_comparison_tells_the_differences_to_the_first_run(finished, tmp_path):
    run = finished("complete").run

    def change(metrics):
        metrics["tasks"]["child1"]["test"]["accuracy"] += 0.125
        metrics["mean"]["test"] -= 0.25

    found = comparison([run, changed(run, tmp_path / "other", change)], ["a", "b"])
    rows = {row["task"]: row["values"] for row in found["splits"]["test"]}
    score = run.metrics["tasks"]["child1"]["test"]["accuracy"]
    assert list(rows) == [*run.metrics["tasks"], "mean"]
    assert rows["child1"] == [(score, 0), (score + 0.125, pytest.approx(0.125))]
    assert rows["mean"][1][1] == pytest.approx(-0.25)


def test_means_name_the_tasks_that_are_not_in_them(copy_of):
    run = Run(copy_of("complete"))
    run.metrics["tasks"]["child1"]["in_mean"] = False
    assert contents(run)["results"]["mean"] == "mean without child1"
    assert comparison([run, run], ["a", "b"])["splits"]["test"][-1]["task"] == "mean without child1"


def test_runs_with_other_tasks_are_not_compared(finished, tmp_path):
    run = finished("complete").run

    def change(metrics):
        metrics["tasks"]["other"] = metrics["tasks"].pop("parent1")

    rows = comparison([run, changed(run, tmp_path / "other", change)], ["a", "b"])["splits"]["test"]
    values = {row["task"]: row["values"] for row in rows}
    score = run.metrics["tasks"]["parent1"]["test"]["accuracy"]
    assert list(values) == [*run.metrics["tasks"], "other", "mean"]
    assert values["parent1"] == [(score, 0), (None, None)]
    assert values["other"] == [(None, None), (score, None)]
    assert values["mean"] == [(run.metrics["mean"]["test"], None)] * 2


def test_runs_with_other_metrics_are_not_compared(finished, tmp_path):
    run = finished("complete").run

    def change(metrics):
        metrics["tasks"]["child1"] |= {"metric": "f1", "test": {"f1": 0.5}}

    rows = comparison([run, changed(run, tmp_path / "other", change)], ["a", "b"])["splits"]["test"]
    child = next(row for row in rows if row["task"] == "child1")
    assert child["metric"] == "accuracy"
    assert child["values"][1] == (None, None)
