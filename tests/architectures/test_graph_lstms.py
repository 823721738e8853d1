"""Both graph LSTMs against the plain reference, and what must not change their results."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphmtl.layers.interaction import Ablation
from graphmtl.layers.message_lstm import LSTM
from graphmtl.layers.recurrence import loops_cpp
from graphmtl.registry import ARCHITECTURES
from tests.architectures.reference import REFERENCES
from tests.parts import build_architecture

TASKS = ("a", "b", "c", "d")
LENGTHS = (5, 1, 7, 3)
SPARSE = "[[a, c], [d, c], [c, a], [a, d]]"  # b reads nothing


def build(arch, tasks=TASKS, **options):
    torch.manual_seed(0)
    architecture = build_architecture(arch, tasks=tasks, input_size=5, hidden=6, attention=4, **options).double()
    for parameter in architecture.parameters():  # zero biases would hide a wrong sign
        torch.nn.init.normal_(parameter, std=0.5)
    return architecture


def texts(lengths=LENGTHS, tokens=None):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(len(lengths), tokens or max(lengths), 5, generator=generator, dtype=torch.float64)
    return x, torch.tensor(lengths)


def assert_equal(actual, expected, atol=1e-9):
    torch.testing.assert_close(actual, expected, rtol=0, atol=atol)


every_architecture = pytest.mark.parametrize("arch", list(ARCHITECTURES))
every_graph = pytest.mark.parametrize(
    ("arch", "topology"), [("complete", None), ("complete", SPARSE), ("star", None)], ids=["complete", "sparse", "star"]
)
graph_lstms = pytest.mark.parametrize("arch", ["complete", "star"])


@pytest.fixture(params=["compiled", "plain"])
def loops(request, monkeypatch):
    """Both forms of the loops over tokens: recurrence.cpp, and PyTorch."""
    if request.param == "plain":
        monkeypatch.setattr(loops_cpp, "load", lambda: None)
    elif loops_cpp.load() is None:
        pytest.skip("no C++ compiler")


both_loops = pytest.mark.usefixtures("loops")
scores = pytest.mark.parametrize("score", ["additive", "dot", "static"])


@every_graph
@scores
@pytest.mark.parametrize("bidirectional", [True, False])
@both_loops
@pytest.mark.parametrize("task", [1, 2])
def test_equals_the_reference(arch, topology, score, bidirectional, task):
    architecture = build(arch, topology=topology, score=score, bidirectional=bidirectional)
    x, lengths = texts()
    states, edges = architecture.read(x, lengths, [task], edges=True)[0]
    for b, length in enumerate(LENGTHS):
        expected_states, expected_weights, contributions = REFERENCES[arch](architecture, x[b, :length], task)
        assert_equal(states[b, :length], expected_states)
        assert_equal(edges.weights[b, :length], expected_weights)
        assert_equal(edges.contributions()[b, :length], contributions)
        assert not states[b, length:].any()
        assert not edges.weights[b, length:].any()
        assert not edges.contributions()[b, length:].any()


@every_graph
@scores
@both_loops
def test_gradients_equal_the_references(arch, topology, score):
    architecture = build(arch, topology=topology, score=score)
    x, lengths = texts()
    x.requires_grad_()
    weight = torch.randn(len(LENGTHS), max(LENGTHS), 12, dtype=torch.float64)
    leaves = {"x": x, **dict(architecture.named_parameters())}
    slow = sum((REFERENCES[arch](architecture, x[b, :n], 2)[0] * weight[b, :n]).sum() for b, n in enumerate(LENGTHS))
    fast = (architecture.read(x, lengths, [2])[0][0] * weight).sum()
    expected = torch.autograd.grad(slow, list(leaves.values()), materialize_grads=True, allow_unused=True)
    actual = torch.autograd.grad(fast, list(leaves.values()), materialize_grads=True, allow_unused=True)
    for name, ours, theirs in zip(leaves, actual, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-9, msg=lambda text, name=name: f"{name}: {text}")
    if score != "static" or arch == "complete":
        assert all(
            grad.any()
            for name, grad in zip(leaves, expected, strict=True)
            if name == "x" or name.startswith("lstms.2.")
        )


@graph_lstms
@scores
@pytest.mark.parametrize("tasks", [("a", "b"), ("a",)])
@pytest.mark.parametrize("lengths", [(3, 2), (1, 1)])
@both_loops
def test_gradcheck(arch, score, tasks, lengths):
    architecture = build(arch, tasks=tasks, score=score)
    x, lengths = texts(lengths)
    parameters = tuple(architecture.parameters())

    def states(x, *values):
        named = dict(zip(dict(architecture.named_parameters()), values, strict=True))
        return torch.func.functional_call(architecture, named, (x, 0, lengths))

    assert torch.autograd.gradcheck(states, (x.requires_grad_(), *parameters), atol=1e-6, fast_mode=True)


@graph_lstms
def test_float32_is_close_to_float64(arch):
    architecture = build(arch)
    x, lengths = texts()
    exact, _ = architecture.read(x, lengths, [1])[0]
    rounded = architecture.float()(x.float(), 1, lengths)
    assert (rounded - exact).norm() / exact.norm() < 1e-4


@every_architecture
@settings(max_examples=20, deadline=None)
@given(lengths=st.lists(st.integers(1, 8), min_size=1, max_size=5), extra=st.integers(0, 4), task=st.integers(0, 3))
def test_neither_padding_nor_the_batch_changes_a_result(arch, lengths, extra, task):
    architecture = build(arch)
    x, lengths = texts(lengths, max(lengths) + extra)
    states, edges = architecture.read(x, lengths, [task], edges=True)[0]
    garbage = x.clone()
    for b, length in enumerate(lengths.tolist()):
        garbage[b, length:] = 1e3
    assert_equal(architecture.read(garbage, lengths, [task])[0][0], states)
    for b, length in enumerate(lengths.tolist()):
        alone, edges_alone = architecture.read(x[b : b + 1, :length], lengths[b : b + 1], [task], edges=True)[0]
        assert_equal(states[b : b + 1, :length], alone)
        if edges is not None:
            assert_equal(edges.per_instance()[b : b + 1], edges_alone.per_instance())


@scores
def test_the_edges_into_a_task_of_the_complete_graph_sum_to_one(score):
    x, lengths = texts()
    _, edges = build("complete", score=score)(x, 2, lengths, return_edge_weights=True)
    assert edges.sources == ("a", "b", "d")
    assert_equal(edges.per_instance().sum(-1), torch.ones(len(LENGTHS), dtype=torch.float64))


def test_only_the_lstms_of_the_sources_are_run():
    architecture = build("complete", topology=SPARSE)
    x, lengths = texts()
    architecture.read(x, lengths, [2])[0][0].sum().backward()
    assert [lstm.W.grad is not None for lstm in architecture.lstms] == [True, False, True, True]
    assert architecture.lstms[2].node_bias.shape == (2,)


def test_of_many_tasks_a_step_runs_only_the_target_and_its_sources():
    tasks = [f"task{k}" for k in range(128)]
    edges = [[tasks[(k + step) % 128], tasks[k]] for k in range(128) for step in range(1, 9)]
    architecture = build("complete", tasks=tasks, topology=str(edges))
    x, lengths = texts()
    states, weights = architecture.read(x, lengths, [5], edges=True)[0]
    states.sum().backward()
    assert weights.sources == tuple(tasks[6:14])
    assert [k for k, lstm in enumerate(architecture.lstms) if lstm.W.grad is not None] == list(range(5, 14))


def test_a_task_without_sources_reads_nothing():
    architecture = build("complete", topology=SPARSE)
    x, lengths = texts()
    states, edges = architecture.read(x, lengths, [1], edges=True)[0]
    assert edges.per_instance().shape == (len(LENGTHS), 0)
    assert_equal(states, LSTM.forward(architecture.lstms[1], x, lengths))
    assert architecture.lstms[1].node_bias is None


def test_all_edges_are_the_complete_graph():
    x, lengths = texts()
    edges = [[source, target] for source in TASKS for target in TASKS if source != target]
    assert_equal(build("complete", topology=str(edges))(x, 2, lengths), build("complete")(x, 2, lengths))


def test_spokes_are_shares():
    x, lengths = texts()
    _, edges = build("star")(x, 2, lengths, return_edge_weights=True)
    assert edges.sources == ("virtual",)
    assert ((edges.per_instance() > 0) & (edges.per_instance() < 1)).all()


def test_the_node_bias_moves_the_edge_it_names():
    architecture = build("complete")
    x, lengths = texts()
    before = architecture.read(x, lengths, [0], edges=True)[0][1].per_instance()
    architecture.lstms[0].node_bias.data[1] += 5
    after = architecture.read(x, lengths, [0], edges=True)[0][1].per_instance()
    assert (after[:, 1] > before[:, 1]).all()
    assert (after[:, 0] < before[:, 0]).all()


def test_without_node_bias_there_is_none():
    assert not [name for name, _ in build("complete", node_bias=False).named_parameters() if "node_bias" in name]


def test_permuting_the_tasks_permutes_the_edges_and_changes_nothing_else():
    architecture = build("complete")
    x, lengths = texts()
    states, edges = architecture.read(x, lengths, [0], edges=True)[0]
    order = [0, 3, 1, 2]  # of the tasks; the sources of task 0 stand in the order 3, 1, 2
    permuted = build("complete", tasks=[TASKS[k] for k in order])
    permuted.lstms = torch.nn.ModuleList(architecture.lstms[k] for k in order)
    sources = [2, 0, 1]
    architecture.lstms[0].node_bias.data = architecture.lstms[0].node_bias.data[sources]
    states_permuted, edges_permuted = permuted(x, 0, lengths, return_edge_weights=True)
    assert_equal(states_permuted, states)
    assert_equal(edges_permuted.weights, edges.weights[..., sources])


@pytest.mark.parametrize("detach", [True, False])
def test_detach_sources_keeps_the_targets_loss_from_the_other_lstms(detach):
    architecture = build("complete", detach_sources=detach)
    x, lengths = texts()
    architecture.read(x, lengths, [0])[0][0].sum().backward()
    assert architecture.lstms[0].W.grad.any()
    assert all((lstm.W.grad is None) == detach for lstm in architecture.lstms[1:])


def test_the_other_tasks_lstms_reach_the_target_of_the_complete_graph():
    architecture = build("complete")
    x, lengths = texts()
    before = architecture.read(x, lengths, [0])[0][0]
    architecture.lstms[3].U.data += 1
    assert not torch.allclose(architecture.read(x, lengths, [0])[0][0], before)


def test_single_shares_nothing_and_shared_everything():
    x, lengths = texts()
    single, shared = build("single"), build("shared")
    single(x, 2, lengths).sum().backward()
    assert [lstm.W.grad is not None for lstm in single.lstms] == [False, False, True, False]
    assert_equal(shared(x, 0, lengths), shared(x, 3, lengths))


# Edges that are cut


@scores
@pytest.mark.parametrize("node_bias", [True, False])
@pytest.mark.parametrize("renormalise", [True, False])
@both_loops
def test_ablation_equals_the_reference_that_leaves_the_sources_out(score, node_bias, renormalise):
    architecture = build("complete", score=score, node_bias=node_bias)
    x, lengths = texts()
    ablation = Ablation(edges=frozenset({("a", "c"), ("d", "c"), ("c", "b")}), renormalise=renormalise)
    states, edges = architecture.read(x, lengths, [2], edges=True, ablation=ablation)[0]
    cut = {"hidden" if renormalise else "silent": {0, 2}}  # of the sources a, b and d
    for b, length in enumerate(LENGTHS):
        expected, weights, _ = REFERENCES["complete"](architecture, x[b, :length], 2, **cut)
        assert_equal(states[b, :length], expected)
        assert_equal(edges.weights[b, :length], weights)


@pytest.mark.parametrize("renormalise", [True, False])
@both_loops
def test_without_any_edge_no_message_is_left(renormalise):
    """The reference's cell, whose message is 0: h_t = o * tanh(c_t)."""
    architecture = build("complete")
    x, lengths = texts()
    ablation = Ablation(edges=frozenset((j, "b") for j in "acd"), renormalise=renormalise)
    states, _ = architecture.read(x, lengths, [1], ablation=ablation)[0]
    for b, length in enumerate(LENGTHS):
        assert_equal(states[b, :length], REFERENCES["complete"](architecture, x[b, :length], 1, silent={0, 1, 2})[0])
    assert_equal(states, LSTM.forward(architecture.lstms[1], x, lengths))


@both_loops
def test_without_its_spoke_a_task_of_the_star_is_a_plain_lstm():
    architecture = build("star")
    x, lengths = texts()
    states, edges = architecture.read(
        x, lengths, [1], edges=True, ablation=Ablation(edges=frozenset({("virtual", "b")}))
    )[0]
    assert_equal(states, LSTM.forward(architecture.lstms[1], x, lengths))
    for b, length in enumerate(LENGTHS):
        assert_equal(states[b, :length], REFERENCES["star"](architecture, x[b, :length], 1, silent={0})[0])
    assert not edges.per_instance().any()


@graph_lstms
@both_loops
def test_cutting_other_edges_or_none_changes_nothing(arch):
    architecture = build(arch)
    x, lengths = texts()
    states, _ = architecture.read(x, lengths, [1])[0]
    others = frozenset({("a", "c"), ("b", "a"), ("virtual", "c")})
    for ablation in (Ablation(), Ablation(edges=others), Ablation(edges=others, renormalise=False)):
        assert_equal(architecture.read(x, lengths, [1], ablation=ablation)[0][0], states)


def test_float32_hides_a_source_too():
    architecture = build("complete")
    x, lengths = texts()
    ablation = Ablation(edges=frozenset({("a", "c")}))
    exact, _ = architecture.read(x, lengths, [2], ablation=ablation)[0]
    rounded, edges = architecture.float().read(x.float(), lengths, [2], edges=True, ablation=ablation)[0]
    assert (rounded - exact).norm() / exact.norm() < 1e-4
    assert edges.weights[..., 0].max() < 1e-30


@graph_lstms
def test_nodes_at_hand_are_taken(arch):
    architecture = build(arch)
    x, lengths = texts()
    nodes = architecture.node_states(x, lengths, [0, 2])
    expected = architecture.read(x, lengths, [0, 2])
    for (states, _), (again, _) in zip(expected, architecture.read(x, lengths, [0, 2], nodes=nodes), strict=True):
        assert_equal(again, states)
    zeros = torch.zeros_like(architecture.node_states(x, lengths, [2]))
    assert_equal(architecture.read(x, lengths, [2], nodes=zeros)[0][0], LSTM.forward(architecture.lstms[2], x, lengths))
