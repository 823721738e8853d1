import pytest
import torch
from torch.nn import functional as F

from graphmtl.training.labels import Labels
from tests.training.parts_of_updates import part_of
from tests.training.toy import ToyOutput, toy_data

LOGITS = torch.tensor([[0.5, -1.0], [2.0, 0.0], [0.0, 3.0]])


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("processes", [1, 2])
def test_the_sum_of_the_texts_is_divided_by_the_labels_of_the_update(smoothing, processes):
    """Each of P processes by N / P of them: what is the mean over processes is the mean over labels."""
    data = toy_data(a=5)
    part = part_of(data, "a", [0, 1, 2], fillers=1, labels=8)
    labels = Labels(tasks={"a": data["a"].task}, label_smoothing=smoothing, processes=processes)
    losses, plain = labels({"a": ToyOutput(LOGITS)}, part)
    each = F.cross_entropy(LOGITS, part.batch.labels["a"], reduction="none", label_smoothing=smoothing)
    expected = processes * each[:2].sum() / 8
    torch.testing.assert_close(losses["a"], expected)
    assert losses == plain


def test_a_task_has_a_weight_of_its_own_and_its_loss_is_known_without():
    data = toy_data(a=5)
    task = data["a"].task
    object.__setattr__(task, "weight", 2.5)
    losses, plain = Labels(tasks={"a": task})({"a": ToyOutput(LOGITS)}, part_of(data, "a", [0, 1, 2], labels=3))
    torch.testing.assert_close(losses["a"], 2.5 * plain["a"])
