"""MMoE against its equations, one instance and one expert at a time."""

import pytest
import torch

from tests.parts import build_architecture

TASKS = ("a", "b", "c")
SIZE = 6
LENGTHS = torch.tensor([3, 1])


def build(**options):
    torch.manual_seed(0)
    sizes = {"hidden": 3, "experts": 2, "task_experts": 3, "expert_size": 5} | options
    architecture = build_architecture("mmoe", tasks=TASKS, input_size=4, **sizes).double()
    for parameter in architecture.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return architecture


def states(*shape):
    return torch.randn(*shape, SIZE, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def layer(stacked, i, x):
    return x @ stacked.weight[i] + stacked.bias[i]


def mixed(gate, experts):
    return sum(weight * expert for weight, expert in zip(torch.softmax(gate, 0), experts, strict=True))


def mmoe(architecture, h, k):
    experts = [layer(architecture.experts, e, h).relu() for e in range(2)]
    return mixed(layer(architecture.gates, k, h), experts)


@pytest.mark.parametrize("task", [0, 2])
def test_equals_the_mmoe(task):
    architecture = build()
    texts, tokens = states(2), states(2, 3)
    seen = architecture.interact(texts, LENGTHS, task, edges=True)
    assert seen.edges is None
    of_tokens = architecture.interact(tokens, LENGTHS, task).h
    assert of_tokens.shape == (2, 3, architecture.head_size(SIZE)) == (2, 3, 5)
    for b in range(2):
        torch.testing.assert_close(seen.h[b], mmoe(architecture, texts[b], task), rtol=0, atol=1e-9)
        for t in range(3):
            expected = mmoe(architecture, tokens[b, t], task)
            torch.testing.assert_close(of_tokens[b, t], expected, rtol=0, atol=1e-9)


def test_other_tasks_own_parts_learn_nothing_from_the_last_layer():
    architecture = build()
    architecture.interact(states(2), LENGTHS, 1).h.sum().backward()
    assert [bool(gradient.any()) for gradient in architecture.gates.weight.grad] == [False, True, False]
