"""What a model says of a batch, of all tasks together."""

import copy

import pytest
import torch
from accelerate.utils import convert_outputs_to_fp32

from graphmtl.data.batching import EncodedSplit
from graphmtl.data.task import Task
from graphmtl.data.vocabulary import Vocabulary
from graphmtl.errors import InputError
from graphmtl.models.losses import task_loss
from graphmtl.models.model import MultiTaskModel
from tests.parts import model_options

TASKS = [
    Task(name="class", labels=("a", "b", "c")),
    Task(name="score", kind="regression"),
    Task(name="ner", kind="token-classification", tokens=True, text=("tokens",), labels=("O", "B-X", "I-X")),
]
LABELS = {"class": [2, -100], "score": [1.5, 0.5], "ner": [[0, 1, 2], [-100, 0]]}


@pytest.fixture(params=["complete", "star", "cmtr", "single"])
def model(request):
    torch.manual_seed(0)
    options = model_options(arch=request.param, hidden=4, attention=3, embedding_size=5, chars="none")
    return MultiTaskModel(tasks=TASKS, vocabulary=Vocabulary.build(["x", "y"]), options=options)


def batch(labels=LABELS):
    return EncodedSplit(tasks=[*LABELS], texts=[[3, 4, 1], [4, 4]], labels=labels).batch([1, 0])


def test_outputs_are_a_mapping_from_tasks(model):
    outputs = model.eval()(batch())
    assert [*outputs] == [*LABELS]
    assert {task: logits.shape for task, logits in outputs.logits.items()} == {
        "class": (2, 3),
        "score": (2,),
        "ner": (2, 3, 3),
    }
    assert all(outputs.logits[task] is outputs[task].logits for task in LABELS)


def test_edges_are_there_on_request_where_the_architecture_has_some(model):
    assert model(batch()).edges == {}
    outputs = model(batch(), edges=True)
    graph = model.options.arch != "single"
    assert [*outputs.edges] == ([*LABELS] if graph else [])
    assert all(edges.target == task for task, edges in outputs.edges.items())


def test_losses_are_those_that_training_minimises(model):
    model.eval()
    given = batch()
    outputs = model(given)
    exact = {task: task_loss(outputs[task], given.labels[task], given.weights) for task in LABELS}
    assert {task: loss.item() for task, loss in outputs.losses.items()} == {task: x.item() for task, x in exact.items()}
    torch.testing.assert_close(outputs.loss, sum(exact.values()))
    twin = copy.deepcopy(model)
    outputs.loss.backward()
    other = twin(given)
    sum(task_loss(other[task], given.labels[task], given.weights) for task in LABELS).backward()
    for ours, theirs in zip(model.parameters(), twin.parameters(), strict=True):
        assert (ours.grad is None) == (theirs.grad is None)
        assert ours.grad is None or torch.allclose(ours.grad, theirs.grad, rtol=0, atol=1e-6)


def test_without_labels_there_is_no_loss(model):
    outputs = model(batch(None))
    with pytest.raises(InputError, match="batch: found no labels of task 'class'"):
        _ = outputs.loss


def test_outputs_stay_what_they_are_where_accelerate_makes_them_again(model):
    outputs = convert_outputs_to_fp32(lambda: model(batch()))()
    assert outputs.loss.isfinite()
