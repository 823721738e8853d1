import shutil

import pytest

from benchmarks import grid
from graphmtl.comparison.grid import _Training
from graphmtl.errors import InputError


@pytest.fixture
def trained(finished, monkeypatch):
    """The flags of every run by its folder's name; each is the finished run of ``star``."""
    flags = {}

    def run(self, cell, log, held):
        flags[cell.folder.name] = list(cell.flags)
        shutil.copytree(finished("star").run.folder, cell.folder)
        return True

    monkeypatch.setattr(_Training, "_run", run)
    return flags


def test_a_variant_is_an_architecture_with_options_of_its_own(trained, tmp_path, capsys):
    variant = ["--variant", "wide", "star --hidden 9 --teachers runs/a-{seed}"]
    command = ["--archs", "star,wide", "--seeds", "0", "--runs", str(tmp_path), *variant]
    results = tmp_path / "results" / "table.md"
    grid.main([*command, "--results", str(results), "--", "--epochs", "2"])
    assert trained["wide-0"][6:] == ["--epochs", "2", "--hidden", "9", "--teachers", "runs/a-0"]
    assert trained["star-0"] == ["--control", "never", "--arch", "star", "--seed", "0", "--epochs", "2"]
    (row,) = [line for line in capsys.readouterr().out.splitlines() if "| 0, 0, 3 |" in line]
    assert row.startswith("| wide |")
    assert row in results.read_text().splitlines()
    trained.clear()
    grid.main([*command, "--", "--epochs", "2"])
    assert trained == {}  # what is finished is taken as it is


def test_a_run_that_fails_ends_it(tmp_path, monkeypatch):
    monkeypatch.setattr(_Training, "_run", lambda *_: False)
    with pytest.raises(InputError, match="star-0: the run failed"):
        grid.main(["--archs", "star", "--runs", str(tmp_path)])
