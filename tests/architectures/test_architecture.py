"""What holds of every architecture, and of both graph LSTMs beside the plain reference."""

import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphmtl.layers.interaction import Ablation
from graphmtl.layers.layer import names_of_own_starts, undecayed_parameters
from graphmtl.layers.message_lstm import LSTM
from graphmtl.registry import ARCHITECTURES
from tests.architectures.reference import REFERENCES
from tests.architectures.small import LENGTHS, SPARSE, TASKS, assert_equal, both_loops, build, scores, texts

every_architecture = pytest.mark.parametrize("arch", list(ARCHITECTURES))
every_graph = pytest.mark.parametrize(
    ("arch", "topology"), [("complete", None), ("complete", SPARSE), ("star", None)], ids=["complete", "sparse", "star"]
)
graph_lstms = pytest.mark.parametrize("arch", ["complete", "star"])


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


def everything(architecture, k):
    """The token states of task k, what its head sees, and the weights of its edges by source."""
    x, lengths = texts()
    h, edges = architecture.read(x, lengths, [k], edges=True)[0]
    seen = architecture.interact(h.amax(1), lengths, k, edges=True)
    edges = seen.edges or edges
    weights = {} if edges is None else dict(zip(edges.sources, edges.per_instance().unbind(-1), strict=True))
    return h, seen.h, weights


def tasks_by_tasks(architecture):
    """The rows of tasks that have a column for each task too."""
    return [getattr(architecture, "gate_bias", None), *(unit.others for unit in getattr(architecture, "units", ()))]


@every_architecture
def test_the_order_of_the_tasks_changes_nothing(arch):
    """By what the contract says of the parameters: modules and rows that belong to a task go with it."""
    options = {"extraction_layers": 1}  # of ple: a gate over the experts of all tasks has no row for each
    architecture, order = build(arch, **options), [2, 0, 3, 1]
    permuted = build(arch, tasks=[TASKS[k] for k in order], **options)
    with torch.no_grad():
        for modules in architecture.task_modules():
            for name in (name for module in modules for name in names_of_own_starts(module)):
                [module.get_parameter(name).zero_() for module in modules]
        permuted.load_state_dict(architecture.state_dict())
        for ours, theirs in zip(permuted.task_modules(), architecture.task_modules(), strict=True):
            [module.load_state_dict(theirs[k].state_dict()) for module, k in zip(ours, order, strict=True)]
        for ours, theirs in zip(permuted.task_rows(), architecture.task_rows(), strict=True):
            of_both = any(theirs is own for own in tasks_by_tasks(architecture))
            ours.copy_(theirs[order][:, order] if of_both else theirs[order])
    for place, k in enumerate(order):
        expected, found = everything(architecture, k), everything(permuted, place)
        assert_equal(found[:2], expected[:2])
        assert found[2].keys() == expected[2].keys()
        assert_equal([found[2][name] for name in expected[2]], [*expected[2].values()])


LSTM_NAMES = {"lstm.W", "lstm.U", "lstm.b"}
OWN_LSTM_NAMES = {"lstms.*.W", "lstms.*.U", "lstms.*.b"}
MESSAGE_NAMES = {f"lstms.*.{name}" for name in ("W", "U", "b", "W_m", "V_m", "W_r", "W_n", "W_q", "u")}
ADAPTERS = {f"adapters.{own}.{kind}" for own in ("norm", "down", "up") for kind in ("weight", "bias")}
LINEAR = {"query.weight", "query.bias", "key.weight", "key.bias"}
STREAMS = ("own", "shared", "gates", "shared_gate")
EXTRACTION = {f"layers.*.{own}.{kind}" for own in STREAMS for kind in ("weight", "bias")}
NAMES = {
    "single": OWN_LSTM_NAMES,
    "shared": LSTM_NAMES,
    "shared-private": LSTM_NAMES | OWN_LSTM_NAMES,
    "adversarial": LSTM_NAMES | OWN_LSTM_NAMES,
    "cross-stitch": {f"layers.*.{k}.{name}" for k in range(4) for name in ("W", "U", "b")}
    | {"units.*.own", "units.*.others"},
    "complete": MESSAGE_NAMES | {"lstms.*.node_bias"},
    "star": MESSAGE_NAMES | {"hub.W", "hub.U", "hub.b"},
    "cmtr": LSTM_NAMES | ADAPTERS | LINEAR | {"task_embedding", "gate_bias"},
    "mmoe": LSTM_NAMES | {"experts.weight", "experts.bias", "gates.weight", "gates.bias"},
    "ple": LSTM_NAMES | EXTRACTION,
    "adapters": LSTM_NAMES | ADAPTERS,
    "adapter-fusion": LSTM_NAMES | ADAPTERS | LINEAR | {"value"},
}


def general(names):
    return {re.sub(r"\.\d+\.", ".*.", name) for name in names}


@every_architecture
def test_a_saved_models_names_stay(arch):
    assert general(build(arch).state_dict()) == NAMES[arch]


UNDECAYED = {  # beside those of one dimension
    "single": {"lstms.*.b"},
    "shared": {"lstm.b"},
    "shared-private": {"lstm.b", "lstms.*.b"},
    "adversarial": {"lstm.b", "lstms.*.b"},
    "cross-stitch": {f"layers.*.{k}.b" for k in range(4)} | {"units.*.others"},
    "complete": {"lstms.*.b", "lstms.*.u"},
    "star": {"hub.b", "lstms.*.b", "lstms.*.u"},
    "cmtr": {"lstm.b", "adapters.down.bias", "adapters.up.bias", "task_embedding", "gate_bias"},
    "mmoe": {"lstm.b", "experts.bias", "gates.bias"},
    "ple": {"lstm.b", "layers.*.own.bias", "layers.*.shared.bias", "layers.*.gates.bias"},
    "adapters": {"lstm.b", "adapters.down.bias", "adapters.up.bias"},
    "adapter-fusion": {"lstm.b", "adapters.down.bias", "adapters.up.bias", "query.bias", "key.bias"},
}


@every_architecture
def test_what_is_not_decayed(arch):
    architecture = build(arch)
    places = {id(parameter): name for name, parameter in architecture.named_parameters()}
    assert general(places[id(parameter)] for parameter in undecayed_parameters(architecture)) == UNDECAYED[arch]


@every_architecture
def test_what_belongs_to_a_task_is_all_that_grows_with_the_tasks(arch):
    small, large = build(arch, extraction_layers=1), build(arch, tasks=[*TASKS, "e"], extraction_layers=1)
    assert all(len(modules) == len(TASKS) for modules in small.task_modules())
    assert all(len(row) == len(TASKS) for row in small.task_rows())
    own = {id(each) for modules in large.task_modules() for each in modules.parameters()}
    own |= set(map(id, large.task_rows()))
    before = dict(small.named_parameters())
    grown = {name for name, p in large.named_parameters() if name not in before or before[name].shape != p.shape}
    assert grown <= {name for name, p in large.named_parameters() if id(p) in own}
    assert all(any(part is module for module in small.modules()) for part in small.frozen_parts())
    assert bool(small.frozen_parts()) == (small.first_stage is not None)


@every_architecture
def test_every_architecture_reads_as_the_contract_says(arch):
    architecture, (x, lengths) = build(arch), texts()
    nodes = architecture.node_states(x, lengths, [0, 2])
    expected = architecture.read(x, lengths, [0, 2], edges=True)
    again = architecture.read(x, lengths, [0, 2], nodes=nodes, ablation=Ablation())
    for (states_of, edges), (same, none) in zip(expected, again, strict=True):
        assert states_of.shape == (*x.shape[:2], architecture.output_size)
        assert_equal(same, states_of)
        assert none is None
        seen = architecture.interact(states_of.amax(1), lengths, 0, edges=True)
        assert seen.h.shape == (len(x), architecture.head_size(architecture.output_size))
        assert ((edges or seen.edges) is not None) == architecture.has_edges
    cut = Ablation(edges=frozenset((source, "a") for source in (*"bcd", "virtual")))
    (states_of, _), (whole, _) = architecture.read(x, lengths, [0], ablation=cut)[0], expected[0]
    one, other = (architecture.interact(h.amax(1), lengths, 0, ablation=cut).h for h in (states_of, whole))
    assert torch.equal(one, architecture.interact(whole.amax(1), lengths, 0).h) == (not architecture.has_edges)
    assert one.shape == other.shape


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
    through = {"detach_sources": False} if arch == "complete" else {}  # as the paper has it
    architecture = build(arch, topology=topology, score=score, **through)
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
    joint = {"detach_sources": False} if arch == "complete" else {}
    architecture = build(arch, tasks=tasks, score=score, **joint)
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


@graph_lstms
@both_loops
def test_cutting_other_edges_or_none_changes_nothing(arch):
    architecture = build(arch)
    x, lengths = texts()
    states, _ = architecture.read(x, lengths, [1])[0]
    others = frozenset({("a", "c"), ("b", "a"), ("virtual", "c")})
    for ablation in (Ablation(), Ablation(edges=others), Ablation(edges=others, renormalise=False)):
        assert_equal(architecture.read(x, lengths, [1], ablation=ablation)[0][0], states)


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
