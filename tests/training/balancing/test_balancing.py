from copy import deepcopy

import pytest
import torch

from graphmtl.registry import BALANCINGS, find_class
from graphmtl.training.balancing.balancing import Balancing, GradientBalancing
from tests.training.balancing.quadratic import HALVES, TASKS, WHOLE, losses, point

LOSSES = [name for name in BALANCINGS if not issubclass(find_class("", name, BALANCINGS, Balancing), GradientBalancing)]


class Doubled(Balancing):
    """Twice the weight of a task's place, and 10 beside it."""

    def weights(self, places, losses, shares):
        return 2 * torch.tensor(places, dtype=losses.dtype)

    def additions(self, places):
        return torch.tensor([10.0 for _ in places])


def made(name: str, **options):
    kind = find_class("balancing", name, BALANCINGS, Balancing)
    method = kind(tasks=TASKS, options=kind.Options(**options), seed=3)
    method.begin(5)
    return method


def test_what_an_update_minimises():
    found = Doubled(tasks=["x", "a", "b"])(
        {"b": torch.tensor(3.0), "a": torch.tensor(5.0)}, {"a": 0.25, "b": 0.75}, {"a": 1.0, "b": 0.5}
    )
    assert found == 0.25 * (2 * 5 + 10) + 0.75 * (4 * 3 + 0.5 * 10)


@pytest.mark.parametrize("name", [name for name in LOSSES if name not in ("gls", "famo")])
def test_the_parts_of_an_update_add_up(name):
    """A method that does not wait for all losses gives the sum of its batches the gradient of all at once."""
    method, x, y = made(name), point(), point()
    method(losses(x), HALVES, WHOLE).backward()
    whole = [parameter.grad.clone() for parameter in method.parameters() if parameter.requires_grad]
    method.zero_grad()
    for task in TASKS:
        for share in (0.25, 0.75):
            method({task: share * losses(y)[task]}, HALVES, {task: share}).backward()
    torch.testing.assert_close(y.grad, x.grad)
    parts = [parameter.grad for parameter in method.parameters() if parameter.requires_grad]
    torch.testing.assert_close(parts, whole)


@pytest.mark.parametrize("name", LOSSES)
def test_the_order_of_the_losses_does_not_matter(name):
    method, x, y = made(name), point(), point()
    method(losses(x), HALVES, WHOLE).backward()
    method(dict(reversed(losses(y).items())), HALVES, WHOLE).backward()
    torch.testing.assert_close(y.grad, x.grad)


@pytest.mark.parametrize("name", LOSSES)
def test_a_state_goes_on_where_it_was(name):
    first, second = made(name), made(name)
    for epoch in range(3):
        first({task: loss * (2 + epoch) for task, loss in losses(point()).items()}, HALVES, WHOLE).backward()
        for parameter in first.parameters():
            if parameter.grad is not None:
                parameter.data -= 0.1 * parameter.grad
        first.look_back(losses(2 * point().detach()))
        first.end_epoch({"a": 3.0 / (1 + epoch), "b": 5.0 - epoch})
    second.load_state_dict(deepcopy(first.state_dict()))  # as a checkpoint on the disk is
    found = [[], []]
    for method, own in zip((first, second), found, strict=True):
        for _ in range(2):
            x = point()
            method.begin(8)
            method(losses(x), HALVES, WHOLE).backward()
            method.look_back(losses(3 * point().detach()))
            own.append(x.grad)
    assert torch.equal(torch.stack(found[0]), torch.stack(found[1]))
