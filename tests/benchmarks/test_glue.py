from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import glue

TASKS = ["cola", "rte", "mrpc"]


@pytest.fixture
def search(monkeypatch, tmp_path):
    """A search whose runs are never trained: the second trial is the best of ``single``, the last of all others."""
    commands = {}

    def train(path, arch, seed, extra):
        commands[path.name] = [arch, *extra]

    def opened(path):
        trial = int(path.name.split("-")[-2])
        best = 1 if path.name.startswith("single") else 2
        return SimpleNamespace(folder=path, metrics={"mean": {"valid": 0.5 - abs(best - trial) / 10}})

    monkeypatch.setattr(glue, "TRIALS", ("--lr 1e-3", "--lr 2e-3", "--lr 3e-3"))
    monkeypatch.setattr(glue.grid, "train", train)
    monkeypatch.setattr(glue.Run, "open", opened)
    return glue.Search(runs=tmp_path, seed=7, extra=["--epochs", "2"], trials=3), commands


def test_every_architecture_has_all_trials_and_chooses_by_validation(search):
    search, commands = search
    assert [search.chosen(name) for name in ("single", "shared")] == [1, 2]
    assert [*commands] == [f"{name}-{trial}-7" for name in ("single", "shared") for trial in range(3)]
    assert commands["shared-1-7"] == ["shared", "--epochs", "2", *glue.TRIALS[1].split()]
    assert search.rows()[2:] == ["| single | 40.00 | **50.00** | 40.00 |", "| shared | 30.00 | 40.00 | **50.00** |"]


def test_cmtr_with_teachers_has_the_trial_of_cmtr(search):
    search, commands = search
    assert search.chosen("cmtr-taught") == 2
    assert [*commands] == [f"cmtr-{trial}-7" for trial in range(3)]


def test_with_one_trial_there_is_no_search(search, tmp_path):
    _, commands = search
    assert glue.Search(runs=tmp_path, seed=7, extra=[], trials=1).chosen("shared") == 0
    assert [*commands] == ["shared-0-7"]


@pytest.mark.parametrize(
    ("name", "option", "needed"),
    [("cmtr-taught", "--teachers", "shared-2-9"), ("adapter-fusion", "--adapters", "adapters-2-9")],
)
def test_what_another_run_is_needed_for_gets_the_one_of_its_seed_and_its_own_best_trial(search, name, option, needed):
    search, commands = search
    search.run(name, 0, 9)
    command = commands[f"{name}-0-9"]
    assert command[command.index(option) + 1].endswith(f"/{needed}")
    assert needed in commands


def test_the_control_is_a_run_of_its_own(search):
    search, commands = search
    search.run("cmtr", 1, 7, shuffled=True)
    assert commands["cmtr-shuffled-1-7"][-1] == "--shuffle-labels"


def gates(rows, seeds=3, noise=0.0):
    """Gates in percent, some noise on them, that sum to 100: (seeds, K, K)."""
    rng = np.random.default_rng(0)
    values = np.array(rows, float) + noise * rng.random((seeds, len(rows), len(rows)))
    return 100 * values / values.sum(-1, keepdims=True)


def test_gates_that_say_nothing_differ_by_nothing_and_agree_by_chance():
    equal = gates([[50, 25, 25], [25, 50, 25], [25, 25, 50]])
    assert glue.spread_between_sources(equal) == pytest.approx(np.zeros(3))
    assert abs(glue.agreement(gates([[1.0] * 6] * 6, seeds=20, noise=1))) < 0.1


def test_gates_that_differ_do_so_whatever_the_own_share():
    some, less = gates([[50, 40, 10], [20, 50, 30], [25, 25, 50]]), gates([[90, 8, 2], [4, 90, 6], [5, 5, 90]])
    assert glue.spread_between_sources(some) == pytest.approx(np.full(3, (30 + 10 + 0) / 3))
    assert glue.spread_between_sources(less) == pytest.approx(glue.spread_between_sources(some))
    assert glue.agreement(some) == pytest.approx(1)


def test_what_the_gates_say():
    lines = glue.words(TASKS, gates([[80, 15, 5], [10, 50, 40], [20, 20, 60]]))
    assert lines[0] == (
        "- cola reads 80 % from itself and most of the rest from rte (15.0 %), least from mrpc (5.0 %); "
        "each other task reads 15.0 % from it"
    )


def test_the_tables_of_gates_and_of_their_control():
    def runs(values):
        graphs = [SimpleNamespace(matrix=lambda own=own: own / 100) for own in values]
        return [
            SimpleNamespace(task_graph=graph, model=SimpleNamespace(tasks=dict.fromkeys(TASKS))) for graph in graphs
        ]

    true, shuffled = gates([[80, 15, 5], [10, 50, 40], [20, 20, 60]]), gates(np.eye(3) + 0.1)[:2]
    lines = glue.gate_lines(runs(true), runs(shuffled))
    assert "| cola | 80.0 ± 0.0 | 15.0 ± 0.0 | 5.0 ± 0.0 |" in lines
    assert "| standard deviation over sources, points | 18.33 ± 0.00 | 0.00 ± 0.00 |" in lines
    assert lines[-1] == "The difference of the first row, the same seeds: +18.33 [+18.33, +18.33]."
