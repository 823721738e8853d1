"""Tokens per second of real training steps, and where their time goes, for benchmarks/speed.py."""

import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch import nn
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from graphmtl.architectures.architecture import Read
from graphmtl.config import Options
from graphmtl.data.batching import EncodedSplit, EncodedTask, encode_tasks
from graphmtl.data.label_arrays import TextLabels
from graphmtl.data.task import TaskSet
from graphmtl.models.encoder import Encoded
from graphmtl.training.building import build_model
from graphmtl.training.trainer import Trainer

__all__ = ["PARTS", "TrainingSpeed", "training_speed"]

PARTS = ("recurrence", "embedding", "optimiser", "rest")


@dataclass(frozen=True, kw_only=True)
class TrainingSpeed:
    """How fast the Trainer trains; encoding of the texts, evaluation and the first steps are not in it.

    Attributes:
        tokens_per_second: without padding.
        epoch_seconds: an epoch over all training texts at this speed.
        shares: of every part of a step, in :data:`PARTS`; they sum to 1. None on a GPU, where Python's clock sees the
            launches only.
    """

    tokens_per_second: float
    epoch_seconds: float
    shares: dict[str, float] | None


class _Clock:
    """Where the time of a step goes: each mark gives the time since the last one to a part.

    The recurrence is the architecture, forward and backward; the embedding is the encoder with its dropout. Backward
    reaches the gradient of the token states when the head is done, that of the token vectors when the architecture is
    done, and that of the embeddings' weights at its end. Batches, heads, loss and clipping are the rest.
    """

    def __init__(self, model: nn.Module):
        self.seconds: dict[str, float] = defaultdict(float)
        self._last = time.perf_counter()
        self._time_reading(model.architecture)
        for encoder in model.encoders:
            encoder.register_forward_pre_hook(lambda *_: self.mark("rest"))
            encoder.register_forward_hook(self._after_encoder)
            encoder.embedding.weight.register_post_accumulate_grad_hook(lambda _: self.mark("embedding"))
        self._handles = (
            register_optimizer_step_pre_hook(lambda *_: self.mark("rest")),
            register_optimizer_step_post_hook(lambda *_: self.mark("optimiser")),
        )

    def mark(self, part: str) -> None:
        now = time.perf_counter()
        self.seconds[part] += now - self._last
        self._last = now

    def restart(self) -> None:
        self.seconds.clear()
        self._last = time.perf_counter()

    def shares(self) -> dict[str, float]:
        total = sum(self.seconds.values())
        return {part: self.seconds[part] / total for part in PARTS}

    def close(self) -> None:
        for handle in self._handles:
            handle.remove()

    def _after_encoder(self, _module: nn.Module, _inputs: tuple, encoded: Encoded) -> None:
        self.mark("embedding")
        if encoded.states.requires_grad:  # not while evaluating
            encoded.states.register_hook(lambda _: self.mark("recurrence"))

    def _time_reading(self, architecture: Any) -> None:
        """Marks the end of each ``read``, which the model calls by its name, so that no hook of torch sees it."""
        read = architecture.read

        def timed(*arguments: Any, **named: Any) -> list[Read]:
            found = read(*arguments, **named)
            self.mark("recurrence")
            for states, _ in found:
                if states.requires_grad:  # not while evaluating
                    states.register_hook(lambda _: self.mark("rest"))
            return found

        architecture.read = timed


def training_speed(tasks: TaskSet, options: Options, *, steps: int) -> TrainingSpeed:
    """Times the Trainer on a random part of every task's training texts.

    Args:
        tasks: the task set.
        options: of the run; its epochs do not matter.
        steps: about as many are timed, after as many that are not.
    """
    model = build_model(tasks, options, say=lambda *_: None)
    data = encode_tasks(tasks, model.vocabulary, model.options)
    everything = sum(int(task.train.lengths.sum()) for task in data.values())
    examples = sum(len(task.train) for task in data.values())
    part = _part(data, min(1.0, steps * options.texts_at_once / examples))
    tokens = sum(int(task.train.lengths.sum()) for task in part.values())

    clock = _Clock(model)
    shares: dict[str, float] = {}

    def after_epoch(line: dict) -> None:
        shares.update(clock.shares())
        clock.restart()

    options = replace(options, epochs=2, progress=False)
    trainer = Trainer(model=model, data=part, options=options, callbacks=[after_epoch])
    result = trainer.train(keep_epochs=2)
    clock.close()
    first, both = (tokens * (i + 1) / line["tokens_per_second"] for i, line in enumerate(result.history))
    speed = tokens / (both - first)
    on_cpu = trainer.accelerator.device.type == "cpu"
    return TrainingSpeed(tokens_per_second=speed, epoch_seconds=everything / speed, shares=shares if on_cpu else None)


def _part(data: Mapping[str, EncodedTask], share: float) -> dict[str, EncodedTask]:
    """Every task with a random share of its training texts."""
    generator = np.random.default_rng(0)
    return {name: replace(task, train=_sample(task.train, share, generator)) for name, task in data.items()}


def _sample(split: EncodedSplit, share: float, generator: np.random.Generator) -> EncodedSplit:
    rows = generator.permutation(len(split))[: max(1, round(share * len(split)))]  # (examples,)
    batch = split.batch(rows)
    texts = [tokens[:length] for tokens, length in zip(batch.tokens.tolist(), batch.lengths.tolist(), strict=True)]
    labels = {
        task: TextLabels(own.values[rows], known=own.counts[rows] > 0) for task, own in (split.labels or {}).items()
    }
    return EncodedSplit(tasks=split.tasks, texts=texts, labels=labels)
