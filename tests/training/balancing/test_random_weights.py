import pytest
import torch

from graphmtl.training.balancing.random_weights import RandomWeights
from tests.training.balancing.quadratic import TASKS, weights_of


def drawn(step: int, seed: int = 0) -> list[float]:
    method = RandomWeights(tasks=TASKS, seed=seed)
    method.begin(step)
    return weights_of(method)


def test_a_draw_is_of_the_seed_and_the_update_alone():
    expected = drawn(3)
    torch.rand(5)
    assert drawn(3) == expected
    assert drawn(4) != expected
    assert drawn(3, seed=1) != expected


def test_weights_are_positive_and_one_on_average():
    every = torch.tensor([drawn(step) for step in range(400)])  # (steps, tasks)
    assert (every > 0).all()
    assert every.mean(1).tolist() == pytest.approx([1] * 400)
    assert every.mean(0).tolist() == pytest.approx([1, 1], abs=0.1)
    log_odds = (every[:, 0] / every[:, 1]).log()  # the difference of two standard normal numbers
    assert log_odds.var().item() == pytest.approx(2, rel=0.2)
