"""Weights of 8 bits stay close, and an ONNX file answers in the place of a model."""

import logging

import numpy as np
import onnx
import pytest
import torch

from graphmtl.data.batching import Batch
from graphmtl.onnx.onnx_export import to_onnx
from graphmtl.onnx.onnx_int8 import OnnxModel, to_int8
from tests.onnx.test_onnx_export import EXPORTED, NAMES, build


def texts(model, names=NAMES):
    rng = np.random.default_rng(0)
    tokens = torch.from_numpy(rng.integers(len(model.vocabulary), size=(6, 11)))  # (batch, tokens)
    labels = {name: torch.full((6,), 0.5) if name == "score" else torch.zeros(6, dtype=torch.int64) for name in names}
    return Batch(tuple(names), tokens, torch.tensor([11, 1, 4, 11, 7, 2]), labels, torch.ones(6))


@pytest.mark.parametrize("arch", EXPORTED)
def test_the_file_answers_as_the_model_does_and_in_8_bits_nearly_so(arch):
    model = build(arch)
    batch = texts(model)
    file = to_onnx(model, NAMES).SerializeToString()
    with torch.no_grad():
        expected = model.eval()(batch)
    for content, tolerance in ((file, 1e-5), (to_int8(file), 0.05)):
        found = OnnxModel(content, dict(zip(model.tasks, model.heads, strict=True)))(batch)
        assert list(found) == NAMES
        for name in NAMES:
            scores = name == "score"
            one, other = (each.answers if scores else each.logits for each in (found[name], expected[name]))
            torch.testing.assert_close(one, other, atol=tolerance, rtol=0)
            assert found[name].answers.shape == (6,)


def test_word_embeddings_are_kept_in_8_bits_and_no_more_in_32():
    model = build("star", hidden=8, embedding_size=40)
    file = to_int8(to_onnx(model, NAMES).SerializeToString())
    kinds = {tuple(each.dims): each.data_type for each in onnx.load_from_string(file).graph.initializer}
    kind = kinds[tuple(model.encoders[0].embedding.weight.shape)]
    assert kind in (onnx.TensorProto.INT8, onnx.TensorProto.UINT8)


@pytest.mark.parametrize("level", [logging.NOTSET, logging.ERROR])
def test_the_log_is_as_it_was_and_holds_nothing(level, caplog):
    file = to_onnx(build("shared"), NAMES).SerializeToString()
    logging.disable(level)
    try:
        to_int8(file)
        assert logging.root.manager.disable == level
    finally:
        logging.disable(logging.NOTSET)
    assert caplog.records == []
