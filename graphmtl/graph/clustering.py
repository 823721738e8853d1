"""An order of the tasks in which those that read from each other stand side by side."""

from dataclasses import replace

import numpy as np
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

from graphmtl.graph.task_graph import TaskGraph

__all__ = ["clustered"]


def clustered(graph: TaskGraph) -> TaskGraph:
    r"""The same graph with its tasks in the order of a hierarchical clustering.

    Average linkage of the distances :math:`d_{k,j} = \max(s) - s_{k,j}` with :math:`s = (w + w^\top) / 2`, a missing
    edge counting as the smallest weight; of all orders of the tree the one that keeps near tasks nearest (Bar-Joseph,
    Gifford, Jaakkola: Fast optimal leaf ordering for hierarchical clustering, 2001). A graph without edges between
    tasks, or of less than three tasks, stays as it is.
    """
    weights = graph.matrix()  # (targets, sources)
    np.fill_diagonal(weights, np.nan)
    if len(graph.tasks) < 3 or np.isnan(weights).all():
        return graph
    weights = np.nan_to_num(weights, nan=np.nanmin(weights))
    likeness = (weights + weights.T) / 2  # (tasks, tasks)
    distance = likeness.max() - likeness
    np.fill_diagonal(distance, 0)
    tree = linkage(squareform(distance, checks=False), method="average", optimal_ordering=True)
    return replace(graph, tasks=tuple(graph.tasks[i] for i in leaves_list(tree)))
