import pickle

import pytest
import torch

from graphmtl.errors import InputError
from graphmtl.graph.edge import VIRTUAL, Edge
from graphmtl.graph.recorder import EdgeRecorder
from graphmtl.graph.task_graph import TaskGraph
from graphmtl.layers.interaction import EdgeWeights

ABOUT = {"arch": "complete", "tasks": ("a", "b", "c"), "split": "test", "seed": 3}


def edge(source: str, target: str, weight: float = 0.5, std: float = 0.1, count: int = 7) -> Edge:
    return Edge(source=source, target=target, weight=weight, std=std, count=count)


def attention(instances: int, sources: int, seed: int = 0) -> torch.Tensor:
    """(instances, sources), rows sum to 1."""
    generator = torch.Generator().manual_seed(seed)
    return torch.softmax(3 * torch.randn(instances, sources, generator=generator, dtype=torch.float64), dim=-1)


def recorded(weights: torch.Tensor, batch: int) -> EdgeRecorder:
    recorder = EdgeRecorder()
    for part in weights.split(batch):
        recorder.add("c", ("a", "b"), part)
    return recorder


@pytest.mark.parametrize("batch", [1, 7, 100])
def test_recorder_equals_mean_and_std_of_all_instances(batch):
    weights = attention(100, 2)
    found = recorded(weights, batch).graph(**ABOUT).edges
    assert [(e.source, e.target, e.count) for e in found] == [("a", "c", 100), ("b", "c", 100)]
    assert [e.weight for e in found] == pytest.approx(weights.mean(0).tolist(), rel=1e-12)
    assert [e.std for e in found] == pytest.approx(weights.std(0, correction=0).tolist(), rel=1e-12)


def test_recorder_is_exact_far_from_zero():
    weights = 1e6 + 1e-3 * attention(100, 2)  # the mean of squares less the square of the mean would lose all digits
    found = recorded(weights, 7).graph(**ABOUT).edges
    assert [e.std for e in found] == pytest.approx(weights.std(0, correction=0).tolist(), rel=1e-5)


def test_weights_of_incoming_edges_sum_to_one():
    graph = recorded(attention(50, 2), 8).graph(**ABOUT)
    assert sum(e.weight for e in graph.incoming("c")) == pytest.approx(1, abs=1e-12)


def test_instance_counts_once_however_long_it_is():
    weights = torch.zeros(2, 3, 2)  # (batch, tokens, sources)
    weights[0, :1] = torch.tensor([1.0, 0.0])
    weights[1, :3] = torch.tensor([0.0, 1.0])
    recorder = EdgeRecorder()
    recorder.update(EdgeWeights(target="c", sources=("a", "b"), weights=weights, lengths=torch.tensor([1, 3])))
    assert [e.weight for e in recorder.graph(**ABOUT).edges] == [0.5, 0.5]


def test_filler_instances_are_left_out():
    weights = attention(6, 2)
    keep = torch.tensor([1.0, 0.0, 1.0, 1.0, 0.0, 0.0])
    recorder = EdgeRecorder()
    recorder.add("c", ("a", "b"), weights, keep)
    recorder.add("c", ("a", "b"), weights, torch.zeros(6))
    assert recorder.graph(**ABOUT) == recorded(weights[keep == 1], 6).graph(**ABOUT)


def test_update_leaves_fillers_out():
    edges = EdgeWeights(
        target="c", sources=("a", "b"), weights=attention(4, 2)[:, None], lengths=torch.ones(4, dtype=torch.int64)
    )
    recorder = EdgeRecorder()
    recorder.update(edges, keep=torch.tensor([1, 1, 1, 0]))
    assert {e.count for e in recorder.graph(**ABOUT).edges} == {3}


def test_merge_equals_one_recorder_for_all():
    weights = attention(100, 2)
    first, second = recorded(weights[:31], 10), recorded(weights[31:], 10)
    before = second.graph(**ABOUT)
    second.add("a", ("c",), torch.ones(2, 1))
    first.merge(second)
    merged = first.graph(**ABOUT)
    for found, expected in zip(merged.incoming("c"), recorded(weights, 100).graph(**ABOUT).incoming("c"), strict=True):
        assert found.count == expected.count
        assert (found.weight, found.std) == pytest.approx((expected.weight, expected.std), rel=1e-12)
    assert merged.incoming("a") == [edge("c", "a", 1.0, 0.0, 2)]
    assert second.graph(**ABOUT).incoming("c") == before.incoming("c")


def test_memory_does_not_grow_with_the_split():
    few, many = recorded(attention(200, 2), 100), recorded(attention(20_000, 2), 100)
    assert len(pickle.dumps(many)) <= len(pickle.dumps(few)) + 16  # the count may take more digits


def test_recorder_keeps_no_graph_of_derivatives():
    weights = attention(4, 2).requires_grad_()
    recorder = recorded(weights, 2)
    assert all(not moments.mean.requires_grad for moments in recorder._moments.values())


def test_star_spokes_leave_the_virtual_node():
    recorder = EdgeRecorder()
    recorder.add("b", (VIRTUAL,), torch.tensor([[0.2], [0.4]]))
    graph = recorder.graph(arch="star", tasks=("a", "b"), split="test", seed=0, virtual=True)
    assert graph.nodes == ("a", "b", VIRTUAL)
    assert [(e.source, e.target) for e in graph.edges] == [(VIRTUAL, "b")]
    assert graph.edges[0].weight == pytest.approx(0.3)


def test_nothing_recorded_is_a_graph_without_edges():
    assert EdgeRecorder().graph(**ABOUT) == TaskGraph(**ABOUT)


def test_recorder_refuses_other_shapes_and_sources():
    recorder = recorded(attention(4, 2), 4)
    with pytest.raises(ValueError, match=r"weights: expected \(instances, 2\), found \(4, 3\)"):
        recorder.add("c", ("a", "b"), attention(4, 3))
    with pytest.raises(ValueError, match="sources of 'c': expected"):
        recorder.add("c", ("b", "a"), attention(4, 2))


def test_weight_that_is_not_finite_is_named():
    recorder = recorded(torch.tensor([[0.5, float("nan")]]), 1)
    with pytest.raises(InputError, match=r"'b' -> 'c': weight is a finite number, not nan; .* try a lower --lr"):
        recorder.graph(**ABOUT)


def test_repr_of_recorder():
    assert repr(recorded(attention(4, 2), 3)) == "EdgeRecorder(instances={'c': 4})"
