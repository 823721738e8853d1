import shutil

import numpy as np

from graphmtl.comparison.maps import draw_maps
from graphmtl.graph.clustering import clustered
from graphmtl.graph.evidence import evidence
from graphmtl.graph.task_graph import TaskGraph
from graphmtl.training.run_folder import Run
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
    assert "ours: 5 tasks, test split, seeds 0, 0 (mean)" in said(figure)
    assert "not compared with a control" in said(figure)


def test_it_is_held_against_the_controls_where_all_runs_have_one(finished, tmp_path):
    runs = two(finished, tmp_path)
    write_control(runs[0].folder)
    assert "not compared" in said(draw_maps({"ours": runs})["ours"])
    write_control(runs[1].folder)
    assert "not compared" not in said(draw_maps({"ours": runs})["ours"])


def test_rows_without_edges_or_of_other_tasks_have_none(finished, tmp_path):
    runs = two(finished, tmp_path)
    rescaled(complete(4), 1, 0).save(runs[1].folder / "task_graph.json")
    assert draw_maps({"a": [finished("single").run], "b": [Run(run.folder) for run in runs]}) == {}
    assert [*draw_maps({"a": [finished("single").run], "star": [finished("star").run]})] == ["star"]
