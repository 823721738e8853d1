import shutil
from types import SimpleNamespace

import pytest
import yaml

from graphmtl.comparison import rows as module
from graphmtl.comparison.rows import baseline_rows, grouped, rows_of_runs
from graphmtl.errors import InputError
from graphmtl.options import make_options
from graphmtl.registry import BASELINES
from graphmtl.training.run import Run


@pytest.fixture
def run(finished, tmp_path):
    """A run like the finished one of an architecture, with other options."""

    def run(arch, **options):
        name = "-".join(map(str, [arch, *options.values()]))
        folder = shutil.copytree(finished(arch).run.folder, tmp_path / name)
        config = yaml.safe_load((folder / "config.yaml").read_text())
        (folder / "config.yaml").write_text(yaml.safe_dump({**config, **options}))
        return Run(folder)

    return run


def test_runs_that_differ_by_the_seed_stand_together_and_are_called_by_what_differs(run):
    runs = [run("star", seed=0), run("star", seed=1), run("shared", seed=0), run("star", seed=0, score="dot", lr=0.5)]
    found = {name: [own.options.seed for own in group] for name, group in grouped(runs).items()}
    assert found == {"star lr=0.01 score=additive": [0, 1], "shared lr=0.01": [0], "star lr=0.5 score=dot": [0]}
    assert [*grouped(runs[:3])] == ["star", "shared"]


def test_a_folder_that_ends_like_a_seed_is_the_same_folder():
    for each in ("runs/single-{}", "runs-1/single"):
        options = [
            make_options(arch="cmtr", seed=seed, tasks="texts-1/tasks.yaml", teachers=each.format(seed))
            for seed in (0, 1)
        ]
        assert [*grouped([SimpleNamespace(options=own) for own in options])] == ["cmtr"]


def test_classes_of_two_modules_that_share_a_name_are_told_apart():
    options = [make_options(arch=arch) for arch in ("star", "single", "single")]
    for own, arch in zip(options, ("a:Net", "b:Net", "c:Other"), strict=True):
        object.__setattr__(own, "arch", arch)
    found = grouped([SimpleNamespace(options=own) for own in options])
    assert [name.split()[0] for name in found] == ["a:Net", "b:Net", "Other"]
    assert [own.options for (own,) in found.values()] == options


def test_what_follows_from_the_texts_is_called_so():
    options = [make_options(arch="star"), make_options(arch="star", epochs=3)]
    assert [*grouped([SimpleNamespace(options=own) for own in options])] == ["star epochs=auto", "star epochs=3"]


def test_seeds_that_all_have_are_compared_and_others_named(run, monkeypatch):
    monkeypatch.setattr(module, "answers_of", lambda run: {})  # the data of these seeds were other ones
    runs = {"star": [run("star", seed=s) for s in (0, 1)], "shared": [run("shared", seed=s) for s in (1, 2)]}
    with pytest.warns(match="is left out, since not all others have finished runs of it") as said:
        rows, seeds = rows_of_runs(runs)
    assert {str(each.message).split(" is left")[0] for each in said} == {"seed 0 of star", "seed 2 of shared"}
    assert seeds == [1]
    assert [len(row.answers) for row in rows] == [1, 1]
    assert [row.edges for row in rows] == [True, False]


def test_what_cannot_be_compared(run):
    star = run("star", seed=0)
    with pytest.raises(InputError, match="no seed with which all are finished"):
        rows_of_runs({"star": [star], "shared": [run("shared", seed=1)]})
    with pytest.raises(InputError, match="two runs of star with seed 0"):
        rows_of_runs({"star": [star, star]})
    with pytest.warns(match="shared has no finished run, and is left out"):
        rows, _ = rows_of_runs({"star": [star], "shared": []})
    assert [row.name for row in rows] == ["star"]


def test_baselines_answer_the_examples_of_the_runs(finished):
    star = finished("star").run
    (row, *_), rows = rows_of_runs({"star": [star]})[0], baseline_rows([star])
    assert [each.name for each in rows] == [*BASELINES]
    assert all(each.is_baseline for each in rows)
    for task, (_, ours) in rows[0].answers[0].items():
        assert ours.labels.tolist() == row.answers[0][task][1].labels.tolist()


def test_training_alone_is_called_so(run):
    rows, _ = rows_of_runs({"single": [run("single", seed=0)], "alone": [run("single", seed=0, lr=0.5)]})
    assert [row.in_a_sentence for row in rows] == ["training alone", "alone"]
