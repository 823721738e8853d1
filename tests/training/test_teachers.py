"""Who may teach a run."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from graphmtl.data.task import Task, TaskSet
from graphmtl.errors import InputError
from graphmtl.options import make_options
from graphmtl.training import teachers
from graphmtl.training.run import Run
from graphmtl.training.teachers import check_unseen, find_teachers, given_teachers
from tests import tiny
from tests.tagging import tagging_tasks
from tests.tiny import flags


@pytest.fixture
def single(finished):
    return finished("single").run


def test_who_may_teach(single, finished):
    tasks = single.model.tasks
    assert find_teachers([single], tasks) == dict.fromkeys(tasks, single)
    joint = finished("shared").run
    assert find_teachers([joint, single], tasks) == dict.fromkeys(tasks, joint)
    with pytest.raises(InputError, match="no run has task 'other'"):
        find_teachers([single], tasks | {"other": Task(name="other", labels=("x", "y"))})
    changed = Task(name="pairs", labels=("no", "yes"), text=("premise", "hypothesis"))
    with pytest.raises(InputError, match=r"labels of task 'pairs': found \('no', 'maybe', 'yes'\), expected \('no'"):
        find_teachers([single], tasks | {"pairs": changed})


def test_a_teacher_that_has_seen_what_is_held_out_is_refused(tiny_tasks):
    ours, theirs = tagging_tasks("plain"), tagging_tasks("plain")
    nobody = Run("nowhere")
    check_unseen(nobody, ["plain"], theirs, ours)
    text = "a text that nobody else has"
    for split in ("valid", "test", "another test"):
        ours = tagging_tasks("plain")
        known = ours["plain"].splits
        rows = known.get(split, known["test"]).add_item({"text": text, "label": 0, "seen": False})
        if split in known:
            setattr(ours["plain"], split, rows)
        else:
            ours["plain"].other_tests = {split: rows}
        theirs = tagging_tasks("plain")
        theirs["plain"].train = theirs["plain"].train.add_item({"text": text.upper(), "label": 0})
        with pytest.raises(InputError, match="task 'plain' was trained on 1 texts that stand in a validation or test"):
            check_unseen(nobody, ["plain"], theirs, ours)
        check_unseen(nobody, ["plain"], theirs, theirs)
        with pytest.raises(InputError, match=r"task 'extra' was trained on \d+ texts"):
            check_unseen(nobody, ["extra"], _named(theirs, "extra"), ours)


def _named(tasks, name):
    (data,) = tasks.values()
    return TaskSet(name="theirs", data=[replace(data, task=replace(data.task, name=name))])


@pytest.mark.parametrize("given", ["", "run,"])
def test_teachers_without_a_name(given, tiny_tasks, tmp_path, error_of):
    run = tiny.OPTIONS | {"arch": "cmtr", "tasks": tiny_tasks, "output": tmp_path / "run", "teachers": given}
    assert "--teachers" in error_of("run", *flags(**run))


@pytest.mark.parametrize(("arch", "checked"), [("single", ["child1"]), ("shared", [*tiny.TASKS])])
def test_a_teacher_has_seen_the_texts_of_all_tasks_that_it_shares_with(
    arch, checked, finished, tiny_tasks, monkeypatch
):
    teacher = finished(arch).run
    seen = []
    monkeypatch.setattr(teachers, "check_unseen", lambda run, names, theirs, ours: seen.append([*names]))
    model = SimpleNamespace(architecture=SimpleNamespace(node_size=4), tasks={"child1": teacher.model.tasks["child1"]})
    options = make_options(arch="cmtr", teachers=str(teacher.folder))
    assert [*given_teachers(options, tiny_tasks, model)] == ["child1"]
    assert seen == [checked]
