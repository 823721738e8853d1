from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from graphmtl.data.batching import encode_tasks
from graphmtl.errors import DataWarning, InputError
from graphmtl.options import make_options
from graphmtl.training import benefit_runs
from graphmtl.training.benefit_runs import BenefitRuns, Cell, Outcome
from graphmtl.training.building import build_model
from tests import tiny

PAIR = Cell(name="parent1+child1", tasks=("parent1", "child1"), seed=1)
WHOLE = Cell(name="all", tasks=tiny.TASKS, seed=1, pictures=True)


@pytest.fixture(scope="module")
def runs(finished, tmp_path_factory):
    return BenefitRuns(finished("complete").run, tmp_path_factory.mktemp("benefit"), per_task=20, probe=5)


def test_what_a_training_comes_to(runs, finished):
    outcome = runs.train([PAIR])[PAIR]
    texts = {name: own["n_test"] for name, own in finished("complete").run.metrics["tasks"].items()}
    assert {name: len(own) for name, own in outcome.losses.items()} == {name: texts[name] for name in PAIR.tasks}
    assert all((own > 0).all() for own in outcome.losses.values())
    assert all(0 <= own <= 1 for own in outcome.scores.values())
    assert outcome.pictures == {}


def test_pictures_are_of_all_tasks_and_the_validation_split(runs, monkeypatch):
    splits, explain = [], benefit_runs.explain_model
    monkeypatch.setattr(
        benefit_runs, "explain_model", lambda *own, **about: splits.append(about["split"]) or explain(*own, **about)
    )
    runs.training.path(WHOLE).unlink(missing_ok=True)
    pictures = runs.train([WHOLE])[WHOLE].pictures
    assert splits == ["valid"]
    assert {"attention", "contribution", "ablation", "logits", "gradients", "look_ahead"} <= pictures.keys()
    assert all(own.shape == (3, 3) for own in pictures.values())
    assert pictures["attention"][0, 1:].sum() == pytest.approx(1)
    assert np.isnan(pictures["logits"][0, 1:]).all()  # pairs have other labels than the planted tasks


def test_pictures_of_a_star_are_those_between_tasks(finished, tmp_path):
    own = BenefitRuns(finished("star").run, tmp_path, per_task=20, probe=5)
    pictures = own.train([WHOLE])[WHOLE].pictures
    assert {"affinity", "logits", "transferability", "gradients", "look_ahead"} == pictures.keys()
    assert not own.has_topology


def test_looking_ahead_changes_nothing(runs, tmp_path, finished, monkeypatch):
    with_looks = runs.train([WHOLE])[WHOLE]
    plain = replace(WHOLE, name="plain", pictures=False)
    without = runs.train([plain])[plain]
    assert {name: own.tolist() for name, own in without.losses.items()} == {
        name: own.tolist() for name, own in with_looks.losses.items()
    }


def test_what_is_there_is_not_trained_again(runs, monkeypatch):
    first = runs.train([PAIR])[PAIR]
    monkeypatch.setattr(benefit_runs, "build_model", None)
    assert runs.train([PAIR])[PAIR].losses["child1"].tolist() == first.losses["child1"].tolist()


def test_goes_on_after_a_kill(runs, finished, monkeypatch, tmp_path):
    """The second training is killed: the first one's outcome is there, nothing half done is, and the rest follows."""

    class KilledError(BaseException):
        pass

    own = BenefitRuns(finished("complete").run, tmp_path, per_task=20, probe=5)
    cells = [PAIR, Cell(name="child1", tasks=("child1",), seed=1)]
    build = benefit_runs.build_model

    def killed(tasks, options, **about):
        if len(tasks) == 1:
            raise KilledError
        return build(tasks, options, **about)

    monkeypatch.setattr(benefit_runs, "build_model", killed)
    with pytest.raises(KilledError):
        own.train(cells)
    assert [path.name for path in (tmp_path / "cells").iterdir()] == [PAIR.file]
    before = (tmp_path / "cells" / PAIR.file).stat().st_mtime_ns
    monkeypatch.setattr(benefit_runs, "build_model", build)
    found = BenefitRuns(finished("complete").run, tmp_path, per_task=20, probe=5).train(cells)
    assert (tmp_path / "cells" / PAIR.file).stat().st_mtime_ns == before
    assert found[PAIR].losses["parent1"].tolist() == runs.train([PAIR])[PAIR].losses["parent1"].tolist()
    assert len(found) == 2


def test_processes_come_to_the_same(runs, finished, tmp_path):
    cells = [PAIR, Cell(name="child1", tasks=("child1",), seed=1)]
    alone = runs.train(cells)
    for cell, found in BenefitRuns(finished("complete").run, tmp_path, per_task=20).train(cells, jobs=2).items():
        assert found.losses["child1"].tolist() == pytest.approx(alone[cell].losses["child1"].tolist(), abs=1e-4)


def test_edges_that_are_left_out_are_not_read(runs):
    cut = Cell(name="cut", tasks=tiny.TASKS, seed=1, edges=(("parent1", "child1"),), pictures=True)
    attention = runs.train([cut])[cut].pictures["attention"]
    assert attention[2, 1] == pytest.approx(1)
    assert np.isnan(attention).sum() == 8


def test_pieces_of_a_transformer_are_made_once_and_are_those_of_each_training(
    transformer, tiny_tasks, tmp_path, monkeypatch
):
    about = {"arch": "shared", "tasks": tiny_tasks, "encoder": transformer(), "freeze_layers": 1, "epochs": 1}
    run = tiny.run(**about, output=tmp_path / "run").run
    cells = [PAIR, Cell(name="child1", tasks=("child1",), seed=1)]
    encoded, encode = [], benefit_runs.encode_tasks
    monkeypatch.setattr(benefit_runs, "encode_tasks", lambda *own: encoded.append([*own[0]]) or encode(*own))
    found = BenefitRuns(run, tmp_path / "once").train(cells)
    assert encoded == [[*tiny.TASKS]]
    monkeypatch.setattr(benefit_runs, "SubwordVocabulary", type(None))
    each = BenefitRuns(run, tmp_path / "each").train(cells)
    assert encoded[1:] == [["parent1", "child1"], ["child1"]]
    for cell in cells:
        assert found[cell].losses["child1"].tolist() == each[cell].losses["child1"].tolist()


def test_other_options_or_another_file_are_one_line(runs, finished, tmp_path):
    run = finished("complete").run
    with pytest.raises(InputError, match=r"about\.json: per_task is 20, not 30; trainings go on with the options they"):
        BenefitRuns(run, runs.folder, per_task=30, probe=5)
    (tmp_path / "cells").mkdir()
    own = BenefitRuns(run, tmp_path)
    own.training.path(PAIR).write_text('{"losses": 3}')
    with pytest.raises(InputError, match=r"parent1\+child1-1\.json: found .*, expected what a training came to"):
        own.train([PAIR])


def test_what_is_left_out_of_the_run_is_said(finished, tmp_path):
    run = finished("complete").run
    options = replace(run.options, refit_on_valid=True, topology="[[parent1, child1]]", patience=3)
    with pytest.warns(DataWarning) as said:
        own = BenefitRuns(SimpleNamespace(options=options, check_data=lambda _: None), tmp_path)
    assert [str(each.message).split()[0] for each in said] == ["--refit-on-valid", "--topology"]
    kept = own.training.options
    assert (kept.refit_on_valid, kept.topology, kept.patience) == (False, None, 0)


@pytest.mark.parametrize("sampling", ["proportional", "sqrt", "uniform", "temperature", "annealed"])
def test_a_task_is_trained_as_often_whoever_else_is_there(sampling, tmp_path):
    about = {**tiny.OPTIONS, "planted_rich": 640, "planted_poor": 160, "epochs": 30, "sampling": sampling}
    training = benefit_runs._Training(make_options(arch="complete", **about), tmp_path, 1, 1)

    def updates(*tasks):
        return training.epochs(tasks) * training._batches(tasks, 30)["child1"]

    together = updates("parent1", "child1")
    assert updates("child1") == pytest.approx(together, rel=0.05)
    if sampling == "proportional":
        assert (updates("child1"), together) == pytest.approx((300, 300))


def test_a_corpus_has_the_texts_that_one_of_its_tasks_labels(tmp_path):
    for split, count in (("train", 60), ("test", 20)):
        rows = [f"word{i % 7} {split}{i},{'yn'[i % 2] * (i < 40)},{'yn'[i % 2] * (i >= 30)}" for i in range(count)]
        (tmp_path / f"{split}.csv").write_text("\n".join(["text,p,q", *rows, ""]))
    keys = "train: train.csv, test: train.csv, valid: train.csv, text: text, missing: ['']"
    (tmp_path / "tasks.yaml").write_text(f"tasks: {{p: {{{keys}, label: p}}, q: {{{keys}, label: q}}}}")
    options = make_options(tasks=str(tmp_path / "tasks.yaml"), keep_overlap=True, arch="shared")
    training = benefit_runs._Training(options, tmp_path, 1, 1)
    model = build_model(training.tasks, options, say=lambda *_: None)
    data = encode_tasks(training.tasks, model.vocabulary, model.options)
    for names, size in ((["p"], 40), (["q"], 30), (["p", "q"], 60)):
        assert [*training._sizes(names).values()] == [size]
    assert len(data["p"].train) == 60


@pytest.mark.parametrize("epochs", [1, 3])
def test_looking_ahead_takes_a_step_as_long_as_the_last_one(finished, tmp_path, epochs, monkeypatch):
    steps = []
    monkeypatch.setattr(benefit_runs.LookAhead, "measure", lambda _, lr: steps.append(lr))
    options = replace(finished("complete").run.options, epochs=epochs, output=None)
    training = benefit_runs._Training(options, tmp_path, 1, 1)
    training._outcome(replace(WHOLE, pictures=True))
    assert all(step > 0 for step in steps)
    assert len({*steps}) == epochs


def test_long_names_have_files(runs):
    cell = Cell(name="+".join(f"task{i}" for i in range(100)), tasks=tiny.TASKS, seed=3)
    assert len(cell.file) < 60
    assert cell.file != replace(cell, name=cell.name[:-1]).file
    assert Cell(name="a/b", tasks=tiny.TASKS, seed=3).file == "a_b-3.json"


def test_an_outcome_is_read_as_it_was_written(tmp_path):
    outcome = Outcome(
        losses={"a": np.array([0.5, 1.25])},
        scores={"a": np.nan},
        updates={"a": 3},
        pictures={"attention": np.array([[np.nan, 0.5], [0.25, np.nan]])},
    )
    benefit_runs._write(tmp_path / "cell.json", outcome.to_json())
    assert str(Outcome.read(tmp_path / "cell.json")) == str(outcome)
    for wrong in ({"updates": {}}, {"updates": {"a": "x"}}, {"scores": {"b": 0.5}}):
        benefit_runs._write(tmp_path / "cell.json", outcome.to_json() | wrong)
        with pytest.raises(InputError, match=r"cell\.json: found .*, expected what a training came to"):
            Outcome.read(tmp_path / "cell.json")
