"""Adapters by their equation."""

import pytest
import torch

from tests.parts import build_architecture

TASKS = ("a", "b", "c")
SIZE = 6
LENGTHS = torch.tensor([3, 1])


def build(arch):
    torch.manual_seed(0)
    sizes = {"hidden": 3, "attention": 4, "adapter_size": 5}
    architecture = build_architecture(arch, tasks=TASKS, input_size=4, **sizes).double()
    for parameter in architecture.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return architecture


def states(*shape):
    return torch.randn(*shape, SIZE, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def adapter(architecture, h, k):
    own = architecture.adapters
    normed = (h - h.mean()) / (h.var(unbiased=False) + 1e-5).sqrt() * own.norm.weight + own.norm.bias
    inner = torch.nn.functional.gelu(normed @ own.down.weight[k] + own.down.bias[k])
    return h + inner @ own.up.weight[k] + own.up.bias[k]


@pytest.mark.parametrize("task", [0, 2])
def test_equals_the_reference(task):
    architecture = build("adapters")
    for h in (states(2), states(2, 3)):
        seen = architecture.interact(h, LENGTHS, task, edges=True)
        assert seen.h.shape == h.shape
        assert seen.edges is None
        for row, own in enumerate(h.view(-1, SIZE)):
            torch.testing.assert_close(seen.h.view(-1, SIZE)[row], adapter(architecture, own, task), rtol=0, atol=1e-9)
