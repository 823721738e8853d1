import math

import pytest
import torch

from graphmtl.layers.gate_regularisation import BalancePenalty, EntropyPenalty, PriorPenalty, gate_penalty

ALL = (0, 1, 2)
COMPLETE = torch.ones(3, 3, dtype=torch.bool)


def gates(*rows):
    return torch.tensor(rows, dtype=torch.float64)


def test_prior_by_hand():
    penalty = PriorPenalty(own=0.5)(gates([0.25, 0.5, 0.25], [0.5, 0.25, 0.25]), ALL, 1)
    # 0.5 log(0.5 / 0.25) + 0.25 log(0.25 / 0.5) = 0.25 log 2
    torch.testing.assert_close(penalty, gates([0.0, 0.25 * math.log(2)])[0])


def test_prior_of_a_task_that_reads_few():
    assert PriorPenalty(own=0.5)(gates([0.5, 0.5]), (0, 2), 2).item() == 0
    assert PriorPenalty(own=0.5)(gates([1.0]), (2,), 2).item() == 0
    assert PriorPenalty(own=1.0)(gates([0.0, 1.0]), (0, 2), 2).item() == 0


def test_entropy_by_hand():
    penalty = EntropyPenalty()(gates([0.5, 0.5, 0.0], [1.0, 0.0, 0.0]), ALL, 0)
    torch.testing.assert_close(penalty, gates([math.log(2), 0.0])[0])


def test_balance_by_hand():
    penalty = BalancePenalty(edges=COMPLETE, rate=0.5)
    found = penalty(gates([1.0, 0.0, 0.0], [0.5, 0.5, 0.0]), ALL, 0)
    row = torch.tensor([(1 / 3 + 0.75) / 2, (1 / 3 + 0.25) / 2, 1 / 6])
    torch.testing.assert_close(penalty.rows, torch.stack([row, torch.full((3,), 1 / 3), torch.full((3,), 1 / 3)]))
    mean = (row + 2 / 3) / 3
    expected = [math.log(3 * mean[0]), 0.5 * math.log(3 * mean[0]) + 0.5 * math.log(3 * mean[1])]
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64), rtol=1e-6, atol=1e-6)


def test_balance_is_the_divergence_of_the_mean_gates_and_its_gradient():
    mean = gates([0.6, 0.3, 0.1]).requires_grad_()
    penalty = BalancePenalty(edges=COMPLETE, rate=1.0).double()
    for k in range(2):
        penalty(mean, ALL, k)
    found = penalty(mean, ALL, 2).sum()
    divergence = (mean * (3 * mean).log()).sum()
    torch.testing.assert_close(found, divergence)
    # along what softmax can do, rows that sum to 0, the two gradients are the same
    ours, theirs = (torch.autograd.grad(each, mean)[0] for each in (found, divergence))
    torch.testing.assert_close(ours - ours.mean(), theirs - theirs.mean())


def test_balance_counts_training_only_and_rows_start_with_equal_shares():
    penalty = BalancePenalty(edges=torch.tensor([[True, True], [False, True]])).eval()
    before = penalty.rows.clone()
    penalty(gates([0.9, 0.1]), (0, 1), 0)
    assert torch.equal(penalty.rows, before)
    assert before.tolist() == [[0.5, 0.5], [0.0, 1.0]]
    penalty.train()(gates([0.9, 0.1]), (0, 1), 0)
    assert penalty.rows[0, 0] > 0.5


@pytest.mark.parametrize("kind", ["prior", "entropy", "balance"])
def test_a_gate_of_zero_has_a_finite_penalty_and_gradient(kind):
    row = torch.tensor([[1.0, 0.0, 0.0]], requires_grad=True)
    penalty = gate_penalty(kind, own=0.5, edges=COMPLETE)(row, ALL, 1).sum()
    penalty.backward()
    assert penalty.isfinite()
    assert row.grad.isfinite().all()


def test_none_is_no_penalty():
    assert gate_penalty("none", own=0.5, edges=COMPLETE) is None
