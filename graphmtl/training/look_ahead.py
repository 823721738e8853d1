r"""What a step on one task's texts does to the others: two measures of who helps whom that need no graph.

- **gradient cosine** of :math:`\nabla L_j` and :math:`\nabla L_k`, over all trained parameters.
- **inter-task affinity** (TAG: Fifty, Amid, Zhao, Yu, Anil, Finn: Efficiently Identifying Task Groupings for Multi-Task
  Learning, NeurIPS 2021, equation 3), which has a direction:

  .. math:: Z_{j \to k} = 1 - \frac{L_k(\theta - \eta \nabla L_j(\theta))}{L_k(\theta)}

  with the learning rate :math:`\eta` of that time and a gradient that is clipped as in training.

Both are means over a training. Their losses are read without dropout, which would be larger than what one step changes;
the paper looks ahead in every few updates, here it is done a few times after each epoch.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from graphmtl.data.batching import Batch, EncodedTask
from graphmtl.layers.modes import evaluating
from graphmtl.training.conflict import GradientConflict

__all__ = ["LookAhead"]

_TEXTS = 32  # of each task, read at once


class LookAhead:
    """The means over all calls of :meth:`measure`.

    Args:
        model: what is trained; it is left as it was.
        data: the encoded tasks, whose training splits are read.
        clip: the largest norm of a gradient; 0: any.
        seed: of the texts that are drawn.
    """

    def __init__(self, model: nn.Module, data: Mapping[str, EncodedTask], *, clip: float, seed: int) -> None:
        self.model, self.data, self.clip = model, dict(data), clip
        self._rng = np.random.default_rng([seed, 0x1A])
        self._conflict = GradientConflict([*data])
        self._sums, self._count = np.zeros((len(data), len(data))), 0  # (targets, sources)

    @property
    def cosine(self) -> np.ndarray:
        """Mean cosines of gradients, (targets, sources)."""
        return self._conflict.matrix()

    @property
    def affinity(self) -> np.ndarray:
        """Mean inter-task affinities, (targets, sources); nan before the first measurement."""
        return self._sums / self._count if self._count else np.full_like(self._sums, np.nan)

    def measure(self, lr: float) -> None:
        """Draws texts of each task, and takes a step on each task's alone, which is taken back.

        Args:
            lr: the step's length, as a learning rate.
        """
        with evaluating(self.model):
            batches = {name: self._draw(name) for name in self.data}
            parameters = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
            gradients = [self._gradient(name, batch, parameters) for name, batch in batches.items()]
            self._conflict.add(
                [*batches], torch.stack([torch.cat([own.flatten() for own in each]) for each in gradients])
            )
            before = self._losses(batches)  # (targets,)
            kept = [parameter.detach().clone() for parameter in parameters]
            for source, own in enumerate(gradients):
                step = lr * self._shortened(own)
                with torch.no_grad():
                    for parameter, gradient in zip(parameters, own, strict=True):
                        parameter.sub_(step * gradient)
                    self._sums[:, source] += 1 - self._losses(batches) / before
                    for parameter, value in zip(parameters, kept, strict=True):
                        parameter.copy_(value)
        self._count += 1

    def _draw(self, name: str) -> Batch:
        """Training texts with a label of a task, on the model's device."""
        split = self.data[name].train
        labelled = np.flatnonzero(split.counts[name] > 0)
        rows = np.sort(self._rng.permutation(labelled)[:_TEXTS])
        return split.batch(rows, tasks=[name]).to(next(self.model.parameters()).device)

    def _gradient(self, name: str, batch: Batch, parameters: list[nn.Parameter]) -> list[Tensor]:
        loss = self.model(batch)[name].loss()
        found = torch.autograd.grad(loss, parameters, allow_unused=True)
        pairs = zip(found, parameters, strict=True)
        return [torch.zeros_like(parameter) if own is None else own for own, parameter in pairs]

    def _shortened(self, gradient: list[Tensor]) -> float:
        """By what a gradient is multiplied so that it is no longer than ``clip``."""
        length = float(torch.stack([own.norm() for own in gradient]).norm())
        return min(1.0, self.clip / length) if self.clip > 0 and length > 0 else 1.0

    @torch.no_grad()
    def _losses(self, batches: Mapping[str, Batch]) -> np.ndarray:
        """The loss of each task, (targets,)."""
        return np.array([float(self.model(batch)[name].loss()) for name, batch in batches.items()])
