"""Options and architectures of tests: what an architecture does not look at plays no part."""

from dataclasses import fields

import numpy as np
import torch
from torch.nn import functional

from graphmtl.architectures import Architecture, architecture_class
from graphmtl.config import ModelOptions
from graphmtl.data.kind import NO_LABEL
from graphmtl.data.label_arrays import TextLabels, TokenLabels
from graphmtl.models.model_options import chosen, model_options_class
from graphmtl.training.evaluation import Predictions


def model_options(**values) -> ModelOptions:
    """The options of a model, of more that are given."""
    kind = model_options_class(chosen(values, "arch"), chosen(values, "encoder"))
    return kind(**_of(kind, values))


def build_architecture(arch, *, tasks, input_size, contextual=False, pooling="max", **values) -> Architecture:
    """An architecture, of more options than it may have."""
    kind = architecture_class(arch)
    sizes = _of(kind.Options, values)
    return kind(tasks=tasks, input_size=input_size, contextual=contextual, pooling=pooling, **sizes)


def _of(kind, values):
    names = {field.name for field in fields(kind)}
    return {name: value for name, value in values.items() if name in names}


def label_arrays(values) -> TextLabels | TokenLabels:
    """The labels of a split's texts as arrays: indices, scores, or tags, of which every text has as many as tokens."""
    if len(values) and np.ndim(values[0]):
        return TokenLabels(values, np.array([len(own) for own in values]), missing=NO_LABEL)
    values = np.asarray(values)
    if values.dtype.kind == "f" and len(values):
        return TextLabels(values.astype(np.float32), known=~np.isnan(values))
    return TextLabels(values.astype(np.int64), known=values != NO_LABEL)


def predictions_of(labels, answers, *, seen=None, losses=None, probabilities=None) -> Predictions:
    """Predictions of labels that are all there."""
    size = len(labels)
    return Predictions(
        labels=labels,
        answers=answers,
        probabilities=probabilities,
        losses=np.zeros(size) if losses is None else np.asarray(losses),
        counts=np.ones(size, dtype=np.int64),
        seen=np.zeros(size, dtype=bool) if seen is None else np.asarray(seen, dtype=bool),
    )


def class_predictions(labels, logits, seen=None) -> Predictions:
    """Predictions of a classification from its logits (examples, classes)."""
    logits, labels = torch.as_tensor(logits), torch.as_tensor(labels, dtype=torch.int64)
    return predictions_of(
        labels.numpy(),
        logits.argmax(-1).numpy(),
        probabilities=logits.softmax(-1).numpy(),
        losses=functional.cross_entropy(logits, labels, reduction="none").double().numpy(),
        seen=seen,
    )


def lists(values) -> np.ndarray:
    """Lists of any length as an array of such."""
    found = np.empty(len(values), dtype=object)
    for i, own in enumerate(values):
        found[i] = np.asarray(own)
    return found
