"""What all tasks of a model answer to the same texts."""

from collections.abc import Sequence

import torch
from torch import Tensor

from graphmtl.data.batching import Batch
from graphmtl.layers.pooling import mean_over_tokens
from graphmtl.models.model import MultiTaskModel

__all__ = ["answers_of_tasks"]


@torch.no_grad()
def answers_of_tasks(model: MultiTaskModel, batch: Batch, names: Sequence[str]) -> dict[str, Tensor]:
    """The logits of some tasks' heads for every text of a batch, whosesoever they are: each (batch, classes).

    Of tags the mean over the tokens, of a regression (batch, 1).
    """
    positions = [model.architecture.position(name) for name in names]
    encoded = model.encode(batch)  # states (batch, tokens, dim)
    read = model.architecture.read(encoded.states, encoded.lengths, positions)
    answers = {}
    for name, position, (states, _) in zip(names, positions, read, strict=True):
        seen = model.architecture.interact(model.represent(states, encoded, name), encoded.lengths, position)
        logits = model.classify(seen.h, name)  # (batch, classes), of tags by token
        if model.tasks[name].of_kind.reads_tokens:
            logits = mean_over_tokens(logits, encoded.lengths)
        answers[name] = logits.view(len(logits), -1)
    return answers
