"""What the maps of runs show, of graphs whose edges are written by hand."""

import pytest

from benchmarks import drawn_maps
from graphmtl.data.planted_truth import PlantedTruth
from graphmtl.errors import InputError
from graphmtl.graph.edge import Edge
from graphmtl.graph.task_graph import TaskGraph
from graphmtl.training.run import Run

TASKS = ("p1", "p2", "c1", "c2")


def graph(**weights: float) -> TaskGraph:
    """Every edge about 0.1, but for those given, as ``p1_c1``."""
    ends = [(source, target) for target in TASKS for source in TASKS if source != target]
    edges = [
        Edge(source=s, target=t, weight=weights.get(f"{s}_{t}", 0.1 + 0.001 * i), std=0.01, count=10)
        for i, (s, t) in enumerate(ends)
    ]
    return TaskGraph(arch="complete", tasks=TASKS, split="test", seed=0, edges=tuple(edges))


@pytest.fixture
def run(copy_of) -> Run:
    """Its ablation shows one of two true edges, one that is none, and one between siblings."""
    folder = copy_of("complete")
    Run(folder).write_json(
        "truth.json", PlantedTruth(edges=(("p1", "c1"), ("p2", "c2")), siblings=(("c1", "c2"),)).to_dict()
    )
    flat, cut = graph(), graph(p1_c1=5.0, p1_c2=4.0, c1_c2=3.0)
    control = folder / "controls" / "shuffled"
    control.mkdir(parents=True)
    for name in ("metrics.json", "config.yaml", "data.json"):
        (control / name).write_bytes((folder / name).read_bytes())
    for name, own in {"task_graph": flat, "task_ablation": cut}.items():
        own.save(folder / f"{name}.json")
        flat.save(control / f"{name}.json")
    return Run.open(folder)


def test_what_is_above_the_control_is_counted_by_whether_it_is_true(run, tmp_path, capsys):
    drawn_maps.main([str(run.folder), "--results", str(tmp_path / "new" / "table.md")])
    written = (tmp_path / "new" / "table.md").read_text()
    assert capsys.readouterr().out.strip() == written.strip()
    rows = {row.split(" | ")[1]: row.strip("| ").split(" | ") for row in written.splitlines()[2:]}
    assert rows["ablation"][2:5] == ["1", "1", "0.500"]  # 1 into c1 and 0 into c2
    assert rows["ablation"][6:] == ["1 of 2", "1 of 8", "1 of 2"]
    assert rows["edges"][3] == "0"
    assert rows["edges"][6:] == ["0 of 2", "0 of 8", "0 of 2"]


@pytest.mark.parametrize("name", ["truth.json", "controls/shuffled/metrics.json"])
def test_what_it_needs_is_said(name, run):
    (run.folder / name).unlink()
    with pytest.raises(InputError, match="no true task graph" if name == "truth.json" else "--control always"):
        drawn_maps.table([Run.open(run.folder)])
