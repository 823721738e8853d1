import json
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import grid
from graphmtl.data.kind import NO_LABEL
from graphmtl.data.task import Task
from graphmtl.errors import InputError
from graphmtl.evaluate import predict_run
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


def numbers(size=200, seed=0):
    """Predictions of a regression task that have something to do with the labels."""
    rng = np.random.default_rng(seed)
    labels = 3 + rng.normal(size=size)
    return predictions_of(labels, labels + rng.normal(size=size))


def scored(task, *predictions):
    """What is known of the runs of several seeds."""
    sums, (score, *_) = zip(*(grid.sums_of(task, each) for each in predictions), strict=True)
    return grid.Scored(sums=np.stack(sums), seen=np.asarray(predictions[0].seen), score=score)


def half_right(size=300, seed=1):
    return classes(np.random.default_rng(seed).random(size) < 0.7)


METRICS = {
    "accuracy": (KNOWN, half_right()),
    "f1": (Task(name="known", labels=("no", "yes"), metrics=("f1",), positive="yes"), half_right()),
    "matthews": (Task(name="known", labels=("no", "yes"), metrics=("matthews",)), half_right()),
    "pearson": (Task(name="score", kind="regression", metrics=("pearson",)), numbers()),
    "tags": (tagging.POS, tags_of(tagging.POS)),
    "spans": (tagging.NER, tags_of(tagging.NER)),
}


@pytest.mark.parametrize("name", METRICS)
def test_the_sums_give_the_score_of_any_examples(name):
    task, predictions = METRICS[name]
    sums, score = grid.sums_of(task, predictions)
    for some in (np.arange(len(predictions)), np.random.default_rng(2).integers(len(predictions), size=40)):
        expected = task.of_kind.scores(predictions.chosen(some))[task.metrics[0]]
        assert score(sums[some].sum(0)) == pytest.approx(expected, abs=1e-6)


def test_a_correlation_with_what_is_always_the_same_is_0():
    task = METRICS["matthews"][0]
    predictions = predictions_of(np.array([0, 1, 1]), np.array([1, 1, 1]))
    sums, score = grid.sums_of(task, predictions)
    assert score(sums.sum(0)) == task.of_kind.scores(predictions)["matthews"] == 0


def test_the_difference_is_that_of_the_scores_and_its_interval_is_students():
    rng = np.random.default_rng(0)
    ours, theirs = rng.random(900) < 0.8, rng.random(900) < 0.7
    drawn = [grid.drawn_scores(scored(KNOWN, classes(right)), "known") for right in (ours, theirs)]
    mean, low, high = grid.bootstrap(*drawn)
    difference = 100 * (ours.astype(float) - theirs)
    assert mean == pytest.approx(difference.mean())
    half = 1.96 * difference.std() / 30
    assert (low, high) == pytest.approx((mean - half, mean + half), abs=0.1 * half)
    corrected = grid.bootstrap(*drawn, tasks=5)
    assert corrected[1] < low < high < corrected[2]


def test_seeds_that_are_drawn_too_widen_the_interval():
    task, rng = KNOWN, np.random.default_rng(0)
    good, bad, theirs = (classes(rng.random(400) < share) for share in (0.9, 0.6, 0.7))
    ours, same = (grid.drawn_scores(scored(task, *each), "known") for each in ((good, bad), (theirs, theirs)))
    fixed, drawn = grid.bootstrap(ours, same), grid.bootstrap(ours, same, seeds=True)
    assert fixed[0] == drawn[0]
    assert drawn[1] < fixed[1] < fixed[2] < drawn[2]


def test_a_run_differs_from_itself_by_nothing_and_seen_examples_can_be_left_out():
    ours, theirs = (scored(tagging.NER, tags_of(tagging.NER)) for _ in range(2))
    theirs.sums[:, theirs.seen] = 0  # what is seen differs, and only that
    for dedup, same in ((False, False), (True, True)):
        first, again, other = (grid.mean_scores({"ner": each}, dedup=dedup) for each in (ours, ours, theirs))
        assert grid.bootstrap(first, again) == (0, 0, 0)
        assert (grid.bootstrap(first, other) == (0, 0, 0)) is same


def test_a_task_that_is_not_in_the_mean_is_not_in_the_difference():
    own = scored(KNOWN, half_right())
    other = replace(scored(KNOWN, half_right(seed=5)), in_mean=False)
    assert np.array_equal(grid.mean_scores({"known": own, "wnli": other}), grid.mean_scores({"known": own}))


@pytest.mark.parametrize(
    "fields",
    [
        {"metrics": ("macro_f1",)},
        {"metrics": ("f1",)},
        {"metrics": ("matthews",), "labels": ("no", "maybe", "yes")},
    ],
)
def test_a_metric_that_no_sums_give(fields):
    task = Task(**{"name": "known", "labels": ("no", "yes"), **fields})
    with pytest.raises(InputError, match=f"task known: no interval over test examples for {task.metrics[0]}"):
        grid.sums_of(task, classes(np.array([True])))


def test_a_variant_is_an_architecture_with_options_of_its_own(finished, tmp_path, monkeypatch, capsys):
    commands = []

    def done(command):
        commands.append(command)
        shutil.copytree(finished("star").run.folder, command[command.index("--output") + 1])
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr("subprocess.run", done)
    variant = ["--variant", "wide", "star --hidden 9"]
    grid.main(["--archs", "star,wide", "--seeds", "0,1", "--runs", str(tmp_path), *variant, "--", "--epochs", "2"])
    own = {command[command.index("--output") + 1]: command for command in commands}
    assert own[str(tmp_path / "wide-0")][-4:] == ["--epochs", "2", "--hidden", "9"]
    assert own[str(tmp_path / "star-0")][-2:] == ["--epochs", "2"]
    assert all(command[command.index("--arch") + 1] == "star" for command in commands)
    assert "| wide - star | +0.00 [+0.00, +0.00] |" in capsys.readouterr().out


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

    monkeypatch.setattr(grid, "predict_test", lambda run: run)
    return run


def test_examples_are_known_with_every_seed(predicted):
    seeds = [predicted([True, True, False, False]), predicted([True, False, False, True], seen=2)]
    known = grid.examples(seeds)["known"]
    assert known.sums[:, :, 0].tolist() == [[1, 1, 0, 0], [1, 0, 0, 1]]
    assert known.seen.tolist() == [True, True, False, False]
    assert grid.drawn_scores(known, "known")[0].tolist() == [0.5, 0.5]
    assert grid.drawn_scores(known, "known", dedup=True)[0].tolist() == [0, 0.5]


def test_the_test_split_is_predicted_as_evaluate_does(finished):
    run = finished("star").run
    data, found = grid.predict_test(run)
    expected = predict_run(run, "test")[1]
    assert [*data] == [*found] == [*expected]
    for name, own in expected.items():
        assert np.array_equal(own.answers, found[name].answers)


def test_seeds_with_other_test_examples_are_not_averaged(predicted):
    for other in (predicted([True] * 8, seed=1), predicted([True] * 7)):
        with pytest.raises(InputError, match="task known: --bootstrap is for tasks whose test examples are the same"):
            grid.examples([predicted([True] * 8), other])


def test_with_several_seeds_the_bootstrap_is_a_table_of_its_own(finished, tmp_path, capsys, predicted, monkeypatch):
    for name in ("shared-0", "shared-1", "star-0", "star-1"):
        shutil.copytree(finished(name[:-2]).run.folder, tmp_path / name)
    right = {"shared": predicted([True, False, False, False]), "star": predicted([True, True, False, False])}
    monkeypatch.setattr(grid, "predict_test", lambda run: right[run.options.arch])
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
