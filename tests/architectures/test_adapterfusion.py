"""Adapter fusion by its equations, and the two stages as two runs."""

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


def fusion(architecture, h, k):
    z = [adapter(architecture, h, j) for j in range(3)]
    query = h @ architecture.query.weight[k] + architecture.query.bias[k]
    keys = [each @ architecture.key.weight[k] + architecture.key.bias[k] for each in z]
    gates = torch.softmax(torch.stack([query @ key / 2 for key in keys]), 0)
    return sum(g * each for g, each in zip(gates, z, strict=True)) @ architecture.value[k], gates


@pytest.mark.parametrize("task", [0, 2])
def test_equals_the_reference(task):
    architecture = build("adapter-fusion")
    for h in (states(2), states(2, 3)):
        seen = architecture.interact(h, LENGTHS, task, edges=True)
        assert seen.h.shape == h.shape
        for row, own in enumerate(h.view(-1, SIZE)):
            expected, gates = fusion(architecture, own, task)
            torch.testing.assert_close(seen.h.view(-1, SIZE)[row], expected, rtol=0, atol=1e-9)
            if h.ndim == 2:
                torch.testing.assert_close(seen.edges.weights[row, 0], gates, rtol=0, atol=1e-9)
        assert seen.edges.sources == TASKS
        torch.testing.assert_close(seen.edges.per_instance().sum(-1), torch.ones(2, dtype=torch.float64))


def test_fusion_starts_as_a_weighted_mean_of_the_adapters():
    architecture = build("adapter-fusion")
    architecture.value.data = torch.eye(SIZE, dtype=torch.float64).repeat(3, 1, 1)
    seen = architecture.interact(states(2), LENGTHS, 1, edges=True)
    z = architecture.adapters(states(2))
    torch.testing.assert_close(seen.h, (seen.edges.weights @ z).squeeze(1))
