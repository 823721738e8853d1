import numpy as np
import pytest

from graphmtl.errors import InputError
from graphmtl.training import finished as module
from graphmtl.training.finished import fitted_tasks, predict, predict_run, read_run
from graphmtl.training.run_data import load_run_tasks


def test_some_tasks_are_read_as_all_are(finished):
    run = finished("star").run
    data, found = predict_run(run, "test")
    (name, *_) = data
    some = read_run(run, [name])
    assert [*some] == [name]
    assert np.array_equal(predict(run, some, "test")[name].answers, found[name].answers)


def test_data_with_other_tasks_than_the_models(finished, monkeypatch):
    run = finished("star").run
    monkeypatch.setattr(module, "load_fitted_tasks", lambda run: load_run_tasks(run.options.__class__(tasks="planted")))
    with pytest.raises(InputError, match=r"the data has the tasks parent1.*, the model pairs, parent1, child1"):
        fitted_tasks(run)
