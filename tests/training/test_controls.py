from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from graphmtl import Run
from graphmtl.analysis.ablation import measure
from graphmtl.analysis.faithfulness import draw_texts
from graphmtl.data.batching import encode_tasks
from graphmtl.errors import DataWarning
from graphmtl.layers.interaction import Ablation
from graphmtl.training import controls
from graphmtl.training.controls import benefit, shuffled, untrained
from graphmtl.training.device import reading_device
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
    options = replace(finished("star").run.options, write_submission=str(tmp_path / "submission"), epochs=1)
    control = shuffled(SimpleNamespace(options=options), tmp_path / "control")
    assert control.options.write_submission is None
    assert not (tmp_path / "submission").exists()


def test_controls_of_a_run_of_a_device_that_is_not_here(finished, tmp_path, monkeypatch):
    class AskedError(Exception):
        pass

    def asked(options, folder):
        devices.append(options.device)
        raise AskedError

    reading_device.cache_clear()
    monkeypatch.setattr(controls, "_trained", asked)
    own = finished("star").run
    run, devices = SimpleNamespace(options=replace(own.options, device="cuda:9"), model=own.model), []
    with pytest.warns(DataWarning, match="--device cuda:9"), pytest.raises(AskedError):
        shuffled(run, tmp_path)
    with pytest.raises(AskedError):
        benefit(run, tmp_path, split="test", per_task=1)
    assert devices == ["auto", "auto"]


def test_benefit_is_the_gain_over_training_alone(finished, tmp_path):
    run = finished("star").run
    graph = benefit(run, tmp_path, split="test", per_task=30)
    losses = {}
    for folder in tmp_path.iterdir():
        own = Run.open(folder)
        data = encode_tasks(load_run_tasks(own.options), own.model.vocabulary, own.model.options)
        texts = draw_texts(data, "test", per_task=30, batch_size=7, seed=run.options.seed, device="cpu")
        for name, found in measure(own.model, texts, [Ablation()]).items():
            losses[folder.name, name] = found.losses[0].mean()
    for edge in graph.edges:
        pair = "+".join(name for name in graph.tasks if name in (edge.source, edge.target))
        gain = losses[edge.target, edge.target] - losses[pair, edge.target]
        assert edge.weight == pytest.approx(gain, abs=1e-5)
