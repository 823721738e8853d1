"""What a finished run leaves beside the graph of its edges."""

import pytest

from graphmtl.analysis.ablation import AblationPlan, measure
from graphmtl.analysis.faithfulness import draw_texts
from graphmtl.data.batching import encode_tasks
from graphmtl.registry import ARCHITECTURES
from graphmtl.training import run_graphs
from graphmtl.training.finished import fitted_tasks
from graphmtl.training.run import Run
from graphmtl.training.run_graphs import _ablation

STAR = ["transferability", "affinity"]


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_tasks_that_read_from_each_other_are_asked_whom_they_rely_on(arch, finished):
    run = finished(arch).run
    reads = any(edge.source != edge.target for edge in run.task_graph.edges)
    assert [*run.graphs_beside] == (STAR if arch == "star" else ["ablation"] if reads else [])


def test_every_source_is_cut_and_the_change_is_that_of_explain(finished):
    run = finished("complete").run
    model, found = run.model, run.graphs_beside["ablation"]
    data = encode_tasks(fitted_tasks(run), model.vocabulary, model.options)
    texts = {"batch_size": run.options.texts_at_once, "seed": run.options.seed, "device": "cpu"}
    plan = AblationPlan(run.task_graph, seed=7)
    measured = measure(model, draw_texts(data, "test", per_task=200, **texts), plan.ablations)
    expected = {(edge.source, edge.target): edge for edge in plan.edges(measured)["ablation"]}
    ends = {(edge.source, edge.target) for edge in run.task_graph.edges}
    assert {(edge.source, edge.target) for edge in found.edges} == ends
    for edge in found.edges:
        same = expected[edge.source, edge.target]
        assert (edge.weight, edge.std) == pytest.approx((same.weight, same.std), abs=1e-6)
        assert edge.count == same.count == data[edge.target].labelled("test")
    assert (found.split, found.seed) == ("test", run.options.seed)


def test_where_there_are_many_edges_fewer_texts_are_read(finished, monkeypatch):
    run: Run = finished("complete").run
    model = run.model
    data = encode_tasks(fitted_tasks(run), model.vocabulary, model.options)
    counts = {}
    for most in (10_000, 25 * len(run.task_graph.edges), 0):
        monkeypatch.setattr(run_graphs, "_MOST_READ", most)
        graph = _ablation(run.options, model, data, run.task_graph)
        counts[most] = max(edge.count for edge in graph.edges if edge.target == "child1")
    assert [*counts.values()] == [40, 25, 20]
