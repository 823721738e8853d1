"""The two stages of adapter fusion as two runs."""

import pytest
import torch

from tests import tiny
from tests.tiny import flags


def test_the_second_stage_trains_nothing_of_the_first(finished, tiny_tasks, tmp_path):
    first = finished("adapters").run
    options = {"tasks": tiny_tasks, "output": tmp_path / "fusion", "adapters": first.folder}
    second = tiny.run(arch="adapter-fusion", **options).run
    before, after = first.model.state_dict(), second.model.state_dict()
    frozen = [name for name in after if name.startswith(("encoders.", "architecture.lstm.", "architecture.adapters."))]
    assert len(frozen) > 6
    assert all(torch.equal(after[name], before[name]) for name in frozen)
    eye = torch.eye(after["architecture.value"].size(-1))
    assert not any(torch.equal(value, eye) for value in after["architecture.value"])
    sums = dict.fromkeys(second.model.tasks, 0.0)
    for edge in second.task_graph.edges:
        sums[edge.target] += edge.weight
    assert all(total == pytest.approx(1, abs=1e-5) for total in sums.values())


@pytest.mark.parametrize(
    ("arch", "first", "change", "message"),
    [
        ("adapter-fusion", "shared", {}, "a run of --arch shared; accepted: a run of --arch adapters"),
        (
            "adapter-fusion",
            "adapters",
            {"adapter_size": 7},
            "is (3, 64), expected (3, 7); give both runs",
        ),
        ("adapter-fusion", "adapters", {"tasks": "planted"}, "its tasks are not those of this run"),
        ("adapter-fusion", "adapters", {"min_count": 60}, "its words are not those of this run"),
    ],
)
def test_a_first_stage_that_does_not_fit(arch, first, change, message, finished, tiny_tasks, tmp_path, error_of):
    given = {"tasks": tiny_tasks, "output": tmp_path / "run", "adapters": finished(first).run.folder, "arch": arch}
    assert message in error_of("run", *flags(**tiny.OPTIONS | given | change))
    assert not (tmp_path / "run").exists()
