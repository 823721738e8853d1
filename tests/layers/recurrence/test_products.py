"""The products around a loop over tokens, where x and W have 16 bits, as under autocast on a GPU."""

import pytest
import torch

from graphmtl.layers.recurrence.products import plain_gradients, product_with_tokens


@pytest.fixture
def operands():
    """x (D, N, I), W (D, K, I, G), b (D, K, G), the gradient (D, N, K, G) and the states before (D, N, K, H)."""
    torch.manual_seed(0)
    return [torch.randn(shape) for shape in ((2, 7, 5), (2, 3, 5, 8), (2, 3, 8), (2, 7, 3, 8), (2, 7, 3, 2))]


def test_the_product_is_each_recurrences_own(operands):
    x, W, b, *_ = operands
    product = product_with_tokens(x, W, b)  # (D, N, K, G)
    torch.testing.assert_close(product[1, :, 2], x[1] @ W[1, 2] + b[1, 2])


def test_gradients_equal_those_of_autograd(operands):
    x, W, b, grad, before = operands
    leaves = [each.requires_grad_() for each in (x, W, b, torch.zeros(2, 3, 2, 8))]
    result = product_with_tokens(*leaves[:3]) + torch.einsum("dnkh,dkhg->dnkg", before, leaves[3])
    expected = torch.autograd.grad(result, leaves, grad)
    for ours, theirs in zip(plain_gradients(grad, x, W, before, of_x=True), expected, strict=True):
        torch.testing.assert_close(ours, theirs)
    assert plain_gradients(grad, x, W, before, of_x=False)[0] is None


def test_16_bits_of_x_and_w_leave_all_else_in_full_precision(operands):
    x, W, b, grad, before = operands
    narrow = x.bfloat16(), W.bfloat16()
    rounded = [product_with_tokens(*narrow, b), *plain_gradients(grad, *narrow, before, of_x=True)]
    exact = [product_with_tokens(x, W, b), *plain_gradients(grad, x, W, before, of_x=True)]
    for ours, theirs in zip(rounded, exact, strict=True):
        assert ours.dtype == torch.float32
        assert (ours - theirs).norm() < 0.02 * theirs.norm()
    torch.testing.assert_close(rounded[-1], exact[-1], rtol=0, atol=0)  # of U, in which neither takes part
