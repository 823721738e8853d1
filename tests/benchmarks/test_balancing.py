"""The grid on tiny planted tasks, and what its tables say."""

import json
import os

import pytest

from benchmarks import balancing
from tests import tiny

METHODS = "equal,random,upgrad"
TINY = {key: value for key, value in tiny.OPTIONS.items() if key not in ("device", "progress", "batch_size")}


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    """The folder of the runs, the arguments, and the table."""
    folder = tmp_path_factory.mktemp("balancing")
    arguments = ["--sets", "planted", "--methods", METHODS, "--seeds", "0,1", "--runs", f"{folder}/runs"]
    arguments += ["--results", f"{folder}/table.md"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(balancing._SETS, "planted", {"tasks": "planted", "accumulate": 2, **TINY})
        balancing.main(arguments)
        yield folder, arguments, (folder / "table.md").read_text()


def row(table: str, method: str) -> list[str]:
    line = next(line for line in table.splitlines() if line.startswith(f"| {method} |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_table_has_means_and_paired_differences(grid):
    folder, _, table = grid

    def means(method: str) -> list[list[float]]:
        files = [folder / "runs" / f"planted-{method}-{seed}" / "metrics.json" for seed in (0, 1)]
        tasks = [json.loads(file.read_text())["tasks"].values() for file in files]
        return [[100 * task["test"]["accuracy"] for task in each] for each in tasks]

    ours, theirs = means("upgrad"), means("equal")
    cells = row(table, "upgrad")
    assert float(cells[1]) == pytest.approx(sum(map(sum, ours)) / 4, abs=0.006)
    assert float(cells[3]) == pytest.approx(sum(map(min, ours)) / 2, abs=0.006)
    if ours != theirs:
        gain = sum(sum(a) - sum(b) for a, b in zip(ours, theirs, strict=True)) / 4
        assert float(cells[2].split()[0] or 0) == pytest.approx(gain, abs=0.006)
    assert -1 <= float(cells[7]) <= 1
    assert row(table, "equal")[6] == "1.00"
    assert float(row(table, "random")[6]) > 0
    assert row(table, "equal, an update a batch")[7] == ""


def test_finished_runs_and_times_are_taken_as_they_are(grid):
    folder, arguments, table = grid
    files = [*folder.glob("runs/*/metrics.json"), folder / "runs" / "times-planted.json"]
    assert len(files) == 9
    before = [os.stat(file).st_mtime_ns for file in files]
    balancing.main(arguments)
    assert [os.stat(file).st_mtime_ns for file in files] == before
    assert (folder / "table.md").read_text() == table
