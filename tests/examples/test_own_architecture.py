"""The example of an architecture of one's own: it is short, it learns, and its edges are those of its matrix."""

from pathlib import Path

import pytest
import torch

import graphmtl
from tests import tiny

FOLDER = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    options = {name: value for name, value in tiny.OPTIONS.items() if name not in ("attention", "affinity_probe")}
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(FOLDER)
        output = tmp_path_factory.mktemp("own") / "run"
        yield graphmtl.train(
            "planted",
            arch="own_architecture:TaskMatrix",
            output=output,
            **options | {"epochs": 3, "planted_children": 2},
        )


def test_the_edges_are_the_rows_of_the_matrix(run):
    architecture = run.model.architecture
    for target, own in enumerate(architecture.sources):
        weights = (architecture.options.sharpness * architecture.scores[target, own]).softmax(-1)
        found = {edge.source: edge.weight for edge in run.task_graph.incoming(architecture.tasks[target])}
        assert found == pytest.approx({architecture.tasks[j]: w.item() for j, w in zip(own, weights, strict=True)})


def test_a_new_task_is_read_by_none_of_the_old(run):
    from graphmtl.data.task import Task
    from graphmtl.models.new_tasks import add_tasks

    grown = add_tasks(run.model, [Task(name="new", labels=("negative", "positive"))])
    assert torch.equal(grown.architecture.scores[:3, :3], run.model.architecture.scores)
    texts = ["p1w0 p1w1", "f0"]
    assert grown.predict(texts, list(run.model.tasks), edges=True) == run.model.predict(
        texts, list(run.model.tasks), edges=True
    )


def test_it_is_short():
    code = (FOLDER / "own_architecture.py").read_text().split('"""', 2)[2]
    assert len(code.splitlines()) < 60
