"""Whole runs with --topology: a file of edges that is gone afterwards, and a finished run's strongest edges."""

import json

import pytest
import yaml

from graphmtl import MultiTaskModel, Run
from graphmtl.cli import main
from tests import tiny
from tests.tiny import TASKS, without_clock

EDGES = "[[parent1, pairs], [pairs, child1], [parent1, child1]]"


@pytest.fixture(scope="module")
def sparse(tmp_path_factory, tiny_tasks):
    """A finished run whose file of edges is gone."""
    folder = tmp_path_factory.mktemp("sparse")
    (folder / "edges.yaml").write_text("edges:\n- [parent1, child1]\n- [pairs, child1]\n- [parent1, pairs]\n")
    finished = tiny.run(arch="complete", topology=folder / "edges.yaml", tasks=tiny_tasks, output=folder / "run")
    (folder / "edges.yaml").unlink()
    return finished


def ends(graph):
    return {(edge.source, edge.target) for edge in graph.edges}


def test_the_learned_graph_has_the_edges_of_the_topology(sparse):
    graph = sparse.run.task_graph
    assert ends(graph) == {("parent1", "child1"), ("pairs", "child1"), ("parent1", "pairs")}
    for target in ("child1", "pairs"):
        assert sum(edge.weight for edge in graph.incoming(target)) == pytest.approx(1, abs=1e-5)
    assert "topology: 3 edges between 3 tasks; without sources: parent1" in sparse.printed


def test_the_edges_are_kept_with_the_options_and_the_model(sparse):
    folder = sparse.run.folder
    assert yaml.safe_load((folder / "config.yaml").read_text())["topology"] == EDGES
    assert json.loads((folder / "model" / "config.json").read_text())["options"]["topology"] == EDGES
    model = MultiTaskModel.from_pretrained(folder / "model")
    assert model.architecture.topology.sources == {"pairs": ("parent1",), "parent1": (), "child1": ("pairs", "parent1")}


def test_the_config_repeats_the_run_and_resumes_it(sparse, tmp_path):
    main(["run", "--config", f"{sparse.run.folder}/config.yaml", "--output", f"{tmp_path}/again"])
    again = Run.open(tmp_path / "again")
    assert without_clock(again.metrics) == without_clock(sparse.run.metrics)
    (again.folder / "metrics.json").unlink()
    main(["run", "--config", f"{sparse.run.folder}/config.yaml", "--output", f"{tmp_path}/again", "--resume"])
    assert without_clock(Run.open(again.folder).metrics) == without_clock(sparse.run.metrics)


@pytest.mark.parametrize("arch", ["complete", "cmtr"])
def test_a_task_that_reads_from_no_other_is_not_drawn_of_a_text(arch, error_of, tiny_tasks, tmp_path):
    run = ["run", *tiny.flags(**tiny.OPTIONS, arch=arch, topology="[[parent1, child1]]", tasks=tiny_tasks)]
    main([*run, "--output", f"{tmp_path}/run", "--epochs", "1"])
    plot = ["plot", f"{tmp_path}/run", "--text", "good film"]
    assert "task 'parent1' reads from no other node, so there is nothing to draw" in error_of(
        *plot, "--task", "parent1"
    )
    main(plot)
    assert (tmp_path / "run" / "text.png").is_file()


def test_evaluate_predict_and_plot(sparse, tmp_path, capsys):
    folder = sparse.run.folder
    main(["evaluate", str(folder), "--overwrite"])
    scores = json.loads((folder / "evaluation.json").read_text())["tasks"]
    assert scores["child1"]["test"] == pytest.approx(sparse.run.metrics["tasks"]["child1"]["test"], abs=1e-6)
    main(["plot", str(folder), "--output", f"{tmp_path}/graph.svg"])
    assert (tmp_path / "graph.svg").is_file()
    (tmp_path / "texts.txt").write_text("good film\tbad book\n")
    capsys.readouterr()
    main(["predict", str(folder), "--task", "all", "--edges", f"{tmp_path}/texts.txt"])
    answers = {line["task"]: line["edges"] for line in map(json.loads, capsys.readouterr().out.splitlines())}
    assert {task: [edge["source"] for edge in answers[task]] for task in TASKS} == {
        "pairs": ["parent1"],
        "parent1": [],
        "child1": ["pairs", "parent1"],
    }


@pytest.mark.parametrize("arch", ["complete", "star"])
def test_the_strongest_edges_of_a_finished_run(arch, finished, tiny_tasks, tmp_path):
    first = finished(arch).run
    options = {"arch": "complete", "topology": first.folder, "top_k": 1, "tasks": tiny_tasks, "epochs": 1}
    run = tiny.run(output=tmp_path / "run", **options).run
    learned = first.task_graph if arch == "complete" else first.graphs_beside["affinity"]
    assert ends(run.task_graph) == {(learned.incoming(task)[0].source, task) for task in TASKS}
    assert run.options.top_k == 0
    main(["run", *tiny.flags(**tiny.OPTIONS | options, output=run.folder), "--resume"])
    tiny.run(output=run.folder, overwrite=True, **options | {"topology": run.folder})
    assert ends(Run.open(run.folder).task_graph) == ends(run.task_graph)


@pytest.mark.parametrize("arch", ["complete", "star"])
def test_prune_trains_again_on_the_strongest_edges(arch, copy_of):
    first = Run.open(copy_of(arch))
    main(["run", "--prune", str(first.folder), "--keep-top", "1", "--epochs", "1"])
    pruned = Run.open(f"{first.folder}-top1")
    learned = first.task_graph if arch == "complete" else first.graphs_beside["affinity"]
    assert ends(pruned.task_graph) == ends(learned.top_k(1))
    changed = {"arch", "epochs", "output", "topology"}
    ours, theirs = (vars(run.options) for run in (pruned, first))
    assert {name for name in ours.keys() & theirs.keys() if ours[name] != theirs[name]} <= changed
    assert first.metrics  # where it was
