import shutil
from dataclasses import replace

import numpy as np

from graphmtl.comparison.maps import draw_maps
from graphmtl.data.planted_truth import PlantedTruth
from graphmtl.graph.clustering import clustered
from graphmtl.graph.edge import Edge
from graphmtl.graph.evidence import evidence
from graphmtl.graph.task_graph import TaskGraph
from graphmtl.training.run import Run
from tests.graph.examples import complete, rescaled, write_control


def said(figure) -> str:
    return " ".join(text.get_text() for text in figure.texts)


def two(finished, folder) -> list[Run]:
    """Two runs of complete with graphs of their own."""
    runs = []
    for seed in (0, 1):
        place = shutil.copytree(finished("complete").run.folder, folder / str(seed))
        complete(5, seed).save(place / "task_graph.json")
        runs.append(Run.open(place))
    return runs


def test_a_map_is_that_of_the_mean_over_the_runs(finished, tmp_path):
    figure = draw_maps({"ours": two(finished, tmp_path)})["ours"]
    mean = clustered(TaskGraph.average([complete(5, 0), complete(5, 1)]))
    shown = figure.axes[0].images[0].get_array().filled(np.nan)
    np.testing.assert_allclose(shown, evidence(mean).excess.clip(-1, 1))
    assert "ours: 5 tasks, seeds 0, 0 (mean)" in said(figure)
    assert "not compared with a control" in said(figure)


def test_of_sets_whose_true_graphs_differ_the_first_is_shown(finished, tmp_path):
    runs = two(finished, tmp_path)
    assert runs[0].truth == runs[1].truth is not None
    runs[1].write_json("truth.json", PlantedTruth(edges=(("child1", "parent1"),)).to_dict())
    runs = [Run.open(run.folder) for run in runs]
    figure = draw_maps({"ours": runs})["ours"]
    shown = figure.axes[0].images[0].get_array().filled(np.nan)
    np.testing.assert_allclose(shown, evidence(clustered(complete(5, 0))).excess.clip(-1, 1))
    assert "ours: 5 tasks, seed 0 (the true graph of other seeds is another)" in said(figure)


def test_it_is_held_against_the_controls_where_all_runs_have_one(finished, tmp_path):
    runs = two(finished, tmp_path)
    write_control(runs[0].folder)
    assert "not compared" in said(draw_maps({"ours": runs})["ours"])
    write_control(runs[1].folder)
    assert "not compared" not in said(draw_maps({"ours": runs})["ours"])


def test_a_graph_beside_that_not_all_runs_have_is_not_shown(finished, tmp_path):
    runs = two(finished, tmp_path)
    for run in runs:
        (run.folder / "task_ablation.json").unlink()
    for run, count in zip(runs, (1, 2), strict=True):
        complete(5, 7).save(run.folder / "task_ablation.json")
        figure = draw_maps({"ours": [Run(each.folder) for each in runs]})["ours"]
        assert ("relies on" in " ".join(axes.get_ylabel() for axes in figure.axes)) == (count == 2)


def test_rows_without_edges_or_of_other_tasks_have_none(finished, tmp_path):
    runs = two(finished, tmp_path)
    rescaled(complete(4), 1, 0).save(runs[1].folder / "task_graph.json")
    assert draw_maps({"a": [finished("single").run], "b": [Run(run.folder) for run in runs]}) == {}
    assert [*draw_maps({"a": [finished("single").run], "star": [finished("star").run]})] == ["star"]


def test_of_linear_models_it_shows_the_edges_that_all_runs_have(finished, tmp_path):
    runs = two(finished, tmp_path)
    of_linear = [replace(complete(5, seed), split="train") for seed in (2, 3)]
    of_linear[1] = replace(of_linear[1], edges=of_linear[1].edges[3:])
    for run, graph in zip(runs, of_linear, strict=True):
        graph.save(run.folder / "task_linear.json")
        rescaled(graph, 0.01, 0).save(run.folder / "task_linear_permuted.json")
    figure = draw_maps({"ours": [Run(run.folder) for run in runs]})["ours"]
    assert "are above what is read of answers to other texts" in said(figure)
    shown = figure.axes[0].images[0].get_array().filled(np.nan)
    assert np.isfinite(shown).sum() == 17  # of 20 edges


def test_runs_whose_linear_models_alone_read_have_a_map(finished, tmp_path):
    place = shutil.copytree(finished("shared").run.folder, tmp_path / "run")
    tasks = Run(place).task_graph.tasks
    own = replace(complete(len(tasks)), tasks=tasks, edges=())
    edges = (Edge(source=tasks[0], target=tasks[1], weight=4.0, std=0.0, count=9),)
    replace(own, edges=edges).save(place / "task_linear.json")
    replace(own, edges=(replace(edges[0], weight=1.0),)).save(place / "task_linear_permuted.json")
    assert [*draw_maps({"shared": [Run(place)]})] == ["shared"]


def test_linear_models_that_not_all_runs_have_are_not_shown(finished, tmp_path):
    runs = two(finished, tmp_path)
    for name in ("task_linear", "task_linear_permuted"):
        complete(5, 2).save(runs[0].folder / f"{name}.json")
    assert "other texts" not in said(draw_maps({"ours": [Run(run.folder) for run in runs]})["ours"])
