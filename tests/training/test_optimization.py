import math

import pytest
import torch
from torch import nn

from graphmtl.config import TrainingOptions
from graphmtl.errors import InputError
from graphmtl.training.optimization import WeightAverage, adamw, learning_rate_schedule
from tests.training.toy import ToyModel, toy_data


def make_model(**options) -> ToyModel:
    return ToyModel([task.task for task in toy_data(a=1, b=1).values()], **options)


def test_matrices_alone_decay_and_embeddings_have_their_own_rate():
    model = make_model(embedding_lr=0.2)
    optimizer = adamw(model, TrainingOptions(lr=0.5, weight_decay=0.1))
    settings = {id(p): (g["lr"], g["weight_decay"]) for g in optimizer.param_groups for p in g["params"]}
    for name, parameter in model.named_parameters():
        if name.startswith("embeddings"):
            assert settings[id(parameter)] == (0.1, 0.0), name
        else:
            assert settings[id(parameter)] == (0.5, 0.1 if name.endswith("weight") else 0.0), name


def test_what_needs_no_gradient_is_left_out():
    model = make_model()
    model.embeddings["shared"].weight.requires_grad_(False)
    optimizer = adamw(model, TrainingOptions())
    chosen = [id(p) for group in optimizer.param_groups for p in group["params"]]
    assert sorted(chosen) == sorted(id(p) for p in model.parameters() if p.requires_grad)


def rates(steps: int = 100, **options) -> list[float]:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=2.0)
    schedule = learning_rate_schedule(optimizer, TrainingOptions(**options), steps=steps)
    values = []
    for _ in range(steps):
        values.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return values


@pytest.mark.parametrize(
    ("schedule", "share_left"),
    [
        ("constant", lambda done: 1),
        ("linear", lambda done: 1 - done),
        ("cosine", lambda done: (1 + math.cos(math.pi * done)) / 2),
    ],
)
def test_rate_rises_and_then_follows_the_schedule(schedule, share_left):
    values = rates(schedule=schedule, warmup=0.2)
    assert values[:20] == pytest.approx([2 * step / 20 for step in range(20)])
    assert values[20:] == pytest.approx([2 * share_left(step / 80) for step in range(80)])


def test_no_warm_up():
    assert rates(schedule="constant", warmup=0.0) == [2.0] * 100


def test_unknown_schedule():
    with pytest.raises(InputError, match=r"--schedule: .*'cosine'.*Got value: cosin"):
        rates(schedule="cosin")


def test_average_follows_its_equation():
    model = nn.Linear(3, 2)
    average = WeightAverage(model=model, decay=0.6)
    expected = model.weight.detach().clone()
    for n in range(1, 40):
        with torch.no_grad():
            model.weight.add_(n)
        average.update(model)
        decay = min(0.6, n / (n + 9))
        expected = decay * expected + (1 - decay) * model.weight.detach()
    torch.testing.assert_close(average.model.weight, expected)


def test_average_keeps_ties_and_needs_no_gradient():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[1].weight = model[0].weight
    average = WeightAverage(model=model, decay=0.9)
    average.update(model)
    assert average.model[1].weight is average.model[0].weight
    assert not any(parameter.requires_grad for parameter in average.model.parameters())
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_average_goes_on_elsewhere():
    models = [nn.Linear(2, 2) for _ in range(4)]
    first, second = (WeightAverage(model=models[0], decay=0.9) for _ in range(2))
    for model in models[1:]:
        first.update(model)
    second.update(models[1])
    third = WeightAverage(model=models[3], decay=0.9)
    third.load_state_dict(second.state_dict())
    for model in models[2:]:
        third.update(model)
    assert torch.equal(first.model.weight, third.model.weight)


def test_average_leaves_what_is_not_trained_as_it_is():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[0].requires_grad_(False)
    average = WeightAverage(model=model, decay=0.7)
    before = model[0].weight.clone()
    with torch.no_grad():
        model[0].weight.add_(1)  # nobody else changes it; the average must not even look
        model[1].weight.add_(1)
    average.update(model)
    assert torch.equal(average.model[0].weight, before)
    assert not torch.equal(average.model[1].weight, model[1].weight - 1)
