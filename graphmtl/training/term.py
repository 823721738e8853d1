"""A term of what training minimises, beside the loss of the labels."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from torch import Tensor, nn

from graphmtl.config import OptionGroup
from graphmtl.data.batching import Batch

__all__ = ["Term"]


class Term(nn.Module):
    """A term of what training minimises: a loss of every text, of which the mean over an update's texts is taken.

    Derive from it, and name the class in :data:`graphmtl.registry.OBJECTIVES` or with ``--terms module:Class``. Its
    parameters are trained with the model's.
    """

    Options: ClassVar[type[OptionGroup]] = OptionGroup

    @classmethod
    def suits(cls, architecture: type) -> bool:
        """Whether a run with this architecture can have the term, and has its options."""
        return True

    @classmethod
    def of_run(cls, model: nn.Module, options: OptionGroup) -> "Term | None":
        """The term of a run; None where its options leave it out, or where it is made before the training begins.

        Args:
            model: what is trained.
            options: those of :attr:`Options`.
        """
        return cls()

    def weight(self, step: int, steps: int) -> float:
        """The term's weight in the loss, after ``step`` of ``steps`` updates."""
        return 1.0

    def labels_weight(self, step: int, steps: int) -> float:
        """The weight that it leaves to the loss of the labels."""
        return 1.0

    def targets(self, corpus: str, rows: np.ndarray) -> Mapping[str, Tensor]:
        """What it needs of some training texts beside the batch; read in a thread, and moved to the batch's device.

        Args:
            corpus: the corpus of the texts, which has the name of its task where it has one alone.
            rows: their places in its training split, (batch,).
        """
        return {}

    def updated(self, model: nn.Module) -> None:
        """The weights of the model are those after an update."""

    def kept(self) -> dict:
        """What a checkpoint holds of it, for :meth:`restore`, beside its parameters and buffers."""
        return {}

    def restore(self, kept: Mapping[str, Any]) -> None:
        """Go on from what :meth:`kept` gave."""

    def forward(self, outputs: Mapping[str, Any], batch: Batch, targets: Mapping[str, Tensor]) -> Tensor | None:
        """The sum of the losses of a batch's texts, each times its weight in the batch, (); None where it has none.

        Args:
            outputs: what the model says, by task.
            batch: the texts.
            targets: see :meth:`targets`.
        """
        raise NotImplementedError
