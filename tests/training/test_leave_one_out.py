"""Leave one out, at the smallest size."""

import json
import shutil

import pytest

from graphmtl.cli import main
from graphmtl.errors import InputError
from graphmtl.training import joining as transfer
from graphmtl.training import leave_one_out
from graphmtl.training.joining import JOINING_LR
from graphmtl.training.leave_one_out import read_cells
from graphmtl.training.run import Run
from tests.tiny import OPTIONS, flags

SIZES = ["--targets", "child1", "--examples", "0,10,all", "--draws", "2", "--steps", "0", "--target-epochs", "1"]
SETS = {"planted_parents": 2, "planted_rich": 40, "epochs": 1}


def run(folder, *arguments):
    main(["transfer", "--leave-one-out", *flags(**OPTIONS | SETS), *SIZES, "--output", str(folder), *arguments])
    return read_cells(folder)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("experiments") / "one"
    run(folder)
    return folder


def without_clock(cells):
    return [{arm: (s["test"], s["test_dedup"]) for arm, s in cell.arms.items()} for cell in cells]


def test_cells_and_arms(finished):
    cells = {(cell.examples, cell.draw): cell for cell in read_cells(finished)}
    assert set(cells) == {(0, 0), (10, 0), (10, 1), (None, 0), (None, 1)}
    assert (cells[10, 0].n_train, cells[10, 0].n_valid) == (10, 0)
    assert cells[None, 0].n_train + cells[None, 0].n_valid > 30
    assert set(cells[0, 0].arms) == {"star mean", "star mixture", "shared mean", "shared mixture"}
    for examples, draw in set(cells) - {(0, 0)}:
        assert list(cells[examples, draw].arms) == ["star", "shared", "single"]
    for source in ("star-without-child1", "shared-without-child1"):
        metrics = json.loads((finished / "sources" / source / "metrics.json").read_text())
        assert set(metrics["tasks"]) == {"parent1", "parent2"}
    assert (finished / "learning_curves.png").is_file()
    text = (finished / "learning_curves.md").read_text()
    assert "| child1 | accuracy | all |" in text
    assert "area between the curves" in text
    assert "star mixture" in text


def test_every_arm_has_its_linear_part(tmp_path, monkeypatch):
    strengths, chosen = {}, []

    def noted(model, data, **how):
        fitted(model, data, **how)
        strengths[model.options.arch] = float(model.wide_part("child1").strength)

    fitted, choose = leave_one_out.fit_wide_parts, leave_one_out.choose_shares
    for module in (transfer, leave_one_out):
        monkeypatch.setattr(module, "fit_wide_parts", noted)
        monkeypatch.setattr(
            module, "choose_shares", lambda model, *own: chosen.append(model.options.arch) or choose(model, *own)
        )
    run(tmp_path / "one", "--wide", "--examples", "all", "--draws", "1")
    assert strengths.keys() == {"star", "shared", "single"}
    assert all(strength > 0 for strength in strengths.values())
    assert chosen == ["star", "shared", "single"]


def test_what_would_read_the_target_is_left_out_and_what_others_cannot_read_too(tmp_path, capsys):
    arguments = ["--arch", "cmtr", "--teachers", "ema", "--refit-on-valid", "--examples", "10", "--draws", "1"]
    cells = run(tmp_path / "one", *arguments)
    assert list(cells[0].arms) == ["cmtr", "shared", "single"]
    assert "--refit-on-valid is left out where a task is left out" in capsys.readouterr().err
    for arch in ("cmtr", "shared"):
        assert not Run.open(tmp_path / "one" / "sources" / f"{arch}-without-child1").options.refit_on_valid


def test_it_goes_on_where_it_stopped(finished, tmp_path, monkeypatch):
    folder = shutil.copytree(finished, tmp_path / "two")
    before = read_cells(folder)
    for name in ("child1-10-1.json", "child1-0-0.json"):
        (folder / "cells" / name).unlink()
    monkeypatch.setattr(leave_one_out, "train_run", None)  # the sources are there
    assert without_clock(run(folder)) == without_clock(before)


def test_a_target_joins_at_a_third_of_the_rate_that_single_has(tmp_path, monkeypatch):
    rates = {}

    class Spied(transfer.Trainer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            rates.setdefault(kwargs["model"].options.arch, []).append(kwargs["options"].lr)

    monkeypatch.setattr(transfer, "Trainer", Spied)
    monkeypatch.setattr(leave_one_out, "Trainer", Spied)
    run(tmp_path / "one", "--examples", "10", "--draws", "1")
    third = OPTIONS["lr"] * JOINING_LR
    assert rates == {"star": [third], "shared": [third], "single": [OPTIONS["lr"]]}


def test_it_goes_on_with_its_own_data_only(finished, tmp_path, error_of):
    folder = shutil.copytree(finished, tmp_path / "two")
    content = json.loads((folder / "data.json").read_text())
    content["tasks"]["parent2"]["train"]["text_sum"] = "0" * 64
    (folder / "data.json").write_text(json.dumps(content))
    error = error_of("transfer", "--leave-one-out", *flags(**OPTIONS | SETS), *SIZES, "--output", folder)
    assert f"{folder}/data.json: the data of --tasks planted has changed since: task 'parent2' has other texts" in error
    assert "an experiment goes on with the data it was started with" in error


def test_another_experiment_is_not_mixed_in(finished, tmp_path, error_of):
    def error(folder, *arguments):
        options = flags(**OPTIONS | SETS)
        return error_of("transfer", "--leave-one-out", *options, *SIZES, "--output", folder, *arguments)

    assert "not 0.5" in error(finished, "--target-lr", "0.5")
    assert "freeze is 'none', not 'encoder'" in error(finished, "--freeze", "encoder")
    (tmp_path / "mine.txt").write_text("mine")
    assert "is no leave-one-out experiment" in error(tmp_path)
    assert "unknown target 'child7'" in error(tmp_path / "new", "--targets", "child7")
    assert "--arch single has nothing to transfer" in error(tmp_path / "new2", "--arch", "single")
    assert "found 1 task in --tasks" in error(tmp_path / "new4", "--only", "child1")
    assert not (tmp_path / "new4").exists()
    assert (tmp_path / "mine.txt").read_text() == "mine"


@pytest.mark.parametrize(
    "wrong",
    [
        {"arms": []},
        {"arms": {"star": {"test": 0.5}}},
        {"arms": {"star": {"test": "0.5", "test_dedup": 1}}},
        {"draw": None},
    ],
)
def test_a_damaged_cell_is_named(wrong, tmp_path):
    (tmp_path / "cells").mkdir()
    path = tmp_path / "cells" / "a-20-0.json"
    cell = {"target": "a", "examples": 20, "draw": 0, "n_train": 16, "n_valid": 4, "metric": "accuracy", "arms": {}}
    path.write_text(json.dumps(cell))
    assert read_cells(tmp_path)[0].examples == 20
    path.write_text(json.dumps(cell | wrong))
    with pytest.raises(InputError, match=r"a-20-0\.json: no cell of a leave-one-out experiment .*; remove it"):
        read_cells(tmp_path)
