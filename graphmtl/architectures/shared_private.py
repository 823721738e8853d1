r"""The shared-private scheme, SP-MTL (Liu, Qiu, Huang, ACL 2017, "Adversarial Multi-task Learning", section 3.1).

One LSTM reads every task's texts, and beside it each task has one of its own; the head of task k reads both:

.. math::
    s_t = \mathrm{LSTM}(x_t, s_{t-1}; \theta_s), \quad h^{(k)}_t = \mathrm{LSTM}(x_t, h^{(k)}_{t-1}; \theta_k), \quad
    y_k = \mathrm{head}_k([s; h^{(k)}])

The paper's LSTMs read forward alone, and its heads see the states of the last token; here both are as in every
architecture (``--bidirectional``, ``--pooling``). A task reads from no other task, so there is no task graph.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from graphmtl.architectures.architecture import Architecture, Read
from graphmtl.layers.interaction import Ablation
from graphmtl.layers.message_lstm import LSTM, run_side_by_side
from graphmtl.layers.packing import Packing

__all__ = ["SharedPrivate"]


class SharedPrivate(Architecture):
    """An LSTM that all tasks share, and beside it one of each task (SP-MTL).

    The equations stand at the top of :mod:`graphmtl.architectures.shared_private` (Liu et al., ACL 2017).

    Args:
        tasks: their names.
        input_size: dimensions of a token vector.
        **values: options by name, those of :class:`~graphmtl.config.ArchitectureOptions`:

            hidden (64): LSTM units per direction, of each of the two.
            bidirectional (True): read every text in both directions.

    Shapes:
        - x (batch, tokens, input_size), padded on the right, the task's name or position, and lengths (batch,) int64 or
          mask (batch, tokens) bool; without both no text is padded
        - output: states (batch, tokens, output_size), the shared LSTM's and behind them the task's own, 0 at padding;
          ``output_size`` is twice hidden in each direction

    Raises:
        InputError: a task or an option does not exist, a value is not accepted, or a tensor has another shape.

    >>> import torch
    >>> from graphmtl.nn import SharedPrivate
    >>> both = SharedPrivate(tasks=["books", "dvd"], input_size=5, hidden=4)
    >>> x, lengths = torch.randn(2, 7, 5), torch.tensor([7, 3])
    >>> shared, own = both(x, "dvd", lengths).chunk(2, -1)
    >>> shared.shape, torch.equal(shared, both(x, "books", lengths)[..., :8])
    (torch.Size([2, 7, 8]), True)
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.output_size *= 2
        self.ways *= 2
        self.lstm = LSTM(**self.lstm_sizes)
        self.lstms = nn.ModuleList(LSTM(**self.lstm_sizes) for _ in self.tasks)

    def task_modules(self) -> list[nn.ModuleList]:
        return [self.lstms]

    def shared_lstm(self) -> LSTM:
        return self.lstm

    def read(
        self,
        x: Tensor,
        lengths: Tensor,
        tasks: Sequence[int],
        edges: bool = False,
        nodes: Tensor | None = None,
        ablation: Ablation | None = None,
    ) -> list[Read]:
        packing = Packing(lengths, x.size(1), x.device)
        lstms = [self.lstm, *(self.lstms[task] for task in tasks)]
        states = run_side_by_side(lstms, packing.pack(x, self.directions), packing)  # (D, N, 1 + tasks, H)
        shared, *own = (packing.unpack(each) for each in states.unbind(2))  # (B, T, D * H)
        return [(torch.cat([shared, private], -1), None) for private in own]  # (B, T, 2 * D * H)
