"""Training mode and evaluation mode."""

import pytest
from torch import nn

from graphmtl.layers.modes import evaluating


def test_every_part_has_its_own_mode_again_also_after_an_error():
    model = nn.Sequential(nn.Dropout(), nn.Dropout().eval())
    with evaluating(model):
        assert not any(module.training for module in model.modules())
    with pytest.raises(KeyError), evaluating(model):
        raise KeyError
    assert [module.training for module in model.modules()] == [True, True, False]
