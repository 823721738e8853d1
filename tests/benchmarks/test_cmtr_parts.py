import json
import os

import numpy as np
import pytest

from benchmarks import cmtr_parts
from graphmtl.training.run import Run
from tests import tiny
from tests.benchmarks.in_process import in_this_process


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """The folder of the runs, the command's arguments, and the table."""
    folder = tmp_path_factory.mktemp("cmtr-parts")
    values = {**tiny.OPTIONS, "planted_parents": 3, "epochs": 1}
    arguments = ["--forms", "0,6,16", "--seeds", "0,1", "--runs", f"{folder}/runs"]
    command = [*arguments, "--results", f"{folder}/table.md", "--", *tiny.flags(**values), "--planted-children", "2"]
    with in_this_process():
        cmtr_parts.main(command)
        yield folder, command, (folder / "table.md").read_text()


def cells(table, form):
    line = next(line for line in table.splitlines() if line.startswith(f"| {form} |"))
    return [cell.strip() for cell in line.split("|")[2:-1]]


def test_a_row_has_the_areas_and_the_paired_differences(table):
    folder, _, text = table
    whole, part = ([Run.open(folder / "runs" / f"{name}-{seed}") for seed in (0, 1)] for name in ("0-cmtr", "6-cmtr"))
    areas = [json.loads((run.folder / "areas.json").read_text())["attention"] for run in part]
    found = cells(text, "no part of the gates that texts move")
    assert found[0].split()[0] == f"{np.mean(areas):.3f}"
    scores, others = ([run.metrics["mean"]["test"] for run in runs] for runs in (part, whole))
    assert found[2] == ""  # no text of this set is one parent's
    assert found[3] == f"{100 * np.mean(scores):.1f}"
    assert float(found[4].split()[0]) == pytest.approx(100 * (np.mean(scores) - np.mean(others)), abs=0.051)
    assert cells(text, "cmtr")[4] == ""


def test_an_architecture_without_a_graph_has_no_areas(table):
    assert cells(table[2], "shared")[:3] == ["", "", ""]


def test_what_is_finished_is_taken_as_it_is(table):
    folder, command, text = table
    files = sorted(folder.glob("runs/*/areas.json")) + sorted(folder.glob("runs/*/metrics.json"))
    before = [os.stat(file).st_mtime_ns for file in files]
    cmtr_parts.main(command)
    assert [os.stat(file).st_mtime_ns for file in files] == before
    assert (folder / "table.md").read_text() == text
