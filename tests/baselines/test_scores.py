"""The baselines of a run: written, read back, and what the run is not above."""

import json

import pytest

from graphmtl.baselines.scores import OF_A_RUN, beside, means, not_above, read_scores
from graphmtl.errors import InputError
from graphmtl.training.run import Run
from tests import tiny


def task(metric, test, **keys):
    return {"metric": metric, "test": {metric: test}, **keys}


def test_scores_are_of_every_task_and_split(finished):
    run = finished("shared").run
    scores = read_scores(run)
    assert [*scores] == [*OF_A_RUN]
    for own in scores.values():
        for name, task in run.metrics["tasks"].items():
            assert {split: [*each] for split, each in own[name].items()} == {
                split: [*task[split]] for split in ("valid", "test", "test_dedup")
            }


def test_a_run_does_without_them_and_is_the_same(finished, tiny_tasks, tmp_path):
    run = tiny.run(arch="shared", tasks=tiny_tasks, output=tmp_path / "run", baselines=False)
    assert not (tmp_path / "run" / "baselines.json").exists()
    assert read_scores(run.run) == {}
    assert not {*OF_A_RUN} & {*run.printed.split()}
    assert tiny.without_clock(run.run.metrics) == tiny.without_clock(finished("shared").run.metrics)


@pytest.mark.parametrize(
    "content", ["{}", '{"baselines": {"tfidf": {"a": {"test": 1}}}}', '{"baselines": {"tfidf": []}}']
)
def test_a_damaged_file_is_named(copy_of, content):
    folder = copy_of("shared")
    (folder / "baselines.json").write_text(content)
    with pytest.raises(InputError, match=f"{folder}/baselines.json: not what graphmtl writes there"):
        read_scores(Run(folder))


def test_a_task_without_a_baseline_has_no_score_and_no_mean():
    tasks = {"a": task("accuracy", 0.5), "b": task("pearson", 0.2)}
    scores = {
        "one": {"a": {"test": {"accuracy": 0.4}}},
        "two": {name: {"test": own["test"]} for name, own in tasks.items()},
    }
    rows = beside(tasks, scores)
    assert rows["b"]["one"] == {}
    assert rows["b"]["two"] == {"pearson": 0.2}
    assert means(rows, scores) == {"one": None, "two": pytest.approx(0.35)}
    tasks["b"]["in_mean"] = False
    assert means(beside(tasks, scores), scores) == {"one": 0.4, "two": 0.5}


def test_tasks_that_are_no_better_than_a_baseline():
    tasks = {"equal": task("f1", 0.5), "above": task("f1", 0.51), "none": task("f1", None), "alone": task("f1", 0.1)}
    theirs = {name: {"test": {"f1": 0.5}} for name in ("equal", "above", "none")}
    nothing = {name: {"test": {"f1": None}} for name in tasks}
    assert not_above(tasks, {"one": theirs, "two": nothing}) == {"one": ["equal", "none"], "two": []}


def test_tasks_that_are_not_above_are_printed(finished):
    metrics, scores = finished("shared").run.metrics["tasks"], read_scores(finished("shared").run)
    expected = {name: own for name, own in not_above(metrics, scores).items() if own}
    printed = [line for line in finished("shared").printed.splitlines() if line.startswith("not above ")]
    assert printed == [f"not above {name} on test: {', '.join(own)}" for name, own in expected.items()]
    assert expected
    assert json.loads((finished("shared").run.folder / "baselines.json").read_text())["seconds"] > 0
