"""Complete graph: what a task reads from the others, and what is left where edges are cut."""

import pytest
import torch

from graphmtl.layers.interaction import Ablation
from graphmtl.layers.message_lstm import LSTM
from tests.architectures.reference import REFERENCES
from tests.architectures.small import LENGTHS, SPARSE, TASKS, assert_equal, both_loops, build, scores, texts
from tests.parts import build_architecture


@scores
def test_the_edges_into_a_task_of_the_complete_graph_sum_to_one(score):
    x, lengths = texts()
    _, edges = build("complete", score=score)(x, 2, lengths, return_edge_weights=True)
    assert edges.sources == ("a", "b", "d")
    assert_equal(edges.per_instance().sum(-1), torch.ones(len(LENGTHS), dtype=torch.float64))


def test_only_the_lstms_of_the_sources_are_run():
    architecture = build("complete", topology=SPARSE, detach_sources=False)
    x, lengths = texts()
    architecture.read(x, lengths, [2])[0][0].sum().backward()
    assert [lstm.W.grad is not None for lstm in architecture.lstms] == [True, False, True, True]
    assert architecture.lstms[2].node_bias.shape == (2,)


def test_of_many_tasks_a_step_runs_only_the_target_and_its_sources():
    tasks = [f"task{k}" for k in range(128)]
    edges = [[tasks[(k + step) % 128], tasks[k]] for k in range(128) for step in range(1, 9)]
    architecture = build("complete", tasks=tasks, topology=str(edges), detach_sources=False)
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


@pytest.mark.parametrize("detach", [True, False])
def test_detach_sources_keeps_the_targets_loss_from_the_other_lstms(detach):
    architecture = build("complete", detach_sources=detach)
    x, lengths = texts()
    architecture.read(x, lengths, [0])[0][0].sum().backward()
    assert architecture.lstms[0].W.grad.any()
    assert all((lstm.W.grad is None) == detach for lstm in architecture.lstms[1:])


def test_what_a_source_says_counts_at_first_as_it_does_for_the_source():
    eye, sizes = torch.eye(6), {"tasks": TASKS, "input_size": 5, "hidden": 6, "attention": 4}
    for arch, start, same in (("complete", "auto", True), ("complete", "random", False), ("star", "auto", False)):
        for lstm in build_architecture(arch, message_start=start, **sizes).lstms:
            assert torch.equal(lstm.W_r[0], eye) == torch.equal(lstm.W_r[1], eye) == same


@scores
@both_loops
def test_the_views_are_the_plain_lstm_and_what_the_sources_say_with_the_weights_that_were_read(score):
    architecture = build("complete", score=score, topology=SPARSE, bidirectional=False)
    x, lengths = texts()
    expected = architecture.read(x, lengths, [2, 1], edges=True)
    found = architecture.read_with_views(x, lengths, [2, 1], edges=True, views=("own", "others"))
    for (states, edges), ((own_states, own_edges), views), k in zip(expected, found, (2, 1), strict=True):
        assert_equal(own_states, states)
        assert_equal(own_edges.weights, edges.weights)
        assert_equal(views["own"], LSTM.forward(architecture.lstms[k], x, lengths))
    sources = torch.stack([LSTM.forward(architecture.lstms[j], x, lengths) for j in (0, 3)], 2)  # (B, T, S, H)
    r = (expected[0][1].weights.unsqueeze(2) @ sources).squeeze(2)  # (B, T, H)
    assert_equal(found[0][1]["others"], r @ architecture.lstms[2].W_r[0])
    assert "others" not in found[1][1]  # b reads nothing


def test_only_the_views_that_are_asked_for_are_made():
    architecture = build("complete")
    x, lengths = texts()
    for views in ((), ("own",), ("others",)):
        ((_, found),) = architecture.read_with_views(x, lengths, [0], views=views)
        assert {*found} == {*views}


def test_what_the_others_say_trains_the_biases_as_a_softmax_of_them_does():
    architecture = build("complete", score="static", bidirectional=False)
    x, lengths = texts()
    ((_, views),) = architecture.read_with_views(x, lengths, [0], views=("others",))
    views["others"].square().sum().backward()
    lstm = architecture.lstms[0]
    sources = torch.stack([LSTM.forward(other, x, lengths) for other in architecture.lstms[1:]], 2)  # (B, T, S, H)
    bias, W_r = lstm.node_bias.detach().clone().requires_grad_(), lstm.W_r[0].detach().clone().requires_grad_()
    said = (bias.softmax(-1) @ sources.detach()) @ W_r
    said.square().sum().backward()
    assert_equal(lstm.node_bias.grad, bias.grad)
    assert_equal(lstm.W_r.grad[0], W_r.grad)
    assert all(other.W.grad is None for other in architecture.lstms)  # no LSTM learns from it


def test_the_biases_have_a_learning_rate_of_their_own():
    rates = build("complete", bias_rate=3.0, topology=SPARSE).learning_rates(0.01)
    assert [(len(bias), rate) for bias, rate in rates] == [(1, 0.03), (2, 0.03), (1, 0.03)]  # of a, c and d
    assert build("complete", bias_rate=1.0).learning_rates(0.01) == []
    assert build("complete", node_bias=False).learning_rates(0.01) == []


def test_the_other_tasks_lstms_reach_the_target_of_the_complete_graph():
    architecture = build("complete")
    x, lengths = texts()
    before = architecture.read(x, lengths, [0])[0][0]
    architecture.lstms[3].U.data += 1
    assert not torch.allclose(architecture.read(x, lengths, [0])[0][0], before)


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


def test_float32_hides_a_source_too():
    architecture = build("complete")
    x, lengths = texts()
    ablation = Ablation(edges=frozenset({("a", "c")}))
    exact, _ = architecture.read(x, lengths, [2], ablation=ablation)[0]
    rounded, edges = architecture.float().read(x.float(), lengths, [2], edges=True, ablation=ablation)[0]
    assert (rounded - exact).norm() / exact.norm() < 1e-4
    assert edges.weights[..., 0].max() < 1e-30


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
