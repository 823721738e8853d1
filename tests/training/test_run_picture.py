import pytest

from graphmtl.data.planted_truth import PlantedTruth
from graphmtl.errors import InputError
from graphmtl.graph.task_graph import TaskGraph
from graphmtl.training.run import Run
from graphmtl.training.run_picture import draw_run, has_edges, held_graphs, run_picture, with_linear
from tests.graph.examples import complete, write_control


def said(run: Run) -> str:
    return " ".join(text.get_text() for text in run_picture(run).figure.texts)


def test_a_run_without_edges_has_no_picture(finished, copy_of):
    run = finished("single").run
    assert not has_edges(run)
    assert held_graphs(run) == []
    assert not (run.folder / "task_graph.png").exists()
    draw_run(run)
    assert not (run.folder / "task_graph.png").exists()
    with pytest.raises(InputError, match="--arch single learned no edges, so there is nothing to draw"):
        run_picture(run)


@pytest.mark.parametrize("arch", ["complete", "star", "cmtr"])
def test_a_picture_is_held_against_the_control_that_is_there(arch, copy_of):
    run = Run.open(copy_of(arch))
    (run.folder / "truth.json").unlink()
    assert "not compared with a control" in said(run)
    assert all(each.evidence.limits is None for each in held_graphs(run))
    write_control(run.folder)
    run = Run.open(run.folder)
    assert "not compared" not in said(run)
    assert all(each.evidence.limits is not None for each in held_graphs(run))


def test_true_edges_are_those_of_the_file(copy_of):
    run = Run.open(copy_of("complete"))
    run.write_json("truth.json", PlantedTruth(edges=(("parent1", "child1"),)).to_dict())
    found = held_graphs(Run.open(run.folder))[0]
    tasks = found.graph.tasks
    assert found.cells.frames.sum() == 1
    assert found.cells.frames[tasks.index("child1"), tasks.index("parent1")]


def test_a_generated_task_set_leaves_its_truth(finished):
    assert finished("complete").run.truth.edges == (("parent1", "child1"),)


def test_a_control_says_that_it_is_one(copy_of):
    folder = copy_of("complete")
    config = (folder / "config.yaml").read_text()
    (folder / "config.yaml").write_text(config.replace("shuffle_labels: false", "shuffle_labels: true"))
    assert said(Run.open(folder)).startswith("trained on shuffled labels: what is seen here is chance")
    assert not held_graphs(Run.open(folder))[0].cells.frames.any()


def test_the_control_of_another_run_is_named(copy_of):
    run = Run.open(copy_of("complete"))
    write_control(run.folder)
    complete(4).save(run.folder / "controls" / "shuffled" / "task_graph.json")
    for show in (run_picture, held_graphs):
        with pytest.raises(InputError, match=r"controls/shuffled: not the run's control \(control: expected a graph"):
            show(run)


def test_a_damaged_truth_is_named(copy_of):
    run = Run.open(copy_of("complete"))
    run.write_json("truth.json", {"edges": 3})
    with pytest.raises(InputError, match=r"truth\.json: not what graphmtl writes there"):
        run_picture(run)
    assert isinstance(run.task_graph, TaskGraph)


def test_the_linear_graph_of_a_control_that_was_trained_is_no_control():
    graph, other = complete(3), complete(3, 1)
    assert with_linear({"linear": graph, "ablation": other}, None) == {"ablation": other}
    assert with_linear({"linear": graph}, other) == {"linear": other}
