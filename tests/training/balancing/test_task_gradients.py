import pytest
import torch
from torch import nn

from graphmtl.training.balancing.task_gradients import TaskGradients


def parameters(*sizes: int) -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    return [nn.Parameter(torch.randn(size, generator=generator)) for size in sizes]


@pytest.mark.parametrize("scale", [1.0, 1024.0])
def test_what_two_tasks_reach_is_shared_and_the_rest_is_each_ones_own(scale):
    both, own, unused, later = parameters(2, 3, 4, 1)
    found = TaskGradients([own, both, unused, later], scale=scale)
    found.add("a", (both * torch.tensor([1.0, 2.0])).sum() + own.sum())
    found.add("b", (both * 5).sum() + 7 * later.sum())
    found.add("a", both[0])  # of another batch
    assert (found.tasks, found.shared()) == (["a", "b"], [1])
    assert found.rows().tolist() == [[2.0, 2.0], [5.0, 5.0]]
    own.grad = torch.full((3,), 10.0)
    found.write(torch.tensor([100.0, 200.0]))
    assert both.grad.tolist() == [100 * scale, 200 * scale]
    assert own.grad.tolist() == [10 + scale] * 3
    assert later.grad.tolist() == [7 * scale]
    assert unused.grad is None


def test_a_row_is_zero_where_a_task_does_not_reach():
    first, second = parameters(1, 2)
    found = TaskGradients([first, second])
    found.add("a", first.sum() + second.sum())
    found.add("b", 2 * first.sum())
    found.add("c", 3 * second.sum())
    assert found.rows().tolist() == [[1, 1, 1], [2, 0, 0], [0, 3, 3]]


def test_one_task_alone_shares_nothing():
    (parameter,) = parameters(2)
    found = TaskGradients([parameter])
    found.add("a", parameter.sum())
    assert found.rows().shape == (1, 0)
    found.write(found.rows().sum(0))
    assert parameter.grad.tolist() == [1, 1]


def test_the_sum_of_the_rows_is_the_gradient_of_the_sum():
    both, own = parameters(3, 2)
    losses = {"a": both.square().sum() * own[0], "b": both.sin().sum(), "c": own.square().sum()}
    expected = torch.autograd.grad(sum(losses.values()), [both, own], retain_graph=True)
    found = TaskGradients([both, own])
    for task, loss in losses.items():
        found.add(task, loss)
    found.write(found.rows().sum(0))
    torch.testing.assert_close((both.grad, own.grad), expected)
