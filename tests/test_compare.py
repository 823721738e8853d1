"""The verb compare: what it prints and leaves, what a kill leaves, and what a user's mistakes lead to."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from graphmtl.cli import main
from graphmtl.comparison import bootstrap
from graphmtl.comparison.grid import _Training
from tests import tiny

ROOT = Path(__file__).parents[1]
FLAGS = tiny.flags(**tiny.OPTIONS)


@pytest.fixture
def trained(finished, monkeypatch):
    """Runs are copies of finished ones; those of ``mmoe`` fail."""
    monkeypatch.setattr(bootstrap, "DRAWS", 250)
    flags = {}

    def run(self, cell, log, held):
        flags[cell.folder.name] = list(cell.flags)
        if cell.name != "mmoe":
            shutil.copytree(finished(cell.options().arch).run.folder, cell.folder)
        return cell.name != "mmoe"

    monkeypatch.setattr(_Training, "_run", run)
    return flags


def test_the_sentence_comes_first_then_a_table_of_80_columns(trained, tiny_tasks, tmp_path, capsys):
    command = ["--tasks", tiny_tasks, "--archs", "single,star", "star.score=dot", "--output", f"{tmp_path}/c"]
    main(["compare", *command, *FLAGS, "--no-baselines"])
    lines = capsys.readouterr().out.splitlines()
    first = next(i for i, line in enumerate(lines) if "training alone" in line)
    assert [line.split()[0] for line in lines[:first]] == ["2", "single,", "star,"]
    assert max(map(len, lines[first:-1])) <= 80
    assert lines[-1] == f"report: {tmp_path}/c/report.html   tables: {tmp_path}/c/comparison.md"
    assert "--score=dot" in trained["star-0"]
    assert f"Command: `graphmtl compare --tasks {tiny_tasks}" in (tmp_path / "c" / "comparison.md").read_text()


def test_a_setting_may_stand_first_and_a_variant_is_one_more_row(trained, tiny_tasks, tmp_path):
    main(
        [
            *("compare", "star.score=dot", "--tasks", tiny_tasks, "--archs", "star", "--set", "star.lr=0.5"),
            *("--variant", "wide", "star --hidden 9", "--output", f"{tmp_path}/c", "--no-baselines", *FLAGS),
        ]
    )
    assert {"--score=dot", "--lr=0.5"} <= {*trained["star-0"]}
    assert trained["wide-0"][-4:] == ["--hidden", "9", "--seed", "0"]


def test_a_failed_run_is_exit_code_1(trained, tiny_tasks, tmp_path, capsys):
    command = ["--tasks", tiny_tasks, "--archs", "single,mmoe", "--output", f"{tmp_path}/c", "--no-baselines"]
    with pytest.raises(SystemExit) as leaving:
        main(["compare", *command, *FLAGS])
    assert leaving.value.code == 1
    printed = capsys.readouterr()
    assert "graphmtl: not in the tables: mmoe, seed 0\n" in printed.err
    assert "single alone was measured" in printed.out.replace("training alone alone", "single alone")


def test_finished_runs(finished, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(bootstrap, "DRAWS", 250)
    folders = [str(shutil.copytree(finished(arch).run.folder, tmp_path / arch)) for arch in ("star", "shared")]
    main(["compare", *folders, "--output", f"{tmp_path}/c", "--against", "shared", "--no-baselines"])
    assert capsys.readouterr().out.startswith(("star is better than shared for ", "star is within chance of shared"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([".", "--seeds", "0"], "--seeds: finished runs are compared as they are"),
        ([".", "--overwrite"], "--overwrite: finished runs are compared as they are"),
        ([".", "--epochs", "3"], "--epochs: finished runs are compared as they are"),
        (
            ["stra.score=dot", "--epochs", "3"],
            "stra.score=dot: no such run folder; an option of an architecture is NAME",
        ),
        (["sta.score=dot"], "sta.score=dot: no such run folder"),
        (["RUN"], "RUN: no such run folder"),
        ([".", "--search", "3"], "--search: finished runs are compared as they are"),
        (["--search", "1"], "--search: found 1, expected 2 trials or more"),
        (["--search", "2", "--space", "space.yaml"], "space.yaml: no such file"),
        (["--space", "space.yaml"], "--space: says how --search N goes; found no --search"),
        (["--seeds", "0,a"], "--seeds: found '0,a', expected whole numbers with commas between"),
        (["--seed", "0"], "--seed: a comparison gives it to each of its runs"),
        (["--epochs", "none"], "--epochs: Expected a int"),
        (["--tasks", "no-such-set"], "no-such-set"),
    ],
)
def test_mistakes(arguments, message, error_of, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert message in error_of("compare", *arguments)
    assert not (tmp_path / "runs").exists()


def _killed_while_it_trains(command: list[str], folder: Path) -> None:
    """Starts a command and kills it with all its processes in the middle of the first run."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    start = [sys.executable, "-m", "graphmtl.compare", *command]
    with subprocess.Popen(
        start, cwd=ROOT, env=environment, start_new_session=True, stdout=subprocess.DEVNULL
    ) as process:
        for _ in range(30_000):
            if (folder / "runs" / "shared-0" / "history.jsonl").is_file() or process.poll() is not None:
                break
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGKILL)


@pytest.fixture
def in_this_process(monkeypatch):
    """Runs are gone on with here, without the seconds that a process takes to load."""

    def run(self, cell, log, held):
        main(["run", *cell.flags, "--output", str(cell.folder), "--resume"])
        return True

    return lambda: monkeypatch.setattr(_Training, "_run", run)


def test_killed_in_the_middle_and_started_again_it_ends_with_the_same_table(tmp_path, in_this_process):
    """The run that is killed is a process of its own, as users have it."""
    epochs = ["--epochs", "12", "--patience", "0"]
    command = ["--archs", "shared,star", "--no-baselines", *FLAGS, *epochs, "--output"]
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    _killed_while_it_trains([*command, str(killed)], killed)
    assert (killed / "runs" / "shared-0" / "history.jsonl").is_file()
    assert not (killed / "comparison.md").exists()
    assert not (killed / "runs" / "shared-0" / "metrics.json").exists()
    in_this_process()
    main(["compare", *command, str(killed)])
    for arch in ("shared", "star"):  # the uninterrupted ones
        main(["run", "--arch", arch, *FLAGS, *epochs, "--output", str(whole / "runs" / f"{arch}-0")])
    shutil.copy(killed / "grid.json", whole)
    main(["compare", *command, str(whole)])
    ours, theirs = (json.loads((folder / "comparison.json").read_text()) for folder in (killed, whole))
    for one in (ours, theirs):
        one.pop("made_by")
        for row in one["rows"].values():
            row.pop("minutes")
    assert ours == theirs
