import torch
from torch import nn

from graphmtl.layers.stacked import Adapters, StackedLinear

K, I, O = 3, 4, 5


def layers(stacked):
    """The same as K linear layers of torch."""
    for weight, bias in zip(stacked.weight, stacked.bias, strict=True):
        layer = nn.Linear(*weight.shape)
        layer.weight.data, layer.bias.data = weight.data.T, bias.data
        yield layer


def test_side_by_side_is_one_after_the_other():
    stacked = StackedLinear(layers=K, input_size=I, output_size=O)
    x = torch.randn(2, 6, K, I)
    expected = torch.stack([layer(x[..., k, :]) for k, layer in enumerate(layers(stacked))], -2)
    torch.testing.assert_close(stacked(x), expected)


def test_all_may_read_the_same_and_some_may_be_asked():
    stacked = StackedLinear(layers=K, input_size=I, output_size=O)
    x = torch.randn(2, 1, I)
    torch.testing.assert_close(stacked(x), stacked(x.expand(2, K, I)))
    torch.testing.assert_close(stacked(x, slice(1, 2)), stacked(x)[:, 1:2])
    assert str(stacked) == f"StackedLinear(layers={K}, input_size={I}, output_size={O})"


def test_each_layer_begins_as_a_linear_layer_of_torch():
    torch.manual_seed(0)
    stacked, linear = StackedLinear(layers=200, input_size=I, output_size=O), nn.Linear(I, 1000)
    for ours, theirs in ((stacked.weight, linear.weight), (stacked.bias, linear.bias)):
        assert ours.abs().max() <= I**-0.5
        torch.testing.assert_close(ours.std(), theirs.std(), rtol=0.1, atol=0)


def test_adapters_begin_near_what_they_read():
    torch.manual_seed(0)
    adapters, h = Adapters(tasks=K, size=I, bottleneck=2), torch.randn(6, I)
    z = adapters(h)
    assert z.shape == (6, K, I)
    assert 0 < (z - h.unsqueeze(1)).abs().max() < 0.2
    torch.testing.assert_close(adapters(h, slice(2, 3)), z[:, 2:])
