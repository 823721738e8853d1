import fcntl
import json
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from graphmtl.comparison import grid
from graphmtl.comparison.grid import (
    Cell,
    Grid,
    _alone,
    _Training,
    check_same_data,
    check_seeds,
    train_cells,
    without_seed,
)
from graphmtl.comparison.variants import variants
from graphmtl.errors import InputError
from graphmtl.files import read_json
from graphmtl.options import make_options
from graphmtl.training.run import Run
from tests import tiny

FLAGS = tiny.flags(**tiny.OPTIONS)


@pytest.fixture
def trained(finished, monkeypatch):
    """The runs that were trained, by their folders' names; each is a copy of the finished run of ``shared``."""
    names = []

    def run(self, cell, log, held):
        names.append(cell.folder.name)
        if cell.name == "mmoe":
            log.write(b"reading\ngraphmtl: error: a.csv, line 3: no label\n")
            return False
        shutil.copytree(finished("shared").run.folder, cell.folder, dirs_exist_ok=True)
        return True

    monkeypatch.setattr(_Training, "_run", run)
    return names


def small(folder, *archs, seeds=(0, 1), settings=(), flags=FLAGS):
    return Grid(folder=folder, variants=variants(archs, settings), seeds=seeds, flags=flags)


def test_commands_that_begin_at_once_lose_none_of_each_others_variants(tmp_path, monkeypatch):
    """Each reads what is there and adds its own; between the two another one may write."""
    reads = grid._variants

    def slow(path):
        found = reads(path)
        time.sleep(0.05)
        return found

    monkeypatch.setattr(grid, "_variants", slow)
    archs = ("shared", "star", "ple", "mmoe", "cmtr", "single")
    with ThreadPoolExecutor(len(archs)) as pool:
        for begun in [pool.submit(small, tmp_path / "grid", arch) for arch in archs]:
            begun.result()
    assert read_json(tmp_path / "grid" / "grid.json")["variants"].keys() == {*archs}
    assert {each.name for each in (tmp_path / "grid").iterdir()} == {"grid.json", "runs"}


def test_what_a_killed_command_left_of_its_beginning_is_gone_on_with(tmp_path):
    (tmp_path / ".grid.json.lock").write_text("1\n")
    (tmp_path / ".grid.json.1.part").write_text("{")
    small(tmp_path, "shared")
    assert (tmp_path / "grid.json").is_file()


def test_what_is_finished_is_not_trained_again_and_more_can_be_added(trained, tmp_path):
    assert small(tmp_path, "shared", "star").train() == []
    assert trained == ["shared-0", "star-0", "shared-1", "star-1"]  # seed by seed
    trained.clear()
    assert small(tmp_path, "shared", "star").train(jobs=2) == []
    assert trained == []
    more = small(tmp_path, "shared", "star", "ple", seeds=(0, 1, 2))
    more.train()
    assert trained == ["ple-0", "ple-1", "shared-2", "star-2", "ple-2"]


def test_a_run_has_the_options_of_all_and_its_own(tmp_path):
    own = small(tmp_path, "shared", "star", settings=["star.score=dot"], flags=[*FLAGS, "--hidden", "9"])
    shared, star = own.cells()[2:]
    assert star.options() == make_options(
        **{**tiny.OPTIONS, "arch": "star", "score": "dot", "hidden": 9, "seed": 1, "baselines": False},
        output=str(star.folder),
    )
    assert (shared.options().arch, shared.options().seed, shared.options().hidden) == ("shared", 1, 9)
    assert star.folder == tmp_path / "runs" / "star-1"


def test_a_comparison_trains_no_control_unless_it_is_asked_to(tmp_path):
    assert small(tmp_path / "a", "star", flags=[]).cells()[0].options().control == "never"
    assert small(tmp_path / "b", "star", flags=["--control", "always"]).cells()[0].options().control == "always"


def test_a_run_that_fails_is_named_and_the_others_go_on(trained, tmp_path, capsys):
    failed = small(tmp_path, "shared", "mmoe", "star").train()
    assert list(map(str, failed)) == ["mmoe, seed 0", "mmoe, seed 1"]
    assert len(trained) == 6
    log = tmp_path / "runs" / "mmoe-0.log"
    assert f"graphmtl: mmoe, seed 0: the run failed (a.csv, line 3: no label); see {log}\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"flags": [*FLAGS, "--epochs", "3"]}, "epochs of star is 2, not 3"),
        ({"settings": ["star.score=dot"]}, "score of star is 'additive', not 'dot'"),
        ({"flags": [*FLAGS, "--tasks", "planted+planted"]}, "tasks of star is 'planted', not 'planted"),
    ],
)
def test_a_folder_with_other_options_is_refused_and_what_differs_is_named(changes, message, tmp_path):
    small(tmp_path, "star")
    before = (tmp_path / "grid.json").read_text()
    with pytest.raises(InputError, match=rf"grid\.json: {message}"):
        small(tmp_path, "star", **changes)
    assert (tmp_path / "grid.json").read_text() == before


def test_a_comparison_of_a_version_without_an_option_goes_on_where_it_has_its_default(tmp_path):
    small(tmp_path, "star")
    path = tmp_path / "grid.json"
    kept = json.loads(path.read_text())
    del kept["variants"]["star"]["head_layers"]
    path.write_text(json.dumps(kept))
    with pytest.raises(InputError, match=r"grid\.json: head_layers of star is 0, not 1"):
        small(tmp_path, "star", settings=["star.head_layers=1"])
    small(tmp_path, "star")
    assert json.loads(path.read_text())["variants"]["star"]["head_layers"] == 0


def test_a_folder_that_is_no_comparison_is_left_alone(tmp_path):
    (tmp_path / "thesis.md").write_text("")
    with pytest.raises(InputError, match="exists and is no comparison"):
        small(tmp_path, "star")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.md"]


@pytest.mark.parametrize("flag", ["--arch", "--seed=3", "--output", "--resume", "--overwrite"])
def test_what_a_grid_gives_its_runs_cannot_be_given(flag, tmp_path):
    with pytest.raises(InputError, match=f"{flag.split('=')[0]}.*: a comparison gives it to each of its runs"):
        small(tmp_path, "star", flags=[*FLAGS, flag])


def test_an_option_that_no_run_looks_at_is_named(tmp_path):
    with pytest.warns(match="--cagrad-c has no effect with any of shared, star"):
        small(tmp_path / "a", "shared", "star", flags=[*FLAGS, "--cagrad-c", "0.3"])
    with pytest.warns(match="--score has no effect with shared, which is --arch shared"):
        small(tmp_path / "b", "shared", "star", settings=["shared.score=dot"])


def test_a_run_that_was_ended_before_it_began_is_begun(trained, tmp_path):
    own = small(tmp_path, "shared", seeds=(0,))
    (cell,) = own.cells()
    cell.folder.mkdir()
    (cell.folder / "config.yaml").write_text("format: 2\nar")
    own.train()
    assert Run.open(cell.folder).options.arch == "shared"


def test_two_processes_do_not_train_the_same_run(trained, tmp_path, capsys):
    (cell,) = small(tmp_path, "shared", seeds=(0,)).cells()
    cell.folder.parent.mkdir(exist_ok=True)
    with cell.folder.with_name(f".{cell.folder.name}.lock").open("a") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        thread = threading.Thread(target=train_cells, args=([cell],))
        thread.start()
        said = ""
        for _ in range(3000):
            said += capsys.readouterr().out
            if "another process trains it; its end is waited for" in said:
                break
            time.sleep(0.01)
        else:
            pytest.fail("it does not say that it waits")
        assert trained == []
        fcntl.flock(other, fcntl.LOCK_UN)
        thread.join(30)
    assert trained == ["shared-0"]


def test_a_run_that_another_process_has_finished_meanwhile_is_taken(trained, tmp_path, finished):
    cell = Cell(name="shared", seed=0, folder=tmp_path / "run", flags=())
    training = _Training(1)
    with _alone(cell):
        shutil.copytree(finished("shared").run.folder, cell.folder)
    assert training.train(cell)
    assert trained == []


def test_an_interruption_ends_what_is_trained(monkeypatch, tmp_path):
    ended = []

    def run(self, cell, log, held):
        raise KeyboardInterrupt

    monkeypatch.setattr(_Training, "_run", run)
    monkeypatch.setattr(_Training, "stop", lambda self: ended.append(self))
    with pytest.raises(KeyboardInterrupt):
        train_cells([Cell(name="star", seed=0, folder=tmp_path / "run", flags=())])
    assert len(ended) == 1


def test_processes_share_the_cores_unless_the_user_says_otherwise(monkeypatch):
    monkeypatch.setattr(grid.os, "cpu_count", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert _Training(4)._environment()["OMP_NUM_THREADS"] == "2"
    assert _Training(9)._environment()["OMP_NUM_THREADS"] == "1"
    assert "OMP_NUM_THREADS" not in _Training(1)._environment()
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert _Training(4)._environment()["OMP_NUM_THREADS"] == "3"


def test_a_run_is_a_process_that_says_what_it_does_in_a_file(tmp_path, capsys):
    """An option that is wrong, so that the process ends at once."""
    cell = Cell(name="star", seed=0, folder=tmp_path / "star-0", flags=("--epochs", "none"))
    assert train_cells([cell]) == [cell]
    assert "--epochs: Expected a int" in (tmp_path / "star-0.log").read_text()
    assert "star, seed 0: the run failed (--epochs: Expected a int. Got value: none)" in capsys.readouterr().err


def test_runs_of_other_data_are_not_compared(finished, tmp_path):
    runs = {}
    for arch in ("shared", "star"):
        runs[arch] = [Run(shutil.copytree(finished(arch).run.folder, tmp_path / arch))]
    check_same_data(runs)
    path = tmp_path / "star" / "data.json"
    content = json.loads(path.read_text())
    content["tasks"]["child1"]["test"]["text_sum"] = "0" * 64
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"star: not trained on the data of .*shared: task 'child1' has other texts"):
        check_same_data(runs)
    path.unlink()
    check_same_data(runs)


def test_the_options_of_runs_that_differ_by_the_seed_are_the_same():
    ours, theirs = (
        without_seed(make_options(arch="cmtr", teachers=f"runs/shared-{seed}", seed=seed, output=f"r-{seed}"))
        for seed in (3, 14)
    )
    assert ours == theirs
    assert ours["teachers"] == "runs/shared-{seed}"


@pytest.mark.parametrize(
    ("seeds", "jobs", "message"),
    [([], 1, "--seeds: found none"), ([1, 1], 1, "different"), ([1], 0, "--jobs: found 0")],
)
def test_seeds_and_jobs(seeds, jobs, message):
    with pytest.raises(InputError, match=message):
        check_seeds(seeds, jobs)
    check_seeds(None, 1)


def test_a_cell_says_who_it_is():
    assert str(Cell(name="star", seed=3, folder=Path(), flags=())) == "star, seed 3"


@pytest.mark.parametrize("variants", [True, {"star": 3}])
def test_a_damaged_grid_is_named(variants, tmp_path):
    small(tmp_path, "star")
    (tmp_path / "grid.json").write_text(json.dumps({"variants": variants}))
    with pytest.raises(InputError, match=r"grid\.json: not what graphmtl writes there \(variants: found "):
        small(tmp_path, "star")
