import pytest
import torch
from torchjd.scalarization import UW

from graphmtl.training.balancing.uncertainty import Uncertainty
from tests.training.balancing.quadratic import TASKS, WHOLE, losses, point, weights_of


def test_it_is_at_rest_where_the_variance_is_the_loss():
    method, known = Uncertainty(tasks=TASKS), {name: loss.detach() for name, loss in losses(point()).items()}
    optimizer = torch.optim.SGD(method.parameters(), lr=1.0)
    for _ in range(200):
        optimizer.zero_grad()
        method(known, WHOLE, WHOLE).backward()
        optimizer.step()
    torch.testing.assert_close(method.log_variance.exp().double(), torch.stack([*known.values()]), rtol=1e-5, atol=0)
    expected = [0.5 / loss.item() for loss in known.values()]
    assert weights_of(method) == pytest.approx(expected, rel=1e-5)


def test_it_begins_with_halves():
    assert weights_of(Uncertainty(tasks=TASKS)) == pytest.approx([0.5, 0.5])


def test_it_is_that_of_torchjd():
    method, theirs, x = Uncertainty(tasks=TASKS), UW(2), point()
    with torch.no_grad():
        for log_variance in (method.log_variance, theirs.log_var):
            log_variance.copy_(torch.tensor([0.3, -1.2]))
    ours, other = method(losses(x), WHOLE, WHOLE), theirs(torch.stack([*losses(x).values()]))
    torch.testing.assert_close(ours, other)
    ours.backward()
    other.backward()
    torch.testing.assert_close(method.log_variance.grad, theirs.log_var.grad)
