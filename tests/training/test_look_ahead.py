import copy

import numpy as np
import pytest
import torch

from graphmtl.data.batching import encode_tasks
from graphmtl.training.building import build_model
from graphmtl.training.look_ahead import LookAhead
from graphmtl.training.run_data import load_run_tasks

LR = 0.1


@pytest.fixture(scope="module")
def parts(finished):
    """A model and its data; nobody may change it."""
    run = finished("complete").run
    tasks = load_run_tasks(run.options)
    model = build_model(tasks, run.options, say=lambda *_: None)
    return model, encode_tasks(tasks, model.vocabulary, model.options)


def measured(parts, *, clip=0.0, times=1, lr=LR):
    model, data = parts
    ahead = LookAhead(model, data, clip=clip, seed=0)
    for _ in range(times):
        ahead.measure(lr)
    return ahead


def test_a_step_on_a_task_is_looked_at_by_hand(parts):
    """The slow way: a copy of the model takes torch's own step, and all losses are read again."""
    model, data = parts
    found = measured(parts)
    drawn = LookAhead(model, data, clip=0, seed=0)
    batches = {name: drawn._draw(name) for name in data}

    @torch.no_grad()
    def losses(model):
        return np.array([float(model(batch)[name].loss()) for name, batch in batches.items()])

    expected = np.empty((3, 3))
    for j, (name, batch) in enumerate(batches.items()):
        other = copy.deepcopy(model).eval()
        before = losses(other)
        optimizer = torch.optim.SGD(other.parameters(), lr=LR)
        other(batch)[name].loss().backward()
        optimizer.step()
        expected[:, j] = 1 - losses(other) / before
    assert found.affinity == pytest.approx(expected, abs=1e-5)
    assert (np.diag(found.affinity) > 0).all()  # a step on its own texts helps each


def test_the_model_is_left_as_it_was(parts):
    model, _ = parts
    before, state = {k: v.clone() for k, v in model.state_dict().items()}, torch.get_rng_state()
    model.train()
    measured(parts)
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_means_over_the_measurements(parts):
    once, thrice = measured(parts), measured(parts, times=3)
    assert not np.allclose(once.affinity, thrice.affinity)  # other texts are drawn
    assert thrice.cosine == pytest.approx(thrice.cosine.T)
    assert np.diag(thrice.cosine) == pytest.approx(1)
    assert np.isnan(LookAhead(*parts, clip=0, seed=0).affinity).all()


def test_small_steps_are_the_products_of_gradients(parts):
    """To first order Z is the gradients' product over the loss, so it has the sign of their cosine."""
    ahead = measured(parts, lr=1e-2)
    clear = abs(ahead.cosine) > 0.05
    assert (np.sign(ahead.affinity) == np.sign(ahead.cosine))[clear].all()


def test_a_clipped_step_is_shorter(parts):
    assert (np.diag(measured(parts, clip=1e-3).affinity) < 0.1 * np.diag(measured(parts).affinity)).all()
