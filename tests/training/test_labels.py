import pytest
import torch

from graphmtl.models.predictions import ModelOutput
from graphmtl.training.labels import Labels
from tests.training.parts_of_updates import part_of
from tests.training.toy import toy_data

LOSSES = torch.tensor([0.5, 2.0, 3.0])


def said(**values) -> ModelOutput:
    weights = torch.tensor([1.0, 1.0, 0.0])
    return ModelOutput(torch.zeros(3, 2), losses=LOSSES, counts=torch.ones(3), weights=weights, **values)


@pytest.mark.parametrize("processes", [1, 2])
def test_the_sum_of_the_texts_is_divided_by_the_labels_of_the_update(processes):
    """Each of P processes by N / P of them: what is the mean over processes is the mean over labels."""
    part = part_of(toy_data(a=5), "a", [0, 1, 2], fillers=1, labels=8)
    losses, plain = Labels(processes=processes)({"a": said()}, part)
    assert losses["a"] == processes * 2.5 / 8
    assert losses == plain


def test_a_task_has_a_weight_of_its_own_and_its_loss_is_known_without():
    part = part_of(toy_data(a=5), "a", [0, 1, 2], labels=5)
    losses, plain = Labels()({"a": said(task_weight=3.0)}, part)
    assert (losses["a"], plain["a"]) == (1.5, 0.5)
