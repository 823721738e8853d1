import pytest
import torch

from graphmtl.kinds.classification import ClassificationHead


def test_the_head_is_a_linear_layer():
    head = ClassificationHead(input_size=4, classes=3, dropout=0.5).eval()
    x = torch.randn(2, 4)
    torch.testing.assert_close(head(x), x @ head.linear.weight.T + head.linear.bias)
    assert head(x).shape == (2, 3)


def test_dropout_stands_before_the_layer_and_only_in_training():
    torch.manual_seed(0)
    head = ClassificationHead(input_size=1000, classes=1, dropout=0.25).train()
    torch.nn.init.ones_(head.linear.weight)
    torch.nn.init.zeros_(head.linear.bias)
    kept = (head(torch.ones(500, 1000)) * 0.75).squeeze(-1)  # how many of 1,000 ones are left
    torch.testing.assert_close(kept, kept.round(), rtol=0, atol=1e-2)
    assert abs(kept.mean() / 1000 - 0.75) < 0.01
    assert head.eval()(torch.ones(1, 1000)).item() == pytest.approx(1000)
