"""The ONNX file computes what the model computes, for every architecture it can hold, any batch and any length."""

import json
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from graphmtl.data.batching import Batch
from graphmtl.data.task import Task
from graphmtl.data.vocabulary import Vocabulary
from graphmtl.errors import InputError
from graphmtl.kinds.regression import RegressionHead
from graphmtl.models.model import MultiTaskModel
from graphmtl.onnx import onnx_export
from graphmtl.onnx.onnx_export import CHECKED_SIZES, TOLERANCE, checked_onnx, largest_difference, to_onnx
from tests.parts import model_options

EXPORTED = list(onnx_export._STATES)
TASKS = [
    Task(name="a", labels=("no", "yes")),
    Task(name="b.c-d", labels=("1", "2", "3"), metrics=("f1", "accuracy")),
    Task(name="pairs", labels=("x", "ß"), text=("p", "q")),
    Task(name="score", kind="regression", scale=(-1.0, 1.0)),
]
NAMES = [task.name for task in TASKS]
SIZES = [(2, 1), (1, 6), (5, 13)]
every_architecture = pytest.mark.parametrize("arch", EXPORTED)
graph_lstms = pytest.mark.parametrize("arch", ["complete", "star"])


def build(arch, tasks=TASKS, words=("good", "bad", "film", "book", "not", "very"), **options):
    torch.manual_seed(0)
    options = {"hidden": 4, "attention": 3, "embedding_size": 5} | options
    vocabulary = Vocabulary.build([*words])
    model = MultiTaskModel(tasks=tasks, vocabulary=vocabulary, options=model_options(arch=arch, **options))
    for parameter in model.parameters():  # zero biases would hide a wrong sign
        torch.nn.init.normal_(parameter, std=0.7)
    for head in model.heads:
        if isinstance(head, RegressionHead):
            head.learn_from(torch.tensor([-0.3, 0.4, 0.2]))
    return model


def session_of(model, names=NAMES):
    file = to_onnx(model, names)
    onnx.checker.check_model(file, full_check=True)
    return onnxruntime.InferenceSession(file.SerializeToString(), providers=["CPUExecutionProvider"])


def texts(batch, length):
    """Tokens, padding included, and ragged lengths, the longest of which is ``length``."""
    generator = torch.Generator().manual_seed(batch * length)
    lengths = torch.randint(1, length + 1, (batch,), generator=generator)
    lengths[-1] = length
    return torch.randint(9, (batch, length), generator=generator), lengths


def logits(session, name, tokens, lengths):
    return torch.from_numpy(session.run([name], {"tokens": tokens.numpy(), "lengths": lengths.numpy()})[0])


@torch.no_grad()
def expected(model, name, tokens, lengths):
    output = model.eval()(Batch((name,), tokens, lengths, None, torch.ones(len(tokens))))[name]
    return output.answers if model.tasks[name].kind == "regression" else output.logits


def assert_computes_the_same(session, model, names=NAMES):
    for size in SIZES:
        tokens, lengths = texts(*size)
        for name in names:
            found = logits(session, name, tokens, lengths)
            torch.testing.assert_close(found, expected(model, name, tokens, lengths), rtol=0, atol=1e-5)


@every_architecture
@pytest.mark.parametrize("score", ["additive", "dot", "static"])
@pytest.mark.parametrize("bidirectional", [True, False])
def test_computes_what_the_model_computes_at_every_size(arch, score, bidirectional):
    model = build(arch, score=score, bidirectional=bidirectional)
    assert_computes_the_same(session_of(model), model)


@graph_lstms
@pytest.mark.parametrize(
    "options", [{"pooling": "max"}, {"pooling": "mean"}, {"node_bias": False}, {"hub_to_head": True}]
)
def test_options_that_change_the_graph(arch, options):
    model = build(arch, **options)
    assert_computes_the_same(session_of(model), model)


@pytest.mark.parametrize(
    "options", [{"stitch_layers": 3}, {"topology": "[[a, score]]", "stitch_layers": 2}, {"topology": "[[pairs, a]]"}]
)
def test_stitched_layers(options):
    model = build("cross-stitch", **options)
    assert_computes_the_same(session_of(model), model)


@every_architecture
@pytest.mark.parametrize("common_head", [True, False])
def test_hidden_layers_of_the_heads(arch, common_head):
    tasks = [*TASKS, Task(name="second", labels=("no", "yes"))]
    model = build(arch, tasks, head_layers=2, head_width=6, common_head=common_head)
    assert_computes_the_same(session_of(model, [*NAMES, "second"]), model, [*NAMES, "second"])


@every_architecture
@pytest.mark.parametrize("names", [["b.c-d"], ["pairs", "a"]])
def test_some_tasks_only(arch, names):
    model = build(arch)
    session = session_of(model, names)
    assert [output.name for output in session.get_outputs()] == names
    assert_computes_the_same(session, model, names)


@every_architecture
def test_a_single_task(arch):
    model = build(arch, TASKS[:1])
    assert_computes_the_same(session_of(model, ["a"]), model, ["a"])


@every_architecture
def test_what_stands_after_a_text_plays_no_part(arch):
    session = session_of(build(arch))
    tokens, lengths = texts(5, 13)
    alone = [logits(session, "a", line[None, :n], n[None]) for line, n in zip(tokens, lengths, strict=True)]
    torch.testing.assert_close(logits(session, "a", tokens, lengths), torch.cat(alone), rtol=0, atol=1e-6)


def test_inputs_and_outputs_have_names_and_free_sizes():
    session = session_of(build("star"))
    assert [(put.name, put.type, put.shape) for put in session.get_inputs()] == [
        ("tokens", "tensor(int64)", ["batch", "length"]),
        ("lengths", "tensor(int64)", ["batch"]),
    ]
    assert [(put.name, put.type, put.shape) for put in session.get_outputs()] == [
        (task.name, "tensor(float)", ["batch"] if (task.kind == "regression") else ["batch", len(task.labels)])
        for task in TASKS
    ]


def test_the_metadata_say_how_much_of_a_text_a_task_reads():
    tasks = [replace(TASKS[0], max_length=5), replace(TASKS[1], whole=True), TASKS[3]]
    model = build("star", tasks=tasks)
    said = json.loads(session_of(model, [task.name for task in tasks]).get_modelmeta().custom_metadata_map["tasks"])
    found = [{key: own[key] for key in ("max_length", "whole") if key in own} for own in said.values()]
    assert found == [{"max_length": 5}, {"whole": True}, {}]


def test_the_metadata_say_what_is_needed_without_graphmtl():
    metadata = session_of(build("star", max_length=7, truncate="head"), ["a", "pairs"]).get_modelmeta()
    assert {key: json.loads(value) for key, value in metadata.custom_metadata_map.items()} == {
        "tasks": {"a": {"labels": ["no", "yes"], "pair": False}, "pairs": {"labels": ["x", "ß"], "pair": True}},
        "lower_case": True,
        "max_length": 7,
        "truncate": "head",
    }


@pytest.mark.parametrize("arch", ["shared", "star"])
def test_what_the_tasks_share_is_in_the_file_once(arch):
    model = build(arch, embedding_size=100)
    weights = sum(parameter.nbytes for parameter in model.parameters())
    constants = 1500  # zero biases of the LSTM operator, and shapes
    assert sum(len(weight.raw_data) for weight in to_onnx(model, NAMES).graph.initializer) < weights + constants


def test_the_check_finds_no_difference_in_a_right_file():
    model = build("star")
    file, difference = checked_onnx(model, NAMES)
    assert file == to_onnx(model, NAMES).SerializeToString()
    assert 0 <= difference == largest_difference(file, model, NAMES) < 1e-5
    assert len(CHECKED_SIZES) >= 3


@pytest.mark.parametrize("wrong", [1.01, np.nan])
def test_a_wrong_file_is_refused(wrong, monkeypatch):
    model = build("complete")
    file = to_onnx(model, NAMES)
    model.heads[1].linear.weight.data *= wrong
    assert not largest_difference(file.SerializeToString(), model, NAMES) <= TOLERANCE
    monkeypatch.setattr(onnx_export, "to_onnx", lambda *_: file)
    with pytest.raises(InputError, match="the ONNX file is not written: its logits are up to"):
        checked_onnx(model, NAMES)


def test_no_file_for_what_it_cannot_hold(monkeypatch):
    with pytest.raises(InputError, match="unknown task 'bb'"):
        to_onnx(build("star"), ["a", "bb"])
    with pytest.raises(InputError, match="task 'tokens' cannot be exported"):
        to_onnx(build("star", [Task(name="tokens", labels=("x", "y"))]), ["tokens"])
    monkeypatch.setattr(onnx_export, "_LARGEST", 1000)
    with pytest.raises(InputError, match="more than the 2 GiB"):
        to_onnx(build("star"), ["a"])
    monkeypatch.setattr(onnx_export, "_STATES", {"single": None})
    with pytest.raises(InputError, match=r"arch 'star' cannot be exported \(known: single\)"):
        to_onnx(build("star"), ["a"])
