"""An ONNX file with weights of 8 bits, and what it answers, so that it can be seen what they cost."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import onnx
import onnxruntime
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from torch import nn

from graphmtl.data.batching import Batch
from graphmtl.kinds.head import Head
from graphmtl.models.predictions import ModelOutput

__all__ = ["OnnxModel", "to_int8"]


def to_int8(file: bytes) -> bytes:
    """The content of an ONNX file with word embeddings and the weights of linear layers and models in 8 bits.

    A weight w is kept as round(w / s) + z, with one scale s and zero z of an embedding matrix, or of a linear model of
    words, and one of each for every output of a layer, whose inputs are rounded likewise when it is used (onnxruntime's
    dynamic quantisation). Recurrent weights stay. They are without a sign as the inputs are: products of the two kinds
    overflow 16 bits on processors without VNNI, on which answers were 0.5 off.
    """
    with TemporaryDirectory() as folder, _without_advice():
        path = Path(folder) / "int8.onnx"
        quantize_dynamic(
            onnx.load_from_string(file),
            path,
            op_types_to_quantize=["Gather", "MatMul"],
            per_channel=True,
            weight_type=QuantType.QUInt8,
        )
        return path.read_bytes()


@contextmanager
def _without_advice() -> Iterator[None]:
    """Without onnxruntime's warning that shapes could be inferred first, which a text's length is not one of."""
    before = logging.root.manager.disable
    logging.disable(max(before, logging.WARNING))
    try:
        yield
    finally:
        logging.disable(before)


class OnnxModel(nn.Module):
    """Answers as a model does, from the content of an ONNX file that :mod:`graphmtl.onnx.onnx_export` made.

    Args:
        file: the content.
        heads: those of the model, by task, which say what the logits mean.
    """

    def __init__(self, file: bytes, heads: Mapping[str, Head]):
        super().__init__()
        self._heads = dict(heads)
        self._session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])

    def forward(self, batch: Batch, edges: bool = False) -> dict[str, ModelOutput]:
        """Tokens (batch, tokens) to logits (batch, classes), of a regression scores (batch,), of every task."""
        given = {"tokens": batch.tokens.cpu().numpy(), "lengths": batch.lengths.cpu().numpy()}
        found = map(torch.from_numpy, self._session.run([*batch.tasks], given))
        return {name: self._output(answers, name, batch) for name, answers in zip(batch.tasks, found, strict=True)}

    def _output(self, answers: torch.Tensor, task: str, batch: Batch) -> ModelOutput:
        head = self._heads[task]
        output = ModelOutput(answers)
        output.answers = head.answers(answers, batch.lengths) if head.units() is None else answers
        output.probabilities = head.probabilities(answers)
        if batch.labels is not None:
            output.losses = torch.full((len(answers),), torch.nan)  # which a file does not say
            output.counts = head.counts(batch.labels[task].cpu())
        return output
