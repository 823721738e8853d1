import json
import os

import numpy as np
import pytest

from benchmarks import planted_graph
from tests import tiny
from tests.benchmarks.in_process import in_this_process

TINY = {**tiny.OPTIONS, "planted_parents": 3, "planted_children": 2, "epochs": 1}


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    """The folder of the runs, and the table."""
    folder = tmp_path_factory.mktemp("planted-graph")
    sizes = ["--examples", "10", "--affinity-probe", "5"]
    arguments = ["--archs", "complete,star", "--seeds", "0,1", "--runs", f"{folder}/runs", *sizes]
    values = {name: value for name, value in TINY.items() if name != "planted_children"}
    command = [*arguments, "--results", f"{folder}/table.md", "--", *tiny.flags(**values, planted_children=2)]
    with in_this_process():
        planted_graph.main(command)
        yield folder, command, (folder / "table.md").read_text()


def test_the_table_has_the_mean_over_seeds_of_each_picture(grid):
    folder, _, table = grid
    areas = []
    for seed in (0, 1):
        content = json.loads((folder / "runs" / f"complete-{seed}" / "explanation.json").read_text())
        areas.append(np.mean(list(content["auroc"]["attention"].values())))
    row = next(line for line in table.splitlines() if line.startswith("| complete | attention |"))
    assert row.split("|")[4].split()[0] == f"{np.mean(areas):.3f}"
    for picture in ("ablation", "contribution"):
        assert f"| complete | {picture} |" in table
    for picture in ("affinity", "logits"):
        assert f"| star | {picture} |" in table


def test_finished_runs_and_explanations_are_taken_as_they_are(grid):
    folder, command, table = grid
    files = sorted(folder.glob("runs/*/explanation.json")) + sorted(folder.glob("runs/*/metrics.json"))
    before = [os.stat(file).st_mtime_ns for file in files]
    planted_graph.main(command)
    assert [os.stat(file).st_mtime_ns for file in files] == before
    assert (folder / "table.md").read_text() == table


def test_what_texts_read_has_a_row_where_one_parent_decides_each(grid):
    areas = [{"attention": {"child1": 0.9, "child2": 0.7}}, {"attention": {"child1": 0.5, "child2": 0.5}}]
    controls = {name: {"text_auroc": areas[1]} for name in ("untrained", "shuffled")}
    (row,) = planted_graph.rows("cmtr", [{"text_auroc": areas[0], "controls": controls}], "text_auroc")
    assert row == "| cmtr | attention | 2 | 0.800 | 0.500 | 0.500 |"
    assert planted_graph.rows("cmtr", [{"auroc": areas[0]}], "text_auroc") == []
    assert "AUROC over texts" not in grid[2]
