import json
import logging
import subprocess
import sys
from types import SimpleNamespace

import pytest

import graphmtl
from graphmtl.comparison.grid import Grid, _Training
from graphmtl.comparison.search import Search, Searched, Trial, check_search, draw, search
from graphmtl.comparison.space import Range
from graphmtl.comparison.variants import Variant, variants
from graphmtl.errors import InputError
from graphmtl.run import main as run
from graphmtl.training.run import Run
from tests import tiny

FLAGS = tiny.flags(**tiny.OPTIONS)
SPACE = {"lr": Range(1e-4, 1e-1, log=True), "hidden": (4, 8, 16), "score": ("additive", "dot")}


def scores_of(options):
    """Of two tasks, as if training were a function of its options."""
    hidden = {4: 0.1, 8: 0.2, 16: 0.3}[options.hidden]
    return {"a": 0.5 + hidden / 10 + options.lr, "b": None if options.arch == "ple" else 0.5 - hidden}


@pytest.fixture
def trained(monkeypatch):
    """The trials that were trained, by variant and number; those with a high rate fail, and ``ended`` ends one."""
    done = SimpleNamespace(names=[], ended=None)

    def train(self, cell, log, held):
        done.names.append((cell.name, cell.number))
        if len(done.names) == done.ended:
            raise KeyboardInterrupt
        options = cell.options()
        cell.folder.mkdir(parents=True, exist_ok=True)
        (cell.folder / "data.json").write_text("{}")
        (cell.folder / "model").mkdir(exist_ok=True)
        if options.lr > 0.05:
            log.write(b"reading\ngraphmtl: error: the loss is nan\n")
            return False
        tasks = {name: {"metric": "f1", "valid": {"f1": score}} for name, score in scores_of(options).items()}
        found = {"tasks": tasks, "mean": {"valid": 0.5}, "train_seconds": 10.0}
        cell.result.write_text(json.dumps(found))
        return True

    monkeypatch.setattr(_Training, "_run", train)
    return done


def grid_in(folder, *archs, settings=(), flags=FLAGS, seed=0):
    return Grid(folder=folder, variants=variants(archs, settings), seeds=[seed, 1], flags=flags)


def files(folder):
    """What is kept of a search."""
    return {path.name: path.read_bytes() for path in (folder / "search").iterdir() if path.is_file()}


@pytest.mark.filterwarnings("ignore:the search for shared leaves an option as it is")
def test_every_variant_has_the_same_number_of_trials_and_its_best(trained, tmp_path):
    grid = grid_in(tmp_path, "star", "shared")
    star, shared = found = search(grid, trials=6, space=SPACE)
    assert [len(each.trials) for each in found] == [6, 6]
    assert trained.names[:4] == [("star", 0), ("shared", 0), ("star", 1), ("shared", 1)]
    assert [*star.space] == ["lr", "hidden", "score"]
    assert [*shared.space] == ["lr", "hidden"]
    for each in found:
        given = {"lr": 0.01, "hidden": 8, "score": "additive"}
        assert each.trials[0].options == {name: given[name] for name in each.space}
        assert each.best.score == max(trial.score or 0 for trial in each.trials)
        cell = grid.cell(each.chosen, 0)
        assert {name: getattr(cell.options(), name) for name in each.space} == each.best.options
        scores = scores_of(cell.options())
        assert each.best.score == pytest.approx((scores["a"] + scores["b"]) / 2)
        assert each.best.tasks == scores
    grid.choose([each.chosen for each in found])
    assert [cell.folder.name for cell in grid.cells()[2:]] == [
        f"star-trial-{star.best.number}-1",
        f"shared-trial-{shared.best.number}-1",
    ]


def test_the_first_trial_is_the_run_as_given(trained, tmp_path):
    grid = grid_in(tmp_path, "star")
    (found,) = search(grid, trials=2, space={"lr": (0.0001, 0.0002)})
    assert found.best.number == 0
    assert found.chosen == found.variant
    grid.choose([found.chosen])
    assert grid.cells()[0].folder == tmp_path / "runs" / "star-0"


def test_of_equal_scores_the_first_is_best():
    trials = [Trial(number=i, options={"lr": i}, score=score) for i, score in enumerate([0.4, None, 0.6, 0.6])]
    variant = Variant(name="star", arch="star")
    assert Searched(variant=variant, space={}, trials=trials, folder=None).best.number == 2
    assert Searched(variant=variant, space={}, trials=trials[1:2], folder=None).best is trials[1]


def test_a_search_that_was_ended_goes_on_to_the_same_end(trained, tmp_path):
    search(grid_in(tmp_path / "whole", "star", "complete"), trials=6, space=SPACE)
    whole = files(tmp_path / "whole")
    assert len(trained.names) == 12
    for ended in (4, 9):
        trained.names, trained.ended = [], ended
        folder = tmp_path / str(ended)
        with pytest.raises(KeyboardInterrupt):
            search(grid_in(folder, "star", "complete"), trials=6, space=SPACE)
        finished = {(path.parts[-3], int(path.parts[-2])) for path in folder.rglob("validation.json")}
        trained.names, trained.ended = [], None
        search(grid_in(folder, "star", "complete"), trials=6, space=SPACE)
        assert files(folder) == whole
        assert not finished & {*trained.names}


def test_what_is_tried_depends_neither_on_the_processes_nor_on_how_often_the_search_went_on(trained, tmp_path):
    search(grid_in(tmp_path / "a", "star"), trials=11, space=SPACE)
    search(grid_in(tmp_path / "b", "star"), trials=11, space=SPACE, jobs=3)
    for trials in (2, 5, 9, 11):
        (found,) = search(grid_in(tmp_path / "c", "star"), trials=trials, space=SPACE)
        assert len(found.trials) == trials
    assert files(tmp_path / "a") == files(tmp_path / "b") == files(tmp_path / "c")
    trained.names.clear()
    (less,) = search(grid_in(tmp_path / "c", "star"), trials=3, space=SPACE)
    assert len(less.trials) == 3
    assert trained.names == []


def test_a_trial_that_fails_is_kept_and_not_tried_again(trained, tmp_path, capsys):
    (found,) = search(grid_in(tmp_path, "star"), trials=4, space={"lr": (0.06, 0.07, 0.02)})
    failed = [trial for trial in found.trials if trial.score is None]
    assert sorted(trial.options["lr"] for trial in failed) == [0.06, 0.07]
    assert {trial.state for trial in failed} == {"failed: the loss is nan"}
    assert found.best.options == {"lr": 0.02}
    assert f"star, trial {failed[0].number}: the run failed (the loss is nan)" in capsys.readouterr().err
    trained.names.clear()
    assert search(grid_in(tmp_path, "star"), trials=4, space={"lr": (0.06, 0.07, 0.02)}) == [found]
    assert trained.names == []


def test_where_all_fail_the_options_stay_as_given(trained, tmp_path, capsys):
    (found,) = search(grid_in(tmp_path, "star", flags=[*FLAGS, "--lr", "0.09"]), trials=2, space={"lr": (0.08,)})
    assert found.chosen == found.variant
    assert found.run is None
    assert "star: all 2 trials have failed; its options stay as given" in capsys.readouterr().out


def test_a_space_that_holds_no_more_ends_the_search(trained, tmp_path):
    with pytest.warns(match="the search for star ends after 3 trials: its space holds no more"):
        (found,) = search(grid_in(tmp_path, "star"), trials=9, space={"hidden": (4, 8, 16)})
    assert sorted(trial.options["hidden"] for trial in found.trials) == [4, 8, 16]


def test_the_task_that_epochs_are_selected_by_is_what_is_searched_for(trained, tmp_path):
    (found,) = search(grid_in(tmp_path, "star", flags=[*FLAGS, "--select-by", "a"]), trials=4, space=SPACE)
    assert [trial.score for trial in found.trials] == [trial.tasks["a"] for trial in found.trials]


def test_a_score_that_does_not_exist_counts_as_none(trained, tmp_path):
    (found,) = search(grid_in(tmp_path, "ple"), trials=2, space={"lr": (0.02,)})
    assert found.best.score == pytest.approx(found.best.tasks["a"] / 2)


def test_a_budget_ends_it_for_all_at_once_and_for_good(trained, tmp_path):
    for _ in range(2):
        with pytest.warns(match="--budget 70: the search ends after 4 trials each, which took 80 seconds"):
            found = search(
                grid_in(tmp_path, "star", "complete"), trials=20, space={"lr": (1e-3, 2e-3, 3e-3, 4e-3)}, budget=70
            )
        assert [len(each.trials) for each in found] == [4, 4]
        assert len(trained.names) == 8


def test_what_a_trial_leaves(trained, tmp_path):
    search(grid_in(tmp_path, "star"), trials=2, space=SPACE)
    place = tmp_path / "search"
    assert {path.name for path in (place / "star" / "1").iterdir()} == {"data.json", "validation.json"}
    lines = (place / "star.csv").read_text().splitlines()
    assert lines[0] == "trial,lr,hidden,score,validation,seconds,state"
    assert len(lines) == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"space": {**SPACE, "lr": (0.1,)}},
            r"star\.json: space is .*; a search goes on with what it was started with",
        ),
        ({"seed": 3}, r"star\.json: seed is 0, not 3"),
    ],
)
def test_another_search_in_the_folder_is_refused(changes, message, trained, tmp_path):
    search(grid_in(tmp_path, "star"), trials=2, space=SPACE)
    with pytest.raises(InputError, match=message):
        search(grid_in(tmp_path, "star", seed=changes.get("seed", 0)), trials=2, space=changes.get("space", SPACE))


def test_a_search_that_was_ended_in_its_first_trials_goes_on_with_its_space(tmp_path):
    star = Variant(name="star", arch="star")
    Search(grid=grid_in(tmp_path, "star"), variant=star, space=SPACE).cells(2)  # which are being trained
    with pytest.raises(InputError, match="a search goes on with what it was started with"):
        Search(grid=grid_in(tmp_path, "star"), variant=star, space={"lr": (0.5, 0.25)})
    with pytest.raises(InputError, match="seed is 0, not 7"):
        Search(grid=grid_in(tmp_path, "star", seed=7), variant=star, space=SPACE)


def test_a_damaged_file_is_named(trained, tmp_path):
    search(grid_in(tmp_path, "star"), trials=2, space=SPACE)
    path = tmp_path / "search" / "star.json"
    whole = path.read_text()
    for wrong in (
        ('"number"', '"numbr"'),
        ('"why": null', '"why": 3'),
        ('"seconds": ', '"seconds": 1, "more": '),
    ):
        path.write_text(whole.replace(*wrong))
        with pytest.raises(InputError, match=r"star\.json: damaged .*; remove .*search, and the search begins anew"):
            Search(grid=grid_in(tmp_path, "star"), variant=Variant(name="star", arch="star"), space=SPACE)


def test_what_makes_a_variant_what_it_is_stays(trained, tmp_path):
    with pytest.warns(match="the search for star leaves an option as it is: --score is its own"):
        (found,) = search(grid_in(tmp_path, "star", settings=["star.score=dot"]), trials=4, space=SPACE)
    assert all("score" not in trial.options for trial in found.trials)


SIDE = {"x": Range(0.0, 1.0)}


def mean_draw(score):
    """The mean of what is drawn after trials with these scores."""
    tried = [0.5, 0.1, 0.9, 0.3, 0.7, 0.2, 0.8, 0.4]
    past = [Trial(number=i, options={"x": x}, score=score(x)) for i, x in enumerate(tried)]
    drawn = [own["x"] for seed in range(3) for own in draw(SIDE, past, given={}, count=4, seed=seed)]
    return sum(drawn) / len(drawn)


def test_later_draws_are_near_what_was_good():
    assert mean_draw(lambda x: -abs(x - 0.9)) > mean_draw(lambda x: -abs(x - 0.1)) + 0.15


def test_what_failed_is_kept_away_from():
    assert mean_draw(lambda x: None if x < 0.45 else 0.5) > mean_draw(lambda x: None if x > 0.45 else 0.5) + 0.1


def test_what_is_drawn_is_in_the_space_new_and_the_same_each_time():
    space = {"lr": Range(1e-4, 1e-2, log=True), "n": Range(2, 64), "score": ("a", "b")}
    given = {"lr": 5.0, "n": 3, "score": "a"}
    found = draw(space, [], given=given, count=8, seed=3)
    assert found[0] == given
    assert found == draw(space, [], given=given, count=8, seed=3)
    assert found[:4] == draw(space, [], given=given, count=4, seed=3)
    assert found != draw(space, [], given=given, count=8, seed=4)
    for each in found[1:]:
        assert 1e-4 <= each["lr"] <= 1e-2
        assert each["lr"] == float(f"{each['lr']:.3g}")
        assert isinstance(each["n"], int)
        assert 2 <= each["n"] <= 64
        assert each["score"] in ("a", "b")
    past = [Trial(number=i, options=own, score=0.5) for i, own in enumerate(found)]
    later = draw(space, past, given=given, count=4, seed=3)
    assert all(each not in found for each in later)


def test_optunas_own_lines_are_not_printed():
    import optuna

    lines = []
    handler = logging.Handler()
    handler.emit = lines.append
    before = optuna.logging.get_verbosity()
    logging.getLogger("optuna").addHandler(handler)
    try:
        draw(SPACE, [], given={}, count=2, seed=0)
        assert lines == []
        assert optuna.logging.get_verbosity() == before
        optuna.create_study()
        assert len(lines) == 1
    finally:
        logging.getLogger("optuna").removeHandler(handler)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((1, None, False), "--search: found 1, expected 2 trials or more"),
        ((-3, None, False), "--search: found -3"),
        ((0, None, True), "--space: says how --search N goes; found no --search"),
        ((0, 3.0, False), "--budget: says how --search N goes"),
        ((4, 0.0, False), "--budget: found 0, expected seconds"),
        ((4, float("nan"), False), "--budget: found nan"),
    ],
)
def test_mistakes(given, message):
    trials, budget, space = given
    with pytest.raises(InputError, match=message):
        check_search(trials, budget, space=space)
    check_search(2, 1.0, space=True)
    check_search(0, None, space=False)


def test_without_optuna_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(InputError, match=r"--search 4: needs optuna .*; `pip install graphmtl\[search\]`"):
        check_search(4, None, space=False)


def test_the_process_of_a_trial_makes_no_test(monkeypatch, tmp_path):
    commands = []

    class Started:
        def __init__(self, command, **_):
            commands.append(command)

        def wait(self):
            return 1

    monkeypatch.setattr(subprocess, "Popen", Started)
    cell = Search(
        grid=grid_in(tmp_path, "star"), variant=Variant(name="star", arch="star"), space={"lr": (0.02,)}
    ).cells(2)[1]
    cell.folder.parent.mkdir(parents=True)
    assert not _Training(1)._run(cell, None, None)
    (command,) = commands
    assert command[1:3] == ["-m", "graphmtl.run"]
    assert command[-1] == "--no-test"
    assert command[command.index("--lr=0.02") + 1 :][:2] == ["--seed", "0"]


@pytest.fixture
def here(monkeypatch):
    """Runs are made in this process."""

    def train(self, cell, log, held):
        flags = [*cell.flags, "--output", str(cell.folder), "--resume", "--no-progress"]
        run([*flags, *([] if cell.tested else ["--no-test"])])
        return True

    monkeypatch.setattr(_Training, "_run", train)


def own_tasks(folder):
    folder.mkdir()
    tiny.write_tasks(folder)
    return folder / "tasks.yaml"


def test_the_labels_of_the_test_split_change_nothing_in_what_is_chosen(here, tmp_path):
    chosen = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        tasks = own_tasks(folder)
        test = folder / "test.tsv"
        texts = [line.rpartition("\t")[0] for line in test.read_text().splitlines()[1:]]
        if folder.name == "b":
            test.write_text("premise\thypothesis\tlabel\n" + "".join(f"{text}\tyes\n" for text in texts))
        flags = [*FLAGS, "--tasks", str(tasks)]
        (found,) = search(grid_in(folder / "out", "shared", flags=flags), trials=2, space={"lr": (0.1,)})
        chosen.append((found.best.number, [(trial.options, trial.score, trial.tasks) for trial in found.trials]))
        assert "test" not in (folder / "out" / "search" / "shared" / "0" / "validation.json").read_text()
    assert chosen[0] == chosen[1]


@pytest.mark.filterwarnings("ignore:--.* has no effect")
def test_the_chosen_options_are_those_of_all_seeds_and_stand_in_the_report(here, tmp_path):
    tasks, out = own_tasks(tmp_path / "tasks"), tmp_path / "out"
    values = {"archs": ["shared"], "seeds": [0, 1], "baselines": False, "output": out}
    values |= {"search": 2, "space": {"epochs": [6]}} | tiny.OPTIONS | {"epochs": 1, "lr": 0.05}
    found = graphmtl.compare(tasks, **values)
    own = json.loads((out / "comparison.json").read_text())["search"]["shared"]
    assert own["chosen"] == 1
    (row,) = found.compared.rows.values()
    assert row.metrics[0]["mean"]["valid"] == own["trials"][1]["score"]
    assert [Run.open(out / "runs" / f"shared-trial-1-{seed}").options.epochs for seed in (0, 1)] == [6, 6]
    assert "<details><summary>Trials of shared</summary>" in (out / "report.html").read_text()
    assert "| shared | 2 | 0 | 1 |" in (out / "comparison.md").read_text()
    path = out / "search" / "shared" / "1" / "data.json"
    content = json.loads(path.read_text())
    content["tasks"]["pairs"]["train"]["text_sum"] = "0" * 64
    path.write_text(json.dumps(content))
    with pytest.raises(
        InputError, match=r"search/shared/1: not trained on the data of .*shared-trial-1-0: task 'pairs'"
    ):
        graphmtl.compare(tasks, **values)
