import torch
from torchjd.scalarization import GeometricMean

from graphmtl.training.balancing.gls import GLS
from tests.training.balancing.quadratic import HALVES, TASKS, WHOLE, losses, point, weights_of


def test_the_gradient_is_that_of_the_geometric_mean():
    x, y = point(), point()
    GLS(tasks=TASKS)(losses(x), HALVES, WHOLE).backward()
    a, b = losses(y).values()
    (a * b).sqrt().backward()
    torch.testing.assert_close(x.grad, y.grad)


def test_it_is_that_of_torchjd():
    x, y = point(), point()
    GLS(tasks=TASKS)(losses(x), HALVES, WHOLE).backward()
    GeometricMean()(torch.stack([*losses(y).values()])).backward()
    torch.testing.assert_close(x.grad, y.grad)


def test_the_scale_of_a_loss_does_not_change_the_direction():
    x, y = point(), point()
    method = GLS(tasks=TASKS)
    method(losses(x), HALVES, WHOLE).backward()
    found = losses(y)
    method({"a": 16 * found["a"], "b": found["b"]}, HALVES, WHOLE).backward()
    torch.testing.assert_close(y.grad, 4 * x.grad)


def test_a_task_with_more_batches_has_a_larger_power():
    x, y = point(), point()
    GLS(tasks=TASKS)(losses(x), {"a": 0.75, "b": 0.25}, WHOLE).backward()
    a, b = losses(y).values()
    (a**0.75 * b**0.25).backward()
    torch.testing.assert_close(x.grad, y.grad)


def test_one_task_alone_is_left_as_it_is():
    x = point()
    GLS(tasks=TASKS)({"a": losses(x)["a"]}, {"a": 1.0}, {"a": 1.0}).backward()
    torch.testing.assert_close(x.grad, x.detach() - x.new_tensor([3.0, 0.0]))


def test_a_loss_of_nothing_is_no_infinity():
    assert all(weight < 1e9 for weight in weights_of(GLS(tasks=TASKS)))
    x = point()
    GLS(tasks=TASKS)({"a": 0 * losses(x)["a"], "b": losses(x)["b"]}, HALVES, WHOLE).backward()
    assert x.grad.isfinite().all()
