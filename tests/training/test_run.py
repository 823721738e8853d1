from dataclasses import replace
from pathlib import Path

import pytest

from graphmtl.errors import InputError
from graphmtl.options import make_options
from graphmtl.training.run import Run
from tests.graph.examples import complete, growing, without_edges, write_history

OPTIONS = make_options(arch="complete", seed=3)


@pytest.fixture
def folder(tmp_path) -> Path:
    """The folder of a run that has begun."""
    Run(tmp_path / "run").create(OPTIONS)
    return tmp_path / "run"


def test_open_takes_a_finished_run(folder):
    with pytest.raises(InputError, match=rf"{folder}: the run has not finished \(no metrics.json\)"):
        Run.open(folder)
    Run(folder).write_json("metrics.json", {"arch": "complete", "tasks": {}, "mean": {}})
    run = Run.open(str(folder))
    assert run.metrics["arch"] == "complete"
    assert run.options == OPTIONS
    assert repr(run) == f"Run({str(folder)!r})"


def test_open_takes_nothing_else(tmp_path):
    with pytest.raises(InputError, match="nothing: no such run folder"):
        Run.open(tmp_path / "nothing")
    with pytest.raises(InputError, match=r"not a run's folder, since it has no config\.yaml"):
        Run.open(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="file: a file; a RUN is the folder that `graphmtl run` has written"):
        Run.open(tmp_path / "file")


def test_the_graphs_and_the_model_of_a_finished_run(finished):
    star, complete = (Run.open(finished(arch).run.folder) for arch in ("star", "complete"))
    assert star.task_graph.arch == "star"
    assert star.graphs_beside["affinity"].split == "valid"
    assert [*complete.graphs_beside] == ["ablation"]
    assert star.model is star.model
    assert star.model.options.arch == "star"
    assert star.metrics["arch"] == "star"


@pytest.fixture
def grown(folder) -> Path:
    """A run whose graph was recorded at four evaluations."""
    complete(3).save(folder / "task_graph.json")
    write_history(folder, growing(complete(3), 4))
    return folder


def test_the_graph_history_comes_back(grown):
    assert Run(grown).graph_history == [(i, replace(graph, split="valid")) for i, graph in growing(complete(3), 4)]


@pytest.mark.parametrize("line", ["{", "[]", "{}", '{"epoch": 1, "edges": [{}]}', '{"epoch": null, "edges": []}'])
def test_a_damaged_line_of_the_graph_history_is_named(line, grown):
    with (grown / "graph_history.jsonl").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(
        InputError, match=r"graph_history\.jsonl, line 5: (not JSON|an object|no epoch and edges of a task graph)"
    ):
        Run(grown).graph_history  # noqa: B018


def test_only_a_newline_ends_a_line_of_the_graph_history(grown):
    path = grown / "graph_history.jsonl"
    path.write_text(path.read_text().replace('"epoch"', '"note": "a\u2028b\x85c", "epoch"'), encoding="utf-8")
    assert len(Run(grown).graph_history) == 4


def test_a_graph_history_that_is_not_utf_8(grown):
    with (grown / "graph_history.jsonl").open("ab") as file:
        file.write(b"\xff\n")
    with pytest.raises(InputError, match=r"graph_history\.jsonl, line 5: byte 0xff is not UTF-8$"):
        Run(grown).graph_history  # noqa: B018


@pytest.mark.parametrize("history", [[], [(1, without_edges(3))]])
def test_a_graph_history_without_edges(history, grown):
    write_history(grown, history)
    with pytest.raises(InputError, match=r"graph_history\.jsonl: no evaluation has a graph with edges"):
        Run(grown).graph_history  # noqa: B018


def test_an_architecture_without_a_graph_has_no_graph_history(folder):
    with pytest.raises(InputError, match=r"graph_history\.jsonl: no such file; `graphmtl run` writes it for"):
        Run(folder).graph_history  # noqa: B018


def test_the_conflict_of_gradients_comes_back(folder):
    assert Run(folder).gradient_conflict is None
    written = {"tasks": ["a", "b"], "cosine": [[1.0, 0.5], [0.5, 1.0]], "updates": [[2, 2], [2, 2]]}
    Run(folder).write_json("gradient_conflict.json", written)
    assert Run(folder).gradient_conflict.as_json() == written
    Run(folder).write_json("gradient_conflict.json", written | {"tasks": ["a"]})
    with pytest.raises(InputError, match=r"gradient_conflict\.json: found .*, expected tasks, cosine and updates"):
        _ = Run(folder).gradient_conflict
