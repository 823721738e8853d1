"""What layers say of their parameters is found wherever they stand in a model."""

import torch
from torch import nn

from graphmtl.layers.layer import Layer, names_of_own_starts, undecayed_parameters


class Part(Layer):
    undecayed = ("rows", "missing")
    own_start = ("bias",)

    def __init__(self):
        super().__init__()
        self.rows = nn.Parameter(torch.zeros(2, 3))
        self.matrix = nn.Parameter(torch.zeros(2, 3))
        self.bias = nn.Parameter(torch.zeros(2))


def test_declarations_are_found_at_any_depth():
    inner = Part()
    outer = nn.Sequential(nn.Linear(2, 2), nn.ModuleDict({"deep": inner}))
    assert [id(each) for each in undecayed_parameters(outer)] == [id(inner.rows)]
    assert names_of_own_starts(outer) == {"1.deep.bias"}
    assert names_of_own_starts(inner) == {"bias"}
    assert names_of_own_starts(outer) <= set(outer.state_dict())
