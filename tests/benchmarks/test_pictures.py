import matplotlib.image
import numpy as np
import pytest

from benchmarks import pictures
from graphmtl.graph.evidence import evidence


@pytest.mark.parametrize("count", pictures.SIZES)
def test_true_edges_weigh_more_than_what_chance_leaves(count):
    tasks, edges = pictures.true_edges(count)
    assert len(tasks) == count
    graph, control = pictures.graph_of(tasks, edges, seed=0), pictures.graph_of(tasks, set(), seed=1)
    found = evidence(graph, control)
    above = {(tasks[j], tasks[k]) for k in range(count) for j in range(count) if found.above[k, j]}
    assert above == (edges if count > 3 else set())  # of 3 tasks a control gives three numbers, which say too little
    true = np.array([[(source, target) in edges for source in tasks] for target in tasks])  # (targets, sources)
    assert found.excess[true].min() > np.nanmax(found.excess[~true])


def test_two_versions_stand_side_by_side(tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "SIZES", (3,))
    for folder in ("before", "now"):
        pictures.main(["draw", str(tmp_path / folder)])
    pictures.main(["beside", str(tmp_path / "before"), str(tmp_path / "now"), str(tmp_path)])
    image = matplotlib.image.imread(tmp_path / "pictures-3.png")
    half = image.shape[1] // 2
    assert abs(image[:, :half] - image[:, half : 2 * half]).mean() < 0.05  # the same version twice
    assert image.std() > 0.01
