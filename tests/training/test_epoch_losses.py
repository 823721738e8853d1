import math

import pytest
import torch
from accelerate import Accelerator

from graphmtl.errors import InputError
from graphmtl.training.epoch_losses import EpochLosses


def filled(*steps: tuple[str, int, float]) -> EpochLosses:
    losses = EpochLosses(accelerator=Accelerator(cpu=True))
    for step, (task, examples, loss) in enumerate(steps, start=1):
        losses.add(step=step, task=task, examples=examples, loss=torch.tensor(loss))
    return losses


def test_means_weigh_steps_by_their_examples():
    losses = filled(("b", 3, 1.0), ("a", 1, 5.0))
    assert losses.check() == 3.0
    losses.add(step=3, task="b", examples=1, loss=torch.tensor(2.0))
    assert losses.check() == 2.0
    assert losses.means() == {"a": 5.0, "b": 1.25}


def test_nothing_to_check():
    assert math.isnan(filled().check())
    assert filled().means() == {}


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_the_first_loss_that_is_not_finite_is_named(bad):
    losses = filled(("a", 1, 1.0), ("b", 1, bad), ("c", 1, math.nan))
    with pytest.raises(InputError, match=rf"task 'b', step 2: the training loss is {bad}") as error:
        losses.check()
    assert "\n" not in str(error.value)
