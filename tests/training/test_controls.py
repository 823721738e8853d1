import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from graphmtl.analysis.faithfulness import draw_texts
from graphmtl.analysis.transferability import MOST_TEXTS, transferability
from graphmtl.errors import DataWarning, InputError
from graphmtl.files import read_json_lines
from graphmtl.training import controls
from graphmtl.training.checkpoint import Checkpoints
from graphmtl.training.controls import control_of, shuffled, untrained
from graphmtl.training.device import reading_device
from graphmtl.training.finished import read_run
from graphmtl.training.run import Run
from graphmtl.training.run_data import load_run_tasks


def test_untrained_has_the_runs_parts_and_fresh_weights(finished):
    run = finished("star").run
    model = untrained(run, load_run_tasks(run.options))
    assert model.options == run.model.options
    assert model.vocabulary.words == run.model.vocabulary.words
    trained, fresh = run.model.state_dict(), model.state_dict()
    assert trained.keys() == fresh.keys()
    assert any(not torch.equal(trained[name], fresh[name]) for name in trained)


def test_controls_write_no_submission(finished, tmp_path):
    own = finished("complete").run
    options = replace(own.options, write_submission=str(tmp_path / "submission"), epochs=1)
    run = SimpleNamespace(options=options, metrics=own.metrics, folder=own.folder)
    control = shuffled(run, tmp_path / "control")
    assert control.options.write_submission is None
    assert not (tmp_path / "submission").exists()


@pytest.mark.parametrize("kept", [1, 2])
def test_the_control_is_trained_up_to_the_kept_epoch_and_looks_at_nothing_before(kept, copy_of, tmp_path):
    run = keeping(copy_of("complete"), kept)
    control = shuffled(run, tmp_path / "control")
    history = read_json_lines(tmp_path / "control" / "history.jsonl")
    assert [line["epoch"] for line in history] == [*range(1, kept + 1)]
    assert all(line["metrics"] == {} for line in history)
    assert control.metrics["best_epoch"] == kept
    assert control.metrics["budget"] == run.metrics["budget"]
    assert control.options.shuffle_labels
    assert control.task_graph.nodes == run.task_graph.nodes


def test_a_star_and_its_control_are_told_beside_the_same_right_labels(finished, tmp_path):
    run = finished("star").run
    control = shuffled(run, tmp_path / "control")
    own, right = read_run(control), read_run(run)
    texts = {"per_task": MOST_TEXTS, "batch_size": 16, "seed": control.options.seed, "device": "cpu"}
    found = control.graphs_beside["transferability"].matrix()
    for data, same in ((right, True), (own, False)):
        drawn = draw_texts(own, "test", **texts)
        told = transferability(control.model, drawn, data, split="test", seed=control.options.seed)
        assert np.allclose(told.matrix(), found, atol=1e-4, equal_nan=True) == same


def test_the_control_of_a_transfer_has_its_own_best_epoch(copy_of, tmp_path):
    """The epoch that a transfer kept is one of its new tasks alone."""
    run = keeping(copy_of("complete"), 1)
    run.write_json("transfer.json", {"new": [], "examples": None, "draw": 0})
    shuffled(run, tmp_path / "control")
    history = read_json_lines(tmp_path / "control" / "history.jsonl")
    assert len(history) == 2
    assert all(line["metrics"] for line in history)


def test_a_run_of_an_earlier_version_does_not_tell_its_budget(copy_of, tmp_path):
    run = keeping(copy_of("complete"), 1)
    del run.metrics["budget"]
    assert shuffled(run, tmp_path / "control").metrics["best_epoch"] == 1


def keeping(folder, epoch: int) -> Run:
    """A run of two epochs that kept this one."""
    metrics = Run(folder).metrics | {"best_epoch": epoch}
    Run(folder).write_json("metrics.json", metrics)
    return Run.open(folder)


def test_a_control_is_trained_where_it_takes_less_than_a_minute(copy_of):
    run = keeping(copy_of("complete"), 2)
    assert "none" not in control_of(run, "auto")
    assert run.control is not None


def test_a_control_is_trained_where_it_costs_at_most_half_of_the_run_or_is_asked_for(copy_of, monkeypatch):
    monkeypatch.setattr(controls, "_SHORT", 0.0)
    run = keeping(copy_of("complete"), 2)
    assert control_of(run, "never") == ""
    assert "about 100% of the run's time" in control_of(run, "auto")
    assert not (run.folder / "controls").exists()
    before = (run.folder / "task_graph.png").read_bytes()
    assert control_of(run, "always").startswith("control: the same on shuffled labels, in ")
    assert run.control is not None
    assert (run.folder / "task_graph.png").read_bytes() != before
    half = keeping(run.folder, 1)
    shutil.rmtree(run.folder / "controls")
    control_of(half, "auto")
    assert half.control.metrics["best_epoch"] == 1


@pytest.mark.parametrize("arch", ["single", "shared"])
def test_runs_without_edges_have_no_control(arch, finished):
    assert control_of(finished(arch).run, "auto") == ""
    assert control_of(finished(arch).run, "always") == f"control: none, since --arch {arch} learned no edges"
    assert not (finished(arch).run.folder / "controls").exists()


def test_a_control_has_no_control(copy_of):
    folder = copy_of("complete")
    config = (folder / "config.yaml").read_text()
    (folder / "config.yaml").write_text(config.replace("shuffle_labels: false", "shuffle_labels: true"))
    assert control_of(Run.open(folder), "always") == ""


def test_nothing_is_known_of_the_time_of_teachers(copy_of):
    run = keeping(copy_of("cmtr"), 1)
    run.__dict__["options"] = replace(run.options, teachers="train")
    assert "control: none" in control_of(run, "auto")


def test_a_control_that_was_killed_goes_on(copy_of, tmp_path, monkeypatch):
    run = keeping(copy_of("complete"), 2)
    whole = shuffled(run, tmp_path / "whole").task_graph

    save = Checkpoints.save

    def killed(*parts, **more):
        save(*parts, **more)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "save", killed)
        with pytest.raises(KeyboardInterrupt):
            control_of(run, "always")
    assert run.control is None
    control_of(run, "always")
    assert len(read_json_lines(run.folder / "controls" / "shuffled" / "history.jsonl")) == 2
    assert run.control.task_graph == whole


def test_controls_of_a_run_of_a_device_that_is_not_here(finished, tmp_path, monkeypatch):
    class AskedError(Exception):
        pass

    def asked(options, folder, control_of, **_):
        devices.append(options.device)
        raise AskedError

    reading_device.cache_clear()
    monkeypatch.setattr(controls, "_trained", asked)
    own = finished("star").run
    options = replace(own.options, device="cuda:9")
    run, devices = SimpleNamespace(options=options, model=own.model, folder=own.folder), []
    with pytest.warns(DataWarning, match="--device cuda:9"), pytest.raises(AskedError):
        shuffled(run, tmp_path)
    assert devices == ["auto"]


@pytest.mark.parametrize("history", ["", '{"epoch": "1", "seconds": 1}\n', '{"seconds": 1}\n'])
def test_a_history_that_does_not_tell_the_epoch_is_named(history, copy_of):
    folder = copy_of("complete")
    (folder / "history.jsonl").write_text(history)
    with pytest.raises(InputError, match=r"history\.jsonl, line 1: epoch: found "):
        control_of(Run.open(folder), "auto")


def test_a_control_of_other_options_is_not_taken_for_the_runs_own(copy_of, tmp_path):
    run = keeping(copy_of("complete"), 1)
    shuffled(run, tmp_path / "control")
    assert shuffled(run, tmp_path / "control").options.shuffle_labels
    other = Run.open(run.folder)
    other.__dict__["options"] = replace(run.options, hidden=run.options.hidden + 1)
    with pytest.raises(InputError, match=r"config\.yaml: hidden is \d+, not \d+; remove the folder, and the control"):
        shuffled(other, tmp_path / "control")
