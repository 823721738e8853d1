"""What the tests of several architectures share: texts, weights, and how results are compared."""

import pytest
import torch

from tests.parts import build_architecture

TASKS = ("a", "b", "c", "d")
LENGTHS = (5, 1, 7, 3)
SPARSE = "[[a, c], [d, c], [c, a], [a, d]]"  # b reads nothing

both_loops = pytest.mark.usefixtures("loops")
scores = pytest.mark.parametrize("score", ["additive", "dot", "static"])


def build(arch, tasks=TASKS, **options):
    torch.manual_seed(0)
    architecture = build_architecture(arch, tasks=tasks, input_size=5, hidden=6, attention=4, **options).double()
    for parameter in architecture.parameters():  # zero biases would hide a wrong sign
        torch.nn.init.normal_(parameter, std=0.5)
    return architecture


def texts(lengths=LENGTHS, tokens=None):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(len(lengths), tokens or max(lengths), 5, generator=generator, dtype=torch.float64)
    return x, torch.tensor(lengths)


def states(*shape):
    """What stands before ``interact``; the last of the shape is its size."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def assert_equal(actual, expected, atol=1e-9):
    torch.testing.assert_close(actual, expected, rtol=0, atol=atol)
