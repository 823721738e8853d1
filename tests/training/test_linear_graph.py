import numpy as np
import pytest

from graphmtl.data.batching import EncodedTask
from graphmtl.data.task import Task
from graphmtl.models.linear import Linear
from graphmtl.models.wide import FORMS
from graphmtl.training.wide import _count, _Part, fit_wide_parts
from graphmtl.training.wide_forms import Told
from tests.models.small import build
from tests.training.wide_models import TASKS, data_of, fitted, split


def test_those_who_are_told_are_the_rows_of_the_linear_graph():
    data = {task.name: data_of(task, 10 * k, flipped=k == 1) for k, task in enumerate(TASKS)}
    model = build("shared", tasks=TASKS, wide=True)
    for name, form in {"a": "own", "b": "told"}.items():
        model.wide_part(name).form.fill_(FORMS.index(form))
        model.wide_part(name).strength.fill_(4.0)
    found = fit_wide_parts(model, data, seed=0, measured=True)
    for graph in found:
        assert (graph.split, graph.tasks) == ("train", ("a", "b"))
        assert [(edge.source, edge.target, edge.count) for edge in graph.edges] == [("a", "b", 40)]
    assert found.graph.edges[0].weight > found.permuted.edges[0].weight  # b's labels are a's, turned round
    assert fit_wide_parts(fitted("single", data), data, seed=0, measured=True) is None
    assert fit_wide_parts(build("shared", tasks=TASKS), data, seed=0, measured=True) is None


def test_the_unit_of_what_is_read_is_what_is_read_by_chance():
    data = {task.name: data_of(task, 10 * k) for k, task in enumerate(TASKS)}
    model = build("shared", tasks=TASKS, wide=True)
    for name, form in {"a": "own", "b": "told"}.items():
        model.wide_part(name).form.fill_(FORMS.index(form))
        model.wide_part(name).strength.fill_(4.0)
    found = fit_wide_parts(model, data, seed=0, measured=True)
    parts = [_Part(model, name, own) for name, own in data.items()]
    _count(parts, [])
    source = parts[0].wide  # which has learned from its own texts
    told = Told(parts[1].features, [Linear(source.weight.numpy(), source.bias.numpy())])
    own, *by_chance = told.read(parts[1].labels, 4.0, 0)[:, 0]
    unit = np.sqrt(np.square(by_chance).mean())
    assert [edge.weight for graph in found for edge in graph.edges] == pytest.approx([own / unit, by_chance[0] / unit])


def test_a_source_that_says_the_same_of_all_texts_is_left_out():
    data = {task.name: data_of(task, 10 * k) for k, task in enumerate(TASKS)}
    data["mute"] = EncodedTask(Task(name="mute", labels=("no", "yes")), *[split("mute", 0, 0)] * 3)
    model = build("shared", tasks=[own.task for own in data.values()], wide=True)
    model.wide_part("b").form.fill_(FORMS.index("told"))
    model.wide_part("b").strength.fill_(4.0)
    found = fit_wide_parts(model, data, seed=0, measured=True)
    assert {edge.source for edge in found.graph.edges if edge.target == "b"} == {"a"}


def test_the_tasks_of_before_stand_in_the_graph_of_a_new_one():
    tasks = [TASKS[0], Task(name="new", labels=("bad", "good"))]
    model = build("shared", tasks=tasks, wide=True)
    assert fit_wide_parts(model, {"a": data_of(tasks[0], 0)}, seed=0, measured=True) is None
    model.wide_part("new").form.fill_(FORMS.index("told"))
    model.wide_part("new").strength.fill_(4.0)
    found = fit_wide_parts(model, {"new": data_of(tasks[1], 10)}, seed=0, measured=True)
    assert [(edge.source, edge.target) for edge in found.graph.edges] == [("a", "new")]
