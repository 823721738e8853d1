r"""Self-distillation: a moving average of the model teaches it (Tarvainen and Valpola, Mean teachers, NeurIPS 2017).

After every update :math:`\bar\theta \leftarrow d\, \bar\theta + (1 - d)\, \theta`
(:class:`~graphmtl.training.optimization.WeightAverage`). The average reads the same texts as the model, without
dropout. For a text of task k its answer to k is :math:`t_k`, its answer to another task j from
:math:`\bar z_j` alone is :math:`t_j = \overline{\mathrm{head}}_j(\bar z_j)`, and the model's representations, read by
the average's heads, must say the same:

.. math::
    \mathrm{MT} = \sum_j w_j\, T^2\,
        \mathrm{KL}(\mathrm{softmax}(t_j / T) \Vert \mathrm{softmax}(\overline{\mathrm{head}}_j(z_j) / T))

for labels, and mean squared errors for scores. So every text teaches every task whose input it has, also one that has
no label for it, which is what mean teachers are for. w_j is 1 for the text's own task and ``--kd-off`` for the others.
The weight of it all rises over the first share r of the steps as :math:`\exp(-5 (1 - x / r)^2)` (section 3.1 there).
It costs one more reading of every batch, without gradients.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from graphmtl.config import OptionGroup
from graphmtl.data.batching import Batch
from graphmtl.data.task import Task
from graphmtl.layers.pooling import mean_over_tokens
from graphmtl.training.distillation import DistillationOptions, divergence, who_teaches
from graphmtl.training.optimization import WeightAverage
from graphmtl.training.teacher_outputs import fits
from graphmtl.training.term import Term

__all__ = ["MeanTeacher"]


class MeanTeacher(Term):
    """The average and what it asks of the model; see the top of the file.

    Args:
        model: what is trained, with its first weights.
        options: decay, ramp, temperature and weights.
    """

    Options = DistillationOptions

    def __init__(self, *, model: Any, options: DistillationOptions) -> None:
        super().__init__()
        self.tasks: dict[str, Task] = dict(model.tasks)
        self.options = options
        self.average = WeightAverage(model=model, decay=options.teacher_decay)
        self.average.model.eval()

    @classmethod
    def suits(cls, architecture: type) -> bool:
        return architecture.has_nodes  # type: ignore[attr-defined]

    @classmethod
    def of_run(cls, model: nn.Module, options: OptionGroup) -> "MeanTeacher | None":
        assert isinstance(options, DistillationOptions)
        return cls(model=model, options=options) if who_teaches(options) == "ema" else None

    def weight(self, step: int, steps: int) -> float:
        ramp = self.options.teacher_ramp * steps
        risen = min(step / ramp, 1) if ramp else 1
        return self.options.kd_weight * math.exp(-5 * (1 - risen) ** 2)

    def updated(self, model: nn.Module) -> None:
        self.average.update(model)

    def kept(self) -> dict:
        return self.average.state_dict()

    def restore(self, kept: Mapping[str, Any]) -> None:
        self.average.load_state_dict(dict(kept))

    def forward(self, outputs: Mapping[str, Any], batch: Batch, targets: Mapping[str, Tensor]) -> Tensor:
        with torch.no_grad():
            taught = self.average.model(replace(batch, labels=None))
        losses = [
            (1.0 if j == k else self.options.kd_off) * self._loss(j, k, output.nodes, taught[k], batch.lengths)
            for k, output in outputs.items()
            for j in self.tasks
            if j == k or (self.options.kd_off and fits(self.tasks[j], self.tasks[k]))
        ]
        return (torch.stack(losses).sum(0) * batch.weights).sum()

    def _loss(self, j: str, k: str, z: Tensor, taught: Any, lengths: Tensor) -> Tensor:
        """The loss of every text of task k for task j, (batch,), of tags the mean over its tokens.

        Args:
            j: the task that is taught.
            k: the texts' own.
            z: the model's, (batch, K, dim), of tags (batch, tokens, K, dim).
            taught: what the average says of the texts.
            lengths: (batch,).
        """
        place = list(self.tasks).index(j)
        with torch.no_grad():
            target = self._answer(taught.hidden if j == k else taught.nodes[..., place, :], j)
        student = self._answer(z[..., place, :], j)  # (batch, size), of tags (batch, tokens, size)
        if self.tasks[j].of_kind.one_of_several:
            loss = divergence(student, target, self.options.kd_temperature)  # (batch, 1), of tags (batch, tokens, 1)
        else:
            loss = (student - target).square().mean(-1, keepdim=True)
        return mean_over_tokens(loss, lengths).squeeze(-1)

    def _answer(self, h: Tensor, task: str) -> Tensor:
        """What the average's head makes of h (..., dim), which may be of a lower precision: (..., size)."""
        h = h.to(next(self.average.model.parameters()).dtype)
        return self.average.model.classify(h, task).reshape(*h.shape[:-1], -1)
