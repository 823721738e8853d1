import pytest
import torch
from torchjd import scalarization

from graphmtl.training.balancing.imtl_l import IMTLL
from tests.training.balancing.quadratic import TASKS, WHOLE, losses, point, weights_of


def test_it_is_at_rest_where_all_weighted_losses_are_one():
    method, known = IMTLL(tasks=TASKS), {name: loss.detach() for name, loss in losses(point()).items()}
    optimizer = torch.optim.SGD(method.parameters(), lr=0.2)
    for _ in range(200):
        optimizer.zero_grad()
        method(known, WHOLE, WHOLE).backward()
        optimizer.step()
    assert weights_of(method) == pytest.approx([1 / loss.item() for loss in known.values()], rel=1e-5)


def test_it_begins_equal():
    assert weights_of(IMTLL(tasks=TASKS)) == pytest.approx([1, 1])


def test_it_is_that_of_torchjd():
    method, theirs, x = IMTLL(tasks=TASKS), scalarization.IMTLL(2), point()
    with torch.no_grad():
        for log_scale in (method.log_scale, theirs.log_scale):
            log_scale.copy_(torch.tensor([0.3, -1.2]))
    ours, other = method(losses(x), WHOLE, WHOLE), theirs(torch.stack([*losses(x).values()]))
    torch.testing.assert_close(ours, other)
    ours.backward()
    other.backward()
    torch.testing.assert_close(method.log_scale.grad, theirs.log_scale.grad)
