import pytest

from graphmtl.errors import InputError
from graphmtl.training.run import Run
from graphmtl.training.run_files import REMARKS, VALIDATION

SCORED = {"metric": "accuracy", "valid": {}, "test": {"accuracy": 0.5}, "test_dedup": {"accuracy": None}}


def metrics(**changes) -> dict:
    """What is read of ``metrics.json``, with changes."""
    return {"arch": "star", "tasks": {"a": SCORED}, "mean": {"test": 0.5}} | changes


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (metrics(), None),
        (metrics(arch=1), r"arch: found 1\)"),
        (metrics(tasks=[]), r"tasks: found \[\]\)"),
        (metrics(mean=None), r"mean: found None\)"),
        (metrics(mean={"test": "0.5"}), "mean: found {'test': '0.5'}"),
        (metrics(tasks={"a": 148}), "task 'a': found 148"),
        (metrics(tasks={"a": SCORED | {"metric": 1}}), "task 'a': found {'metric': 1"),
        (metrics(tasks={"a": SCORED | {"test": {"accuracy": []}}}), "test of task a: found {'accuracy': "),
        (metrics(tasks={"a": SCORED | {"valid": 0.5}}), "valid of task a: found 0.5"),
        (metrics(tasks={"a": SCORED | {"n_test": None}}), "task 'a': found {'n_test': None}"),
        (metrics(tasks={"a": SCORED | {"classes": {"x": {"f1": "1"}}}}), "classes of task a: found {'x': "),
        (metrics(tasks={"a": SCORED | {"types": [1]}}), r"types of task a: found \[1\]"),
        (metrics(parameters="many"), "parameters: found 'many'"),
        (metrics(best_epoch={"a": True}), "best_epoch: found {'a': True}"),
        (metrics(best_epoch=[3]), r"best_epoch: found \[3\]"),
        (metrics(budget={"mean": {"batch_size": 8}}), "budget of mean: found {'batch_size': 8}"),
        ({"arch": "star", "tasks": {}}, "no mean"),
    ],
)
def test_metrics_that_are_none(found, message, tmp_path):
    run = Run(tmp_path)
    run.write_json("metrics.json", found)
    if message is None:
        assert run.metrics == found
        return
    with pytest.raises(InputError, match=rf"metrics\.json: not what graphmtl writes there \({message}"):
        run.metrics  # noqa: B018


def test_what_is_looked_for_in_metrics_and_not_there_is_named(tmp_path):
    run = Run(tmp_path)
    run.write_json("metrics.json", metrics())
    for look in (lambda: run.metrics["best_epoch"], lambda: run.metrics["tasks"]["a"]["valid"]["f1"]):
        with pytest.raises(InputError, match=r"metrics\.json: not what graphmtl writes there \(no (best_epoch|f1)\)"):
            look()
    assert "best_epoch" not in run.metrics
    assert run.metrics.get("best_epoch") is None


def test_scores_of_a_run_that_was_not_tested(tmp_path):
    run = Run(tmp_path)
    run.write_json(VALIDATION, metrics(tasks={"a": {"metric": "f1", "valid": {"f1": 0.5}}}))
    assert run.validation["tasks"]["a"]["valid"] == {"f1": 0.5}
    run = Run(tmp_path)
    run.write_json(VALIDATION, metrics(tasks={"a": {"metric": "f1"}}))
    with pytest.raises(InputError, match=r"validation\.json: .*valid of task a: found None"):
        run.validation  # noqa: B018


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ({"overlap": {"a": {"dropped": 1}}, "lines": ["x"]}, None),
        ({"overlap": {"a": {"dropped": "1"}}, "lines": []}, "overlap: found {'a': {'dropped': '1'}}"),
        ({"overlap": [], "lines": []}, r"overlap: found \[\]"),
        ({"overlap": {}, "lines": [{}]}, r"lines: found \[{}\]"),
        ({"overlap": {}}, "lines: found None"),
    ],
)
def test_remarks_that_are_none(found, message, tmp_path):
    run = Run(tmp_path)
    assert run.remarks is None
    run = Run(tmp_path)
    run.write_json(REMARKS, found)
    if message is None:
        assert run.remarks == found
        return
    with pytest.raises(InputError, match=rf"remarks\.json: not what graphmtl writes there \({message}"):
        run.remarks  # noqa: B018
