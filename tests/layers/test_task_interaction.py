import pytest
import torch

from graphmtl.layers.task_interaction import TaskInteraction

KINDS = ("attention", "transformer", "gatv2")
COMPLETE = torch.ones(5, 5, dtype=torch.bool)
SPARSE = torch.eye(5, dtype=torch.bool) | (torch.arange(25).view(5, 5) % 3 == 0)


def build(kind, edges, heads=3):
    torch.manual_seed(0)
    layer = TaskInteraction(kind=kind, size=6, channels=4, heads=heads, edges=edges).double()
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return layer


def nodes(copies=7):
    return torch.randn(copies, 5, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("edges", [COMPLETE, SPARSE], ids=["complete", "sparse"])
@pytest.mark.parametrize("heads", [1, 3])
@pytest.mark.parametrize("some_cut", [False, True])
def test_the_dense_form_equals_torch_geometrics(edges, heads, some_cut):
    dense, geometric = build("attention", edges, heads), build("transformer", edges, heads)
    geometric.load_state_dict({name.replace("read", "read.convolution"): v for name, v in dense.state_dict().items()})
    cut = torch.tensor([False, True, False, False, True]) if some_cut else None
    for ours, theirs in zip(dense(nodes(), cut), geometric(nodes(), cut), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("edges", [COMPLETE, SPARSE], ids=["complete", "sparse"])
def test_weights_sum_to_one_over_the_edges_there_are(kind, edges):
    z, weights = build(kind, edges)(nodes())
    assert z.shape == (7, 5, 6)
    torch.testing.assert_close(weights.sum(-1), torch.ones(7, 5, dtype=torch.float64))
    assert not weights[:, ~edges].any()
    assert (weights[:, edges] > 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_instances_do_not_read_each_other(kind):
    layer, z = build(kind, SPARSE), nodes()
    for i in range(len(z)):
        for whole, alone in zip(layer(z), layer(z[i : i + 1]), strict=True):
            torch.testing.assert_close(whole[i : i + 1], alone, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_a_node_that_is_not_read_changes_nothing(kind):
    edges = torch.eye(5, dtype=torch.bool)
    layer, z = build(kind, edges), nodes()
    other = z.clone()
    other[:, 3] += 1
    before, after = layer(z)[0], layer(other)[0]
    torch.testing.assert_close(after[:, [0, 1, 2, 4]], before[:, [0, 1, 2, 4]])
    assert not torch.allclose(after[:, 3], before[:, 3])
