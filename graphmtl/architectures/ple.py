r"""Progressive layered extraction, PLE (Tang, Liu, Zhao, Gong, RecSys 2020).

Every task has experts of its own, and some are shared. In each extraction layer a task mixes its own and the shared
ones, and the shared stream s mixes all (section 4.2; one layer is CGC, section 4.1):

.. math::
    x_k^{l} &= \mathrm{softmax}(W_{g_k} x_k^{l-1} + b_{g_k})\, [e_k(x_k^{l-1}); e_s(x_s^{l-1})],
        \quad x_k^0 = x_s^0 = h \\
    x_s^{l} &= \mathrm{softmax}(W_{g_s} x_s^{l-1} + b_{g_s})\, [e_1(x_1^{l-1}); \dots; e_K(x_K^{l-1}); e_s(x_s^{l-1})]

Each expert is a linear layer and a ReLU; the head of task k reads :math:`x_k` of the last layer, which has no shared
stream. The gates are over experts, so there is no task graph.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from graphmtl.architectures.architecture import HeadInput
from graphmtl.architectures.shared import Shared
from graphmtl.config import MOST_PARTS, WIDEST, ArchitectureOptions, option
from graphmtl.layers.interaction import Ablation
from graphmtl.layers.pooling import pooled_size
from graphmtl.layers.stacked import StackedLinear

__all__ = ["PLE", "ExtractionLayer", "PLEOptions"]


class ExtractionLayer(nn.Module):
    """One layer of experts and gates; the equations stand at the top of the file.

    Args:
        tasks: K.
        input_size: dimensions of a stream that comes in.
        output_size: dimensions of an expert, and of a stream that goes out.
        own: experts of each task.
        shared: experts of the shared stream.
        last: no shared stream goes out.
    """

    def __init__(self, *, tasks: int, input_size: int, output_size: int, own: int, shared: int, last: bool):
        super().__init__()
        self.sizes = (own, output_size)
        self.own = StackedLinear(layers=tasks, input_size=input_size, output_size=own * output_size)
        self.shared = StackedLinear(layers=shared, input_size=input_size, output_size=output_size)
        self.gates = StackedLinear(layers=tasks, input_size=input_size, output_size=own + shared)
        self.shared_gate = None if last else nn.Linear(input_size, tasks * own + shared)

    def forward(self, x: Tensor, x_s: Tensor, some: slice = slice(None)) -> tuple[Tensor, Tensor | None]:
        """The streams of all tasks, or ``some``, (..., K, input_size), and the shared one (..., input_size), go on.

        Returns:
            (..., K, output_size), and (..., output_size) but from the last layer.
        """
        own = self.own(x, some).relu().unflatten(-1, self.sizes)  # (..., K, own, output_size)
        shared = self.shared(x_s.unsqueeze(-2)).relu()  # (..., shared, output_size)
        to_all = shared.unsqueeze(-3).expand(*own.shape[:-2], *shared.shape[-2:])  # (..., K, shared, output_size)
        gates = self.gates(x, some).softmax(-1).unsqueeze(-2)  # (..., K, 1, own + shared)
        mixed = (gates @ torch.cat([own, to_all], -2)).squeeze(-2)  # (..., K, output_size)
        if self.shared_gate is None:
            return mixed, None
        experts = torch.cat([own.flatten(-3, -2), shared], -2)  # (..., K * own + shared, output_size)
        gate = self.shared_gate(x_s).softmax(-1).unsqueeze(-2)  # (..., 1, K * own + shared)
        return mixed, (gate @ experts).squeeze(-2)


@dataclass(frozen=True, kw_only=True)
class PLEOptions(ArchitectureOptions):
    """Of ``ple``."""

    experts: int = option(4, "shared experts of a layer", low=1, high=MOST_PARTS)
    task_experts: int = option(1, "experts of each task in a layer", low=1, high=MOST_PARTS)
    expert_size: int = option(128, "dimensions of an expert", low=1, high=WIDEST)
    extraction_layers: int = option(2, "layers of experts; 1 is CGC", low=1, high=MOST_PARTS)


class PLE(Shared):
    r"""Layers of experts, of each task and of all, of which a task's gates read its own and the shared ones.

    The equations stand at the top of :mod:`graphmtl.architectures.ple` (Tang et al., RecSys 2020). It comes after what
    :class:`~graphmtl.architectures.shared.Shared` has.

    Args:
        tasks: their names.
        input_size: dimensions of a token vector.
        contextual: token vectors come from an encoder in which tokens have read each other, such as a transformer, and
            no LSTM reads them again; ``contextual=False`` puts an LSTM before.
        pooling: how vectors of texts are made of token states; it says their size alone, twice as much for
            ``max-mean``.
        **values: options by name, those of :class:`PLEOptions`:

            hidden (64): LSTM units per direction.
            bidirectional (True): read every text in both directions.
            experts (4): shared experts of a layer.
            task_experts (1): experts of each task in a layer.
            expert_size (128): dimensions of an expert.
            extraction_layers (2): layers of experts; 1 is CGC.

    Shapes:
        - x (batch, tokens, input_size), padded on the right, the task's name or position, and lengths (batch,) int64 or
          mask (batch, tokens) bool; without both no text is padded
        - or x (batch, output_size), vectors of texts, and the task
        - output: states (batch, tokens, expert_size), 0 at padding, or (batch, expert_size)

    Raises:
        InputError: a task or an option does not exist, a value is not accepted, or a tensor has another shape.

    >>> import torch
    >>> from graphmtl.nn import PLE
    >>> ple = PLE(tasks=["books", "dvd"], input_size=6, expert_size=4)
    >>> ple(torch.randn(5, 6), "dvd").shape, ple(torch.randn(5, 7, 6), "dvd").shape
    (torch.Size([5, 4]), torch.Size([5, 7, 4]))
    """

    Options = PLEOptions
    acts_after_pooling = True
    reads_new_tasks = True  # the gate over the shared experts reads all tasks' experts

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        options = self.options
        self.expert_size = options.expert_size
        layers = options.extraction_layers
        self.layers = nn.ModuleList(
            ExtractionLayer(
                tasks=len(self.tasks),
                input_size=pooled_size(self.output_size, self.pooling) if layer == 0 else self.expert_size,
                output_size=self.expert_size,
                own=options.task_experts,
                shared=options.experts,
                last=layer == layers - 1,
            )
            for layer in range(layers)
        )

    def task_rows(self) -> list[Tensor]:
        return [row for layer in self.layers for part in (layer.own, layer.gates) for row in part.parameters()]

    def head_size(self, size: int) -> int:
        return self.expert_size

    def interact(
        self, h: Tensor, lengths: Tensor, task: int, edges: bool = False, ablation: Ablation | None = None
    ) -> HeadInput:
        *lower, last = self.layers
        x, x_s = h.unsqueeze(-2).expand(*h.shape[:-1], len(self.tasks), -1), h  # (..., K, dim), (..., dim)
        for layer in lower:
            x, x_s = layer(x, x_s)  # (..., K, expert_size), (..., expert_size)
        own = slice(task, task + 1)
        x, _ = last(x[..., own, :], x_s, own)  # (..., 1, expert_size)
        return HeadInput(x.squeeze(-2))
