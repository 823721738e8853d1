import pytest
import torch
from torchjd import scalarization

from graphmtl.training.balancing.famo import FAMO, FAMOOptions
from tests.training.balancing.quadratic import HALVES, TASKS, WHOLE, losses, point, weights_of


def test_weights_are_the_inverse_losses_at_first():
    """z is uniform: the gradient is that of the mean logarithm, scaled so that the weights are 1 on average."""
    a, b = (loss.item() for loss in losses(point()).values())
    expected = [2 * b / (a + b), 2 * a / (a + b)]
    assert weights_of(FAMO(tasks=TASKS)) == pytest.approx(expected)


def test_the_step_of_the_weights_by_hand():
    """Adam's first step has the length of its learning rate: down for the task whose loss fell faster."""
    method = FAMO(tasks=TASKS, options=FAMOOptions(famo_lr=0.1, famo_decay=0.0))
    method(losses(point()), HALVES, WHOLE)
    after = {name: loss * factor for (name, loss), factor in zip(losses(point()).items(), (0.5, 0.9), strict=True)}
    method.look_back(after)
    torch.testing.assert_close(method.logits.data, torch.tensor([-0.1, 0.1]), rtol=0, atol=1e-6)


def test_it_is_that_of_torchjd_over_several_updates():
    """TorchJD's update is the same with its sign: both descend on z . (log L - log L')."""
    method, theirs = FAMO(tasks=TASKS), scalarization.FAMO(2)
    x, y = point(), point()
    for _ in range(5):
        ours, other = method(losses(x), HALVES, WHOLE), theirs(torch.stack([*losses(y).values()]))
        (own,), (expected,) = torch.autograd.grad(ours, x), torch.autograd.grad(other, y)
        torch.testing.assert_close(own, expected, rtol=1e-5, atol=1e-6)  # float32 weights
        with torch.no_grad():
            x -= 0.2 * own
            y -= 0.2 * own
        method.look_back({name: loss.detach() for name, loss in losses(x).items()})
        theirs.update(torch.stack([*losses(y).values()]).detach().float())
        torch.testing.assert_close(method.logits.data, theirs._w.data, rtol=1e-4, atol=1e-6)


def test_tasks_that_are_not_in_an_update_have_no_part_in_it():
    method = FAMO(tasks=["other", *TASKS])
    assert weights_of(method) == pytest.approx(weights_of(FAMO(tasks=TASKS)))
    method.look_back({name: 0.5 * loss for name, loss in losses(point().detach()).items()})
    assert method.logits[0] == 0
