"""Cross-stitch networks against their equations, one text, one task and one token at a time."""

import pytest
import torch

from graphmtl.architectures.cross_stitch import CrossStitchUnit
from graphmtl.layers.interaction import Ablation
from tests.architectures.reference import plain_lstm
from tests.architectures.small import LENGTHS, SPARSE, TASKS, assert_equal, both_loops, build, texts

layers = pytest.mark.parametrize("stitch_layers", [1, 2, 3])
topologies = pytest.mark.parametrize("topology", [None, SPARSE], ids=["all", "sparse"])


def alpha(architecture, layer, k, j):
    """Alpha_{k,j} of a layer, 0 where k does not read from j."""
    unit = architecture.units[layer]
    if j == k:
        return unit.own[k]
    reads = (architecture.tasks[j], architecture.tasks[k]) in architecture.topology.edges
    return unit.others[k, j] if reads else torch.zeros((), dtype=torch.float64)


def reference(architecture, text, k, cut=()):
    """Of a text (T, I) of k: its states (T, D * H), weights (S,) and contributions (T, S) of the edges into k."""
    tasks = range(len(architecture.tasks))
    read = dict.fromkeys(tasks, text)  # what task j's next LSTM reads
    sources = [
        j for j in tasks if j == k or (architecture.tasks[j], architecture.tasks[k]) in architecture.topology.edges
    ]
    weights, through = [], []
    for layer in range(len(architecture.layers)):
        ways = {j: [] for j in tasks}
        for j in tasks:
            lstm = architecture.layers[layer][j]
            ways[j].append(torch.stack(plain_lstm(lstm, 0, read[j])))  # (T, H)
            if architecture.directions == 2:
                ways[j].append(torch.stack(plain_lstm(lstm, 1, read[j].flip(0))).flip(0))
        own = {j: alpha(architecture, layer, k, j) * ((j, k) not in cut) for j in sources}
        weights.append(torch.stack([a.abs() for a in own.values()]) / sum(a.abs() for a in own.values()))
        norms = [torch.stack([way.norm(dim=-1) for way in ways[j]]).mean(0) for j in sources]  # (T,) each
        through.append(torch.stack([a.abs() * norm for a, norm in zip(own.values(), norms, strict=True)], -1))
        mixed = {}
        for target in tasks:
            row = {j: alpha(architecture, layer, target, j) * ((j, target) not in cut) for j in tasks}
            mixed[target] = sum(row[j] * torch.cat(ways[j], -1) for j in tasks)  # (T, D * H)
        read = mixed
    return read[k], torch.stack(weights).mean(0), torch.stack(through).mean(0)


@layers
@topologies
@both_loops
@pytest.mark.parametrize("bidirectional", [True, False])
def test_equals_the_reference(stitch_layers, topology, bidirectional):
    architecture = build("cross-stitch", topology=topology, stitch_layers=stitch_layers, bidirectional=bidirectional)
    x, lengths = texts()
    for task, (states, edges) in zip([2, 1], architecture.read(x, lengths, [2, 1], edges=True), strict=True):
        for b, length in enumerate(LENGTHS):
            expected, weights, through = reference(architecture, x[b, :length], task)
            assert_equal(states[b, :length], expected)
            assert_equal(edges.weights[b, :length], weights.expand(length, -1))
            assert_equal(edges.contributions()[b, :length], through)
            assert not states[b, length:].any()
            assert not edges.weights[b, length:].any()
            assert not edges.contributions()[b, length:].any()
        assert edges.sources == tuple(TASKS[j] for j in architecture.sources[task])


@layers
@topologies
def test_gradients_equal_the_references(stitch_layers, topology):
    architecture = build("cross-stitch", topology=topology, stitch_layers=stitch_layers)
    x, lengths = texts()
    x.requires_grad_()
    weight = torch.randn(len(LENGTHS), max(LENGTHS), 12, dtype=torch.float64)
    leaves = {"x": x, **dict(architecture.named_parameters())}
    slow = sum((reference(architecture, x[b, :n], 2)[0] * weight[b, :n]).sum() for b, n in enumerate(LENGTHS))
    fast = (architecture.read(x, lengths, [2])[0][0] * weight).sum()
    expected = torch.autograd.grad(slow, list(leaves.values()), materialize_grads=True, allow_unused=True)
    actual = torch.autograd.grad(fast, list(leaves.values()), materialize_grads=True, allow_unused=True)
    for name, ours, theirs in zip(leaves, actual, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-9, msg=lambda text, name=name: f"{name}: {text}")


@topologies
def test_a_unit_starts_as_a_convex_combination_of_which_nine_tenths_are_the_tasks_own(topology):
    torch.manual_seed(0)
    architecture = build("cross-stitch", topology=topology, stitch_layers=2)
    for unit in architecture.units:
        unit.reset_parameters()
        for task, sources in enumerate(architecture.sources):
            row = unit(task, sources)
            others = len(sources) - 1
            expected = [0.1 / others if j != task else 0.9 for j in sources] if others else [1.0]
            assert_equal(row, torch.tensor(expected, dtype=torch.float64), atol=1e-7)


def test_tasks_with_equal_lstms_read_at_the_start_what_each_says_itself():
    architecture = build("cross-stitch")
    [unit.reset_parameters() for unit in architecture.units]
    for modules in architecture.task_modules():
        [module.load_state_dict(modules[0].state_dict()) for module in modules]
    x, lengths = texts()
    ((states, _),) = architecture.read(x, lengths, [3])
    assert_equal(states, architecture.layers[0][3](x, lengths), atol=1e-6)


@layers
def test_a_cut_edge_says_nothing_and_the_rest_stays_or_is_stretched(stitch_layers):
    architecture = build("cross-stitch", stitch_layers=stitch_layers)
    x, lengths = texts()
    cut = frozenset({("a", "c"), ("d", "c"), ("a", "b")})  # the last is not into c, but b is read in layers below
    ((kept, _),) = architecture.read(x, lengths, [2], ablation=Ablation(edges=cut, renormalise=False))
    for b, length in enumerate(LENGTHS):
        assert_equal(kept[b, :length], reference(architecture, x[b, :length], 2, {(0, 2), (3, 2), (0, 1)})[0])
    stretched = CrossStitchUnit.forward(architecture.units[0], 2, range(4), torch.tensor([True, False, False, True]))
    row = architecture.units[0](2, range(4))
    assert_equal(stretched[[0, 3]], torch.zeros(2, dtype=torch.float64))
    assert_equal(stretched.abs().sum(), row.abs().sum())
    assert_equal(stretched[1] / stretched[2], row[1] / row[2])
    ((nothing, _),) = architecture.read(
        x, lengths, [2], ablation=Ablation(edges=frozenset((j, k) for j in TASKS for k in TASKS))
    )
    assert not nothing.any()


def test_its_edges_are_the_units_numbers_whatever_the_text():
    architecture = build("cross-stitch")
    x, lengths = texts()
    ((_, edges),) = architecture.read(x, lengths, [0], edges=True)
    row = architecture.units[0](0, range(4)).abs()
    assert_equal(edges.per_instance(), (row / row.sum()).expand(len(LENGTHS), -1))
    assert not edges.weights.requires_grad


def test_only_the_lstms_that_a_task_reads_are_run():
    """d reads from a, a from c, and c from a and d: with two layers the second one's sources are read as well."""
    one, two = (build("cross-stitch", topology=SPARSE, stitch_layers=n) for n in (1, 2))
    x, lengths = texts()
    for architecture, reached in ((one, "ad"), (two, "acd")):
        architecture.read(x, lengths, [3])[0][0].sum().backward()
        read = {TASKS[k] for k, lstm in enumerate(architecture.layers[0]) if lstm.W.grad is not None}
        assert read == set(reached)


def test_its_units_have_a_learning_rate_of_their_own():
    architecture = build("cross-stitch", stitch_layers=2, stitch_lr=4.0)
    rates = architecture.learning_rates(0.25)
    assert {id(parameter) for parameter, _ in rates} == {id(p) for p in architecture.units.parameters()}
    assert {rate for _, rate in rates} == {1.0}
