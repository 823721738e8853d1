r"""Knowledge distillation into the task-oriented representations of ``cmtr``.

For every task j a teacher, a model of j alone or the head for j of one that was trained on several tasks, has read the
instance. z_j, through a distillation head of its own, must imitate it:

.. math::
    \mathrm{KD} = \sum_j w_j\, \ell_j, \quad
    \ell_j = T^2\, \mathrm{KL}(\mathrm{softmax}(t_j / T) \Vert \mathrm{softmax}(D_j z_j / T))

for teachers that give labels (Hinton et al., 2015, section 2.1); for scores and hidden states
:math:`\ell_j = \mathrm{mean}((D_j z_j - (t_j - \mu_j) / \sigma_j)^2)`, with the teacher's mean and standard deviation
on its own training texts. w_j is 1 for the instance's own task and ``--kd-off`` for the others; a teacher whose input
form does not fit is left out. Of tags it is the mean over tokens, and a CRF's logits are those before the CRF. With
``--teacher-annealing`` the weight of the labels rises from 0 to 1 and that of KD falls from 1 to 0 over training
(Clark et al., BAM, ACL 2019, section 3.2).

``--teachers auto`` is ``train:shared``, which measured best (``benchmarks/results/distillation.md``); the teacher's own
training makes a run half as long again or more. ``--teachers ema`` is :mod:`graphmtl.training.mean_teacher`.

That CMTR distils, its abstract says; how, is our reading.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from graphmtl.config import OptionGroup, flag, option
from graphmtl.data.batching import Batch
from graphmtl.data.task import Task
from graphmtl.errors import note
from graphmtl.layers.pooling import mean_over_tokens
from graphmtl.training.teacher_outputs import TeacherOutputs, fits
from graphmtl.training.term import Term

__all__ = ["AUTO", "Distillation", "DistillationOptions", "divergence", "say_idle", "who_teaches"]

AUTO = "train:shared"  # what measured best: benchmarks/results/distillation.md

_OF_RUNS = ("teacher_outputs", "kd_target", "teacher_annealing")  # options that --teachers ema does not look at
_OF_AVERAGE = ("teacher_decay", "teacher_ramp")  # those that it alone looks at


@dataclass(frozen=True, kw_only=True)
class DistillationOptions(OptionGroup):
    """Of architectures with a representation for every task."""

    teachers: str | None = option(
        None,
        "distil from teachers: folders of finished runs with commas between; train, single-task teachers that are "
        "trained first, in OUTPUT/teachers; train:ARCH, a teacher of another architecture; ema, the moving average of "
        "the model itself; or auto, what measured best: train:shared, half of a run's time more",
        shown="RUNS",
        trains=True,
    )
    teacher_outputs: str | None = option(
        None,
        "folder of what teachers said, which runs may share (OUTPUT/teachers)",
        needs="teachers",
        shown="DIR",
        trains=True,
    )
    kd_target: Literal["logits", "hidden"] = option(
        "logits", "what is imitated: answers, or what the head reads", needs="teachers", trains=True
    )
    kd_temperature: float = option(
        2.0, "temperature of teachers' and students' labels", low=0.01, needs="teachers", trains=True
    )
    kd_weight: float = option(1.0, "weight of the distillation in the loss", low=0, needs="teachers", trains=True)
    kd_off: float = option(
        0.1,
        "weight of the other tasks' teachers beside the own one's, which is 1",
        low=0,
        needs="teachers",
        trains=True,
    )
    teacher_annealing: bool = option(
        False, "go from distillation to labels over the steps", needs="teachers", trains=True
    )
    teacher_decay: float = option(
        0.99, "of --teachers ema, the decay of the average", low=0, high=1, needs="teachers", trains=True
    )
    teacher_ramp: float = option(
        0.3,
        "of --teachers ema, the share of all steps in which its weight rises from 0",
        low=0,
        high=1,
        needs="teachers",
        trains=True,
    )


def who_teaches(options: DistillationOptions) -> str | None:
    """``ema``, ``train:ARCH``, folders of runs, or None."""
    return {"train": "train:single", "auto": AUTO}.get(str(options.teachers), options.teachers)


def say_idle(options: DistillationOptions) -> None:
    """Names the options that teachers of this kind do not look at."""
    idle = _OF_RUNS if who_teaches(options) == "ema" else _OF_AVERAGE
    for own in fields(DistillationOptions):
        if own.name in idle and getattr(options, own.name) != own.default:
            note(f"{flag(own.name)} has no effect with --teachers {options.teachers}")


def divergence(student: Tensor, target: Tensor, temperature: float) -> Tensor:
    """T^2 KL(softmax(target / T) || softmax(student / T)) of logits (..., classes): (..., 1)."""
    T = temperature
    said, expected = (student / T).log_softmax(-1), (target / T).log_softmax(-1)  # (..., classes)
    return T**2 * F.kl_div(said, expected, reduction="none", log_target=True).sum(-1, keepdim=True)


class Distillation(Term):
    """The distillation heads and their loss; see the top of the file.

    Args:
        tasks: the run's tasks.
        node_size: dimensions of z_j.
        outputs: of the teachers, for every corpus.
        own: the corpus that each task belongs to.
        options: temperature, weights and what is imitated.
    """

    Options = DistillationOptions

    def __init__(
        self,
        *,
        tasks: Mapping[str, Task],
        node_size: int,
        outputs: Mapping[str, TeacherOutputs],
        own: Mapping[str, str],
        options: DistillationOptions,
    ):
        super().__init__()
        self.tasks, self.options = dict(tasks), options
        self._outputs = dict(outputs)
        self.heads = nn.ModuleList()
        for j, name in enumerate(self.tasks):
            values = self._outputs[own[name]].values[name]  # (texts or tokens, size)
            self.heads.append(nn.Linear(node_size, values.shape[1]))
            mean, std = values.mean(0, dtype=np.float64), values.std(0, dtype=np.float64)
            self.register_buffer(f"mean{j}", torch.from_numpy(mean).float())
            self.register_buffer(f"std{j}", torch.from_numpy(std).float().clamp_min(1e-6))

    @classmethod
    def suits(cls, architecture: type) -> bool:
        return architecture.has_nodes  # type: ignore[attr-defined]

    @classmethod
    def of_run(cls, model: nn.Module, options: OptionGroup) -> None:
        """It is made before the training, by what reads the teachers."""

    def weight(self, step: int, steps: int) -> float:
        return self.options.kd_weight * (1 - self._done(step, steps) if self.options.teacher_annealing else 1)

    def labels_weight(self, step: int, steps: int) -> float:
        return self._done(step, steps) if self.options.teacher_annealing else 1.0

    def _done(self, step: int, steps: int) -> float:
        return step / max(steps - 1, 1)

    def targets(self, corpus: str, rows: np.ndarray) -> dict[str, Tensor]:
        """What every teacher says of some texts: (batch, size), of taggers (batch, tokens, size), 0 at padding."""
        outputs = self._outputs[corpus]
        lengths = outputs.lengths[rows]  # (batch,)
        ends = outputs.lengths.cumsum()[rows]  # (batch,)
        found = {}
        for name, values in outputs.values.items():
            if self.tasks[name].of_kind.reads_tokens:
                own = [torch.from_numpy(values[end - n : end].copy()) for end, n in zip(ends, lengths, strict=True)]
                found[name] = nn.utils.rnn.pad_sequence(own, batch_first=True)
            else:
                found[name] = torch.from_numpy(values[rows])
        return found

    def forward(self, outputs: Mapping[str, Any], batch: Batch, targets: Mapping[str, Tensor]) -> Tensor:
        losses = self.losses({name: output.nodes for name, output in outputs.items()}, targets, batch.lengths)
        return (losses * batch.weights).sum()

    def losses(self, nodes: Mapping[str, Tensor], targets: Mapping[str, Tensor], lengths: Tensor) -> Tensor:
        """The loss of every text, (batch,).

        Args:
            nodes: z of all K tasks for each task that the texts have, (batch, K, dim), of tags (batch, tokens, K, dim).
            targets: see :meth:`targets`.
            lengths: (batch,).
        """
        losses = [
            (1.0 if j == k else self.options.kd_off) * self._loss(j, z, said, lengths)
            for k, z in nodes.items()
            for j, said in targets.items()
            if fits(self.tasks[j], self.tasks[k])
        ]
        return torch.stack(losses).sum(0)

    def _loss(self, name: str, z: Tensor, target: Tensor, lengths: Tensor) -> Tensor:
        """l_j of every text, (batch,), of tags the mean over its tokens; z as in :meth:`forward`."""
        j = list(self.tasks).index(name)
        student = self.heads[j](z[..., j, :]).float()  # (batch, size), of tags (batch, tokens, size)
        if self.options.kd_target == "logits" and self.tasks[name].of_kind.one_of_several:
            loss = divergence(student, target, self.options.kd_temperature)  # (batch, 1), of tags (batch, tokens, 1)
        else:
            expected = (target - getattr(self, f"mean{j}")) / getattr(self, f"std{j}")
            loss = (student - expected).square().mean(-1, keepdim=True)
        return mean_over_tokens(loss, lengths).squeeze(-1)
