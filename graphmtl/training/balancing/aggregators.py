r"""Directions out of the tasks' gradients, by TorchJD's aggregators.

All of them look at the rows :math:`g_k`, (tasks, parameters), of :class:`~.balancing.GradientBalancing` and give one
vector d. Those that TorchJD defines as a mean over K rows are multiplied by K, so that where all rows are equal d is
their sum, the gradient of equal weights; of cagrad it is 1 + c times that, and nash-mtl has a length of its own.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from graphmtl.config import OptionGroup, option
from graphmtl.errors import InputError
from graphmtl.training.balancing.balancing import GradientBalancing

__all__ = [
    "IMTLG",
    "MGDA",
    "AlignedMTL",
    "CAGrad",
    "CAGradOptions",
    "GradDrop",
    "NashMTL",
    "NashMTLOptions",
    "PCGrad",
    "UPGrad",
]

_AT_ONCE = 1 << 20  # parameters, whose products are taken in double precision


class _Aggregator(GradientBalancing):
    """A method of ``torchjd.aggregation``, by its name there.

    Raises:
        InputError: TorchJD, or what the method needs beside it, is not installed.
    """

    name: str
    of_mean = True  # TorchJD's vector is a mean of rows, not a sum

    def __init__(self, *, tasks: Sequence[str], options: OptionGroup | None = None, seed: int = 0) -> None:
        super().__init__(tasks=tasks, options=options, seed=seed)
        try:
            self.aggregate = self._made()
        except ImportError as error:
            raise InputError(
                f"--balancing: {self.name} needs torchjd ({error}); `pip install graphmtl[balancing]`"
            ) from None

    def _made(self) -> Any:
        from torchjd import aggregation  # loaded where it is asked for: it takes a second

        return getattr(aggregation, self.name)(**self._settings())

    def _settings(self) -> dict[str, Any]:
        """The aggregator's arguments."""
        return {}

    def combine(self, rows: Tensor, places: list[int]) -> Tensor:
        length = rows.norm()  # (); without it TorchJD takes short gradients for none
        vector = length * self._direction(rows / length)  # (parameters,)
        return len(rows) * vector if self.of_mean else vector

    def _direction(self, rows: Tensor) -> Tensor:
        """Out of the rows (tasks, parameters) by way of their products, in double precision: of rows of unlike lengths
        the small ones are lost in single precision, and the direction with them."""
        weights = self.aggregate.gramian_weighting(_gramian(rows))  # (tasks,)
        return weights.to(rows) @ rows  # (parameters,)


def _gramian(rows: Tensor) -> Tensor:
    """The products of the rows, (tasks, tasks); a copy in double precision of a part of them at a time."""
    double = torch.float32 if rows.device.type == "mps" else torch.float64
    parts = (part.to(double) for part in rows.split(_AT_ONCE, dim=1))  # (tasks, some)
    return torch.stack([part @ part.mT for part in parts]).sum(0)


class PCGrad(_Aggregator):
    r"""Gradient surgery (Yu et al., NeurIPS 2020, algorithm 1).

    .. math:: d = \sum_k g_k^{PC}, \quad g_k^{PC} \leftarrow g_k^{PC} - \frac{g_k^{PC} \cdot g_j}{|g_j|^2} g_j

    for every other task j, in random order, whose gradient :math:`g_k^{PC}`, which begins as :math:`g_k`, conflicts
    with: their product is below 0.
    """

    name = "PCGrad"
    of_mean = False


@dataclass(frozen=True, kw_only=True)
class CAGradOptions(OptionGroup):
    """Of ``--balancing cagrad``."""

    cagrad_c: float = option(0.4, "radius of cagrad around the mean gradient, as a share of its length", low=0)


class CAGrad(_Aggregator):
    r"""Conflict-averse gradient descent (Liu et al., NeurIPS 2021, algorithm 1).

    .. math:: d = K \arg\max_{|d - g_0| \le c |g_0|} \min_k g_k \cdot d, \quad g_0 = \frac{1}{K} \sum_k g_k
    """

    name = "CAGrad"
    Options = CAGradOptions

    def _settings(self) -> dict[str, Any]:
        return {"c": self.options.cagrad_c}


class MGDA(_Aggregator):
    r"""The multiple-gradient descent algorithm (Désidéri, 2012; solved as by Sener and Koltun, NeurIPS 2018).

    .. math:: d = K \sum_k \alpha_k g_k, \quad
        \alpha = \arg\min_{\alpha_k \ge 0, \sum_k \alpha_k = 1} \left| \sum_k \alpha_k g_k \right|
    """

    name = "MGDA"


@dataclass(frozen=True, kw_only=True)
class NashMTLOptions(OptionGroup):
    """Of ``--balancing nash-mtl``."""

    nash_norm: float = option(1.0, "largest length of nash-mtl's direction; 0 sets no limit", low=0)


class NashMTL(_Aggregator):
    r"""The Nash bargaining solution of the tasks (Navon et al., ICML 2022, algorithm 1).

    .. math:: d = \sum_k \alpha_k g_k, \quad G G^\top \alpha = 1 / \alpha

    where G holds the rows, which are divided by the square root of :math:`|G G^\top|` before it is solved, and d is cut
    to the length ``--nash-norm``. Each solution begins at the tasks' last one. The paper weighs all of a task's loss
    with :math:`\alpha_k`; here what one task alone reaches keeps its plain gradient, as with the other methods.
    """

    name = "NashMTL"
    Options = NashMTLOptions
    alpha: Tensor

    def __init__(self, *, tasks: Sequence[str], options: OptionGroup | None = None, seed: int = 0) -> None:
        super().__init__(tasks=tasks, options=options, seed=seed)
        self.register_buffer("alpha", torch.ones(len(self.tasks)))

    def _made(self) -> Any:
        """One for each number of tasks that an update may have, made when it is needed."""
        from torchjd.aggregation import NashMTL

        NashMTL(1)  # whether all is there
        return {}

    def combine(self, rows: Tensor, places: list[int]) -> Tensor:
        from torchjd.aggregation import NashMTL

        if len(rows) not in self.aggregate:
            self.aggregate[len(rows)] = NashMTL(len(rows), max_norm=self.options.nash_norm)
        aggregate = self.aggregate[len(rows)]
        aggregate.weighting.prvs_alpha = self.alpha[places].cpu().numpy()
        with warnings.catch_warnings(action="ignore"):  # cvxpy: each problem is as slow to solve as the first
            vector = aggregate(rows)  # (parameters,)
        self.alpha[places] = torch.from_numpy(aggregate.weighting.prvs_alpha).to(self.alpha)
        return vector


class IMTLG(_Aggregator):
    r"""Impartial multi-task learning, the balance of gradients (IMTL-G; Liu et al., ICLR 2021, section 3.1).

    .. math:: d = K \sum_k \alpha_k g_k, \quad \sum_k \alpha_k = 1, \quad d \cdot g_k / |g_k| \text{ alike for all } k
    """

    name = "IMTLG"


class AlignedMTL(_Aggregator):
    r"""The closest gradients that are orthogonal and alike in length (Senushkin et al., CVPR 2023, algorithm 1).

    .. math:: d = \sum_k (\sigma_{min} U V^\top)_k, \quad G = U \Sigma V^\top

    where G holds the rows and :math:`\sigma_{min}` is the smallest of its singular values that are not 0.
    """

    name = "AlignedMTL"


class UPGrad(_Aggregator):
    r"""Each gradient without its conflicts, then their sum (Quinton and Rey, 2024, section 3).

    .. math:: d = \sum_k \pi(g_k)

    where :math:`\pi` projects on the cone of the directions that conflict with no row.
    """

    name = "UPGrad"


class GradDrop(_Aggregator):
    r"""Gradient sign dropout (Chen et al., NeurIPS 2020, algorithm 1).

    .. math:: d = \sum_k M_k \circ g_k, \quad P = \frac{1}{2} \left(1 + \frac{\sum_k g_k}{\sum_k |g_k|}\right)

    where at each parameter either the rows above 0 stay, with the probability P, or those below 0. The paper drops the
    gradients of shared activations, each times its activation's sign; here, as in TorchJD, those of parameters.
    """

    name = "GradDrop"
    of_mean = False

    def _direction(self, rows: Tensor) -> Tensor:
        return self.aggregate(rows)  # which looks at each parameter
