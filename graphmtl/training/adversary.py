r"""A discriminator of tasks through a reversed gradient, which what is shared must not let succeed.

For text i of task k the shared LSTM's states, pooled over the text to v_i, are given to a linear layer that says which
of the K tasks the text belongs to (Liu, Qiu, Huang, ACL 2017, sections 4.1 and 4.2):

.. math::
    L_{\mathrm{adv}} = \frac{1}{n} \sum_i -\log \mathrm{softmax}(U R(v_i) + b)_{k(i)}

R is the identity on the way forward and -1 on the way back (Ganin and Lempitsky, ICML 2015): the layer learns to tell
the tasks apart, the shared LSTM and the embeddings to make it fail. v is the maximum beside the mean over the tokens,
which is what heads of texts read by default, where the paper has the last state.

All K tasks are classes of every batch, also where it has the texts of one: what an update minimises is the mean over
its texts, and over an epoch each text counts once, as in the paper's double sum. A text that several tasks label
belongs to the first of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from graphmtl.config import OptionGroup, option
from graphmtl.data.batching import Batch
from graphmtl.errors import note
from graphmtl.kinds.head import at_least_single
from graphmtl.layers.pooling import pool, pooled_size
from graphmtl.training.term import Term

__all__ = ["Adversary", "AdversaryOptions"]

_POOLING = "max-mean"


@dataclass(frozen=True, kw_only=True)
class AdversaryOptions(OptionGroup):
    """Of architectures that hold what is shared and what is a task's own apart."""

    adversarial_weight: float = option(
        0.05, "weight in the loss of the discriminator of tasks, whose gradient is reversed", low=0, trains=True
    )


class _Reversed(torch.autograd.Function):
    """R."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:
        return -grad


class Adversary(Term):
    """The discriminator of tasks; see the top of the file.

    Args:
        tasks: their names.
        size: dimensions of the shared token states.
        weight: of the term in the loss.
    """

    Options = AdversaryOptions

    def __init__(self, *, tasks: Sequence[str], size: int, weight: float) -> None:
        super().__init__()
        self._position = {name: k for k, name in enumerate(tasks)}
        self._weight = weight
        self.discriminator = nn.Linear(pooled_size(size, _POOLING), len(tasks))

    @classmethod
    def suits(cls, architecture: type) -> bool:
        return architecture.holds_apart  # type: ignore[attr-defined]

    @classmethod
    def of_run(cls, model: Any, options: OptionGroup) -> "Adversary | None":
        weight: float = options.adversarial_weight  # type: ignore[attr-defined]
        if not weight:
            return None
        if len(model.tasks) == 1:
            note(f"--adversarial-weight has no effect: {next(iter(model.tasks))} is the only task")
            return None
        return cls(tasks=[*model.tasks], size=model.architecture.output_size // 2, weight=weight)

    def weight(self, step: int, steps: int) -> float:
        return self._weight

    def forward(self, outputs: Mapping[str, Any], batch: Batch, targets: Mapping[str, Tensor]) -> Tensor:
        halves = next(iter(outputs.values())).halves  # what is shared is the same for every task
        v = pool(halves.shared, halves.lengths, _POOLING)  # (texts, size)
        logits = self.discriminator(_Reversed.apply(v))  # (texts, K)
        labelled = torch.stack([output.counts > 0 for output in outputs.values()], -1)  # (batch, tasks of the batch)
        places = torch.tensor([self._position[name] for name in outputs], device=logits.device)
        task = places[labelled.long().argmax(-1)]  # (batch,)
        losses = F.cross_entropy(at_least_single(logits), batch.by_text(task), reduction="none")  # (texts,)
        return (batch.mean_of_texts(losses) * batch.weights).sum()
