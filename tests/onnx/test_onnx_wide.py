"""The linear models of words in an ONNX file say what those of the model say."""

import numpy as np
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper

from graphmtl.data.task import Task
from graphmtl.errors import InputError
from graphmtl.models import wide
from graphmtl.models.wide import BUCKETS
from graphmtl.onnx import onnx_export, onnx_wide
from graphmtl.onnx.onnx_export import _Graph, checked_onnx, to_onnx
from graphmtl.onnx.onnx_wide import OnnxNgrams
from tests.onnx.test_onnx_export import assert_computes_the_same, build, expected, logits, session_of

TASKS = [
    Task(name="two", labels=("no", "yes")),
    Task(name="three", labels=("1", "2", "3")),
    Task(name="any", kind="multi-label", labels=("x", "y")),
    Task(name="unlearned", labels=("no", "yes")),
    Task(name="pairs", labels=("x", "y"), text=("p", "q")),
]
NAMES = [task.name for task in TASKS]


def with_wide_parts(arch="shared", **options):
    """A model whose parts weigh every n-gram."""
    model = build(arch, TASKS, wide=True, **options)
    idf = torch.rand(BUCKETS) + 1
    for name, share in {"two": 0.5, "three": 0.75, "any": 1.0}.items():
        part = model.wide_part(name)
        part.weight.normal_(std=2)
        part.bias.normal_()
        part.idf.copy_(idf * (idf > 1.2))
        part.strength.fill_(1)
        part.share.fill_(share)
        part.temperature.fill_(1 + share)
    return model


@pytest.mark.parametrize("arch", ["single", "shared", "star"])
def test_computes_what_the_model_computes_at_every_size(arch):
    model = with_wide_parts(arch)
    assert_computes_the_same(session_of(model, NAMES), model, NAMES)


def test_words_that_stand_often_and_texts_without_a_known_one():
    model = with_wide_parts()
    session = session_of(model, NAMES)
    tokens = torch.tensor([[3, 3, 3, 3, 4, 3, 4], [1, 1, 1, 1, 1, 1, 1], [5, 0, 2, 1, 5, 5, 5]])
    lengths = torch.tensor([7, 7, 5])
    for name in NAMES:
        found = logits(session, name, tokens, lengths)
        torch.testing.assert_close(found, expected(model, name, tokens, lengths), rtol=0, atol=1e-5)


def test_places_of_the_largest_numbers_are_those_of_the_model():
    """Products modulo 2^64, of which the upper bits count."""
    op = _Graph()
    op.nodes.append(helper.make_node("Identity", [onnx_wide._bucket(op, "keys")], ["places"]))
    keys, places = (helper.make_tensor_value_info(name, TensorProto.INT64, ["n"]) for name in ("keys", "places"))
    graph = helper.make_graph(op.nodes, "places", [keys], [places], op.initializers)
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 18)])
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    numbers = np.random.default_rng(0).integers(2**62, size=1000)
    (found,) = session.run(None, {"keys": numbers})
    assert found.tolist() == wide._bucket(torch.from_numpy(numbers)).tolist()
    assert len({*found}) > 900


@pytest.mark.parametrize(("names", "counted"), [(NAMES, 1), (["any"], 1), (["pairs", "unlearned"], 0)])
def test_words_are_counted_once_for_all_or_not_at_all(names, counted):
    kinds = [node.op_type for node in to_onnx(with_wide_parts(), names).graph.node]
    assert kinds.count("Unique") == counted


def test_the_check_before_writing_sees_words_that_stand_twice(monkeypatch):
    class Once(OnnxNgrams):
        def __init__(self, op, *given):
            super().__init__(op, *given)
            self._counts = op.Expand(np.float32(1), op.Shape(self._buckets))

    model = with_wide_parts(words=[f"word{i}" for i in range(5000)])
    assert checked_onnx(model, NAMES)[1] < 1e-5
    monkeypatch.setattr(onnx_export, "OnnxNgrams", Once)
    with pytest.raises(InputError, match="not written"):
        checked_onnx(model, NAMES)


def test_tasks_that_count_alike_share_what_is_counted():
    """Two of three parts here have the same idf."""
    model = with_wide_parts()
    model.wide_part("any").idf.mul_(2)
    large = [own for own in to_onnx(model, NAMES).graph.initializer if list(own.dims) == [BUCKETS + 1]]
    assert len(large) == 2
