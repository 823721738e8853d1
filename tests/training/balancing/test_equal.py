import torch

from graphmtl.training.balancing.equal import Equal
from tests.training.balancing.quadratic import TASKS, WHOLE, weights_of


def test_every_weight_is_one():
    torch.testing.assert_close(weights_of(Equal(tasks=TASKS)), [1.0, 1.0])
    torch.testing.assert_close(weights_of(Equal(tasks=TASKS), {"a": 0.2, "b": 0.8}), [1.0, 1.0])


def test_losses_with_the_whole_update_are_added_as_they_are():
    found = Equal(tasks=TASKS)({"a": torch.tensor(0.1), "b": torch.tensor(0.2)}, {"a": 1, "b": 1}, WHOLE)
    assert torch.equal(found, torch.tensor(0.1) + torch.tensor(0.2))
