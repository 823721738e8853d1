from dataclasses import replace

import numpy as np
import pytest

from graphmtl.graph.clustering import clustered
from graphmtl.graph.task_graph import TaskGraph
from tests.graph.examples import affinity, complete, edges, names, rescaled, star, without_edges


def groups(count: int, seed: int = 0) -> TaskGraph:
    """Tasks of one remainder by 3 read much from each other, and little from the others."""
    rng = np.random.default_rng(seed)
    alike = np.arange(count)[:, None] % 3 == np.arange(count) % 3
    tasks = names(count)
    weights = np.where(alike, 0.8, 0.1) + rng.uniform(-0.05, 0.05, (count, count))
    return TaskGraph(arch="complete", tasks=tasks, split="test", seed=seed, edges=edges(tasks, weights))


@pytest.mark.parametrize("seed", range(5))
def test_tasks_that_read_from_each_other_stand_side_by_side(seed):
    place = {task: i for i, task in enumerate(clustered(groups(12, seed)).tasks)}
    for remainder in range(3):
        places = [place[task] for task in names(12)[remainder::3]]
        assert max(places) - min(places) == 3


@pytest.mark.parametrize("graph", [complete(16), affinity(9), complete(3)], ids=repr)
def test_only_the_order_changes(graph):
    found = clustered(graph)
    assert sorted(found.tasks) == sorted(graph.tasks)
    assert replace(found, tasks=graph.tasks) == graph


def test_order_depends_on_neither_scale_nor_names():
    graph = complete(9)
    assert clustered(rescaled(graph, 7.0, 3.0)).tasks == clustered(graph).tasks


def test_missing_edges_count_as_the_smallest():
    graph = groups(12)
    weak = min(edge.weight for edge in graph.edges if edge.weight > 0.5)
    found = clustered(replace(graph, edges=tuple(edge for edge in graph.edges if edge.weight >= weak)))
    place = {task: i for i, task in enumerate(found.tasks)}
    assert np.ptp([place[task] for task in names(12)[::3]]) == 3


@pytest.mark.parametrize("graph", [without_edges(5), star(5), complete(1), complete(2)], ids=repr)
def test_without_edges_between_three_tasks_nothing_changes(graph):
    assert clustered(graph) == graph
