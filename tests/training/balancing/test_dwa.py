import math

import pytest
import torch
from torchjd import scalarization

from graphmtl.training.balancing.dwa import DWA, DWAOptions
from tests.training.balancing.quadratic import TASKS, weights_of


def after(*epochs: dict[str, float], temperature: float = 2.0) -> DWA:
    method = DWA(tasks=TASKS, options=DWAOptions(dwa_temperature=temperature))
    for means in epochs:
        method.end_epoch(means)
    return method


def test_all_are_equal_until_two_epochs_are_known():
    assert weights_of(after()) == pytest.approx([1, 1])
    assert weights_of(after({"a": 5.0, "b": 1.0})) == pytest.approx([1, 1])


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_weights_are_those_of_the_rates_of_two_epochs(temperature):
    found = weights_of(after({"a": 9.0, "b": 9.0}, {"a": 4.0, "b": 2.0}, {"a": 2.0, "b": 1.9}, temperature=temperature))
    powers = [math.exp(2.0 / 4.0 / temperature), math.exp(1.9 / 2.0 / temperature)]
    assert found == pytest.approx([2 * power / sum(powers) for power in powers], rel=1e-6)


def test_it_is_that_of_torchjd():
    theirs = scalarization.DWA(temperature=2.0)
    for means in ([4.0, 2.0], [2.0, 1.9]):
        theirs(torch.tensor(means))
        theirs.step()
    ours = weights_of(after({"a": 4.0, "b": 2.0}, {"a": 2.0, "b": 1.9}))
    assert ours == pytest.approx([theirs(torch.tensor(one)).item() for one in ([1.0, 0.0], [0.0, 1.0])], rel=1e-5)


def test_a_task_that_was_not_trained_keeps_the_epochs_before():
    known = {"a": 4.0, "b": 2.0}, {"a": 2.0, "b": 1.0}, {"a": 1.0, "b": 0.9}
    assert weights_of(after(*known[:2], {"b": 0.9})) == pytest.approx(weights_of(after(known[0], *known[1:], {})))


def test_scaled_losses_have_the_same_weights():
    one = after({"a": 4.0, "b": 2.0}, {"a": 2.0, "b": 1.9})
    other = after({"a": 40.0, "b": 2.0}, {"a": 20.0, "b": 1.9})
    assert weights_of(one) == pytest.approx(weights_of(other))
