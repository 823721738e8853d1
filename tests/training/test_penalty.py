import torch

from graphmtl.models.predictions import ModelOutput
from graphmtl.training.penalty import Penalty
from tests.training.toy import ToyModel, toy_data


def test_the_penalties_of_all_tasks_are_summed_and_fillers_do_not_count():
    batch = toy_data(a=3)["a"].train.batch([0, 1, 2], fillers=1)
    outputs = {name: ModelOutput(torch.zeros(3, 2), penalty=torch.tensor([1.0, 3.0, 100.0])) for name in ("a", "b")}
    assert Penalty(weight=max)(outputs, batch, {}) == 8
    assert Penalty(weight=max)(outputs | {"c": ModelOutput(torch.zeros(3, 2))}, batch, {}) == 8


def test_without_any_penalty_there_is_none():
    batch = toy_data(a=3)["a"].train.batch([0])
    assert Penalty(weight=max)({"a": ModelOutput(torch.zeros(1, 2))}, batch, {}) is None


def test_its_weight_is_the_models_at_the_update_that_is_made():
    model = ToyModel([task.task for task in toy_data(a=1).values()])
    penalty = Penalty.of_run(model, Penalty.Options())
    assert [penalty.weight(step, 4) for step in range(4)] == [0.25, 0.5, 0.75, 1]
