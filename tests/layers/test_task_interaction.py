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


def both(layer, *given, **named):
    return layer(*given, **named, return_edge_weights=True)


def nodes(copies=7):
    return torch.randn(copies, 5, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("edges", [COMPLETE, SPARSE], ids=["complete", "sparse"])
@pytest.mark.parametrize("heads", [1, 3])
@pytest.mark.parametrize("some_cut", [False, True])
def test_the_dense_form_equals_torch_geometrics(edges, heads, some_cut):
    dense, geometric = build("attention", edges, heads), build("transformer", edges, heads)
    geometric.load_state_dict({name.replace("read", "read.convolution"): v for name, v in dense.state_dict().items()})
    cut = torch.tensor([False, True, False, False, True]) if some_cut else None
    for ours, theirs in zip(both(dense, nodes(), cut), both(geometric, nodes(), cut), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("edges", [COMPLETE, SPARSE], ids=["complete", "sparse"])
def test_weights_sum_to_one_over_the_edges_there_are(kind, edges):
    z, weights = both(build(kind, edges), nodes())
    assert z.shape == (7, 5, 6)
    torch.testing.assert_close(weights.sum(-1), torch.ones(7, 5, dtype=torch.float64))
    assert not weights[:, ~edges].any()
    assert (weights[:, edges] > 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_instances_do_not_read_each_other(kind):
    layer, z = build(kind, SPARSE), nodes()
    for i in range(len(z)):
        for whole, alone in zip(both(layer, z), both(layer, z[i : i + 1]), strict=True):
            torch.testing.assert_close(whole[i : i + 1], alone, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_a_node_that_is_not_read_changes_nothing(kind):
    edges = torch.eye(5, dtype=torch.bool)
    layer, z = build(kind, edges), nodes()
    other = z.clone()
    other[:, 3] += 1
    before, after = layer(z), layer(other)
    torch.testing.assert_close(after[:, [0, 1, 2, 4]], before[:, [0, 1, 2, 4]])
    assert not torch.allclose(after[:, 3], before[:, 3])


@pytest.mark.parametrize("kind", KINDS)
def test_tokens_are_read_as_texts_are_and_padding_is_left_out(kind):
    layer, lengths = build(kind, SPARSE), torch.tensor([3, 1])
    z = nodes(6).view(2, 3, 5, 6)
    flat = both(layer, z.flatten(0, 1))
    z[1, 1:] = torch.nan
    mask = torch.arange(3) < lengths[:, None]
    for given in ({"lengths": lengths}, {"mask": mask}):
        for ours, exact in zip(both(layer, z, **given), flat, strict=True):
            torch.testing.assert_close(ours[mask], exact.view_as(ours)[mask], rtol=0, atol=1e-12)
            assert not ours[~mask].any()
    layer(z, lengths=lengths).sum().backward()
    assert all(own.grad.isfinite().all() for own in layer.parameters())
    torch.testing.assert_close(layer(z[:1]), layer(z[:1], lengths=lengths[:1]))


@pytest.mark.parametrize("kind", KINDS)
def test_a_task_reads_itself_whatever_the_edges_say(kind):
    assert torch.equal(build(kind, SPARSE)(nodes()), build(kind, SPARSE & ~torch.eye(5, dtype=torch.bool))(nodes()))


@pytest.mark.parametrize("kind", KINDS)
def test_reset_parameters_begins_anew(kind):
    layer = TaskInteraction(kind=kind, size=6, channels=4, heads=3, edges=COMPLETE)
    for parameter in layer.parameters():
        torch.nn.init.constant_(parameter, 7)
    layer.reset_parameters()
    assert not any((parameter == 7).any() for parameter in layer.parameters())


def test_what_a_layer_is_made_of_and_how_it_is_shown():
    layer = build("attention", COMPLETE)
    names = [f"read.lin_{part}" for part in ("query", "key", "value")] + ["output", "norm"]
    assert list(layer.state_dict()) == [f"{name}.{kind}" for name in names for kind in ("weight", "bias")]
    first, second, *_ = str(layer).splitlines()
    assert first == "TaskInteraction("
    assert second == "  attention, tasks=5, size=6"
