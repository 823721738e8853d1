from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from graphmtl.errors import DataWarning
from graphmtl.training import controls
from graphmtl.training.controls import shuffled, untrained
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
    assert devices == ["auto"]
