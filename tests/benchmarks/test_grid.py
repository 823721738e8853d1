import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import grid
from graphmtl.data.kind import NO_LABEL
from graphmtl.data.task import Task
from graphmtl.errors import InputError
from graphmtl.training.run_folder import Run
from tests import tagging
from tests.parts import lists, predictions_of

KNOWN = Task(name="known", labels=("no", "yes"))


def tags_of(task, sentences=60, seed=0):
    """Random predictions of a tagging task, some labels missing."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 9, size=sentences)
    tags, labels = ([rng.integers(len(task.labels), size=length) for length in lengths] for _ in range(2))
    for own in labels:
        own[rng.random(len(own)) < 0.1] = NO_LABEL
    seen = rng.random(sentences) < 0.2
    whole = predictions_of(lists(labels), lists(tags), seen=seen)
    return whole.chosen(np.array([(own != NO_LABEL).any() for own in labels]))


def classes(right, seed=0):
    """Predictions of a classification task, ``right`` (examples,) of which are right."""
    labels = np.random.default_rng(seed).integers(2, size=len(right))
    return predictions_of(labels, np.where(right, labels, 1 - labels))


def both(task, predictions):
    return {task.name: (grid.shares(task, predictions), np.asarray(predictions.seen))}


@pytest.mark.parametrize("task", [tagging.POS, tagging.NER])
def test_the_sums_of_the_shares_give_the_score(task):
    predictions = tags_of(task)
    right, of = grid.shares(task, predictions).sum(0)
    expected = task.of_kind.scores(predictions)[task.metrics[0]]
    assert right / of == pytest.approx(expected, abs=1e-6)


def test_the_difference_is_that_of_the_scores_and_its_interval_is_students():
    rng = np.random.default_rng(0)
    ours, theirs = rng.random(900) < 0.8, rng.random(900) < 0.7
    mean, low, high = grid.bootstrap(both(KNOWN, classes(ours)), both(KNOWN, classes(theirs)), dedup=False)
    difference = 100 * (ours.astype(float) - theirs)
    assert mean == pytest.approx(difference.mean())
    half = 1.96 * difference.std() / 30
    assert (low, high) == pytest.approx((mean - half, mean + half), abs=0.1 * half)


def test_a_run_differs_from_itself_by_nothing_and_seen_examples_can_be_left_out():
    ours, theirs = both(tagging.NER, tags_of(tagging.NER)), both(tagging.NER, tags_of(tagging.NER))
    assert grid.bootstrap(ours, ours, dedup=False) == (0, 0, 0)
    theirs["ner"][0][theirs["ner"][1]] = 0  # what is seen differs, and only that
    assert grid.bootstrap(ours, theirs, dedup=False)[0] != 0
    assert grid.bootstrap(ours, theirs, dedup=True) == (0, 0, 0)


def test_a_metric_that_is_no_ratio_of_sums():
    task = Task(name="known", labels=("no", "yes"), metrics=("matthews",))
    with pytest.raises(InputError, match="task known: no interval over test examples for matthews"):
        grid.shares(task, classes(np.array([True])))


def test_the_seed_in_options_is_the_runs(tmp_path, monkeypatch):
    commands = []
    monkeypatch.setattr("subprocess.run", lambda command: commands.append(command) or SimpleNamespace(returncode=0))
    for seed in (3, 4):
        grid.train(tmp_path / f"{seed}", "cmtr", seed, ["--teachers", "runs/shared-{seed}"])
    assert [command[-1] for command in commands] == ["runs/shared-3", "runs/shared-4"]


@pytest.fixture
def predicted(monkeypatch):
    """Makes runs of the predictions that are given."""

    def run(right, seen=0, seed=0):
        predictions = classes(np.array(right), seed=seed)
        predictions.seen[:seen] = True
        return {"known": SimpleNamespace(task=KNOWN)}, {"known": predictions}

    monkeypatch.setattr(grid, "predict_run", lambda run, split: run)
    return run


def test_examples_are_scored_by_their_mean_over_seeds(predicted):
    seeds = [predicted([True, True, False, False]), predicted([True, False, False, True], seen=2)]
    shares, seen = grid.examples(seeds)["known"]
    assert shares.tolist() == [[1, 1], [0.5, 1], [0, 1], [0.5, 1]]
    assert seen.tolist() == [True, True, False, False]


def test_seeds_with_other_test_examples_are_not_averaged(predicted):
    for other in (predicted([True] * 8, seed=1), predicted([True] * 7)):
        with pytest.raises(InputError, match="task known: --bootstrap is for tasks whose test examples are the same"):
            grid.examples([predicted([True] * 8), other])


def test_with_several_seeds_the_bootstrap_is_a_table_of_its_own(finished, tmp_path, capsys, predicted, monkeypatch):
    for name in ("shared-0", "shared-1", "star-0", "star-1"):
        shutil.copytree(finished(name[:-2]).run.folder, tmp_path / name)
    right = {"shared": predicted([True, False, False, False]), "star": predicted([True, True, False, False])}
    monkeypatch.setattr(grid, "predict_run", lambda run, split: right[run.options.arch])
    command = ["--archs", "shared,star", "--seeds", "0,1", "--runs", str(tmp_path)]
    for extra, tables in (([], 1), (["--bootstrap"], 2)):
        grid.main([*command, *extra])
        rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| star - shared |")]
        assert len(rows) == tables
    assert rows[1].startswith("| star - shared | +25.00 [")


def test_runs_of_other_data_are_not_compared(finished, tmp_path):
    runs = {}
    for arch in ("shared", "star"):
        runs[arch] = [Run(shutil.copytree(finished(arch).run.folder, tmp_path / arch))]
    grid.check_same_data(runs)
    path = tmp_path / "star" / "data.json"
    content = json.loads(path.read_text())
    content["tasks"]["child1"]["test"]["text_sum"] = "0" * 64
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"star: not trained on the data of .*shared: task 'child1' has other texts"):
        grid.check_same_data(runs)
    path.unlink()
    grid.check_same_data(runs)
