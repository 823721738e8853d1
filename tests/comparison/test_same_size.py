import pytest

from graphmtl.comparison import same_size
from graphmtl.comparison.same_size import as_large
from graphmtl.errors import InputError
from graphmtl.options import make_options
from graphmtl.training.building import build_model
from graphmtl.training.run_data import load_run_tasks
from tests import tiny


def test_no_other_size_has_a_number_of_parameters_that_is_nearer():
    options = make_options(**{**tiny.OPTIONS, "arch": "shared"})
    tasks = load_run_tasks(options)

    def count(hidden):
        model = build_model(
            tasks, make_options(**{**tiny.OPTIONS, "arch": "shared", "hidden": hidden}), say=lambda *_: None
        )
        return sum(each.numel() for each in model.parameters())

    wanted = count(23) + 40
    found = as_large(options, tasks, wanted)
    assert found == 23
    assert abs(count(found) - wanted) <= min(abs(count(22) - wanted), abs(count(24) - wanted))
    assert as_large(options, tasks, 1) == 1


def test_a_model_without_a_size(monkeypatch):
    options = make_options(**{**tiny.OPTIONS, "arch": "shared"})
    model = build_model(load_run_tasks(options), options, say=lambda *_: None)
    monkeypatch.setattr(same_size, "build_model", lambda *_, **__: model)
    with pytest.raises(InputError, match="--same-size: shared has the same number of parameters whatever --hidden"):
        as_large(options, {}, 1000)
