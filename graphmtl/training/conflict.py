"""Whether the tasks of a run pull what they share in one direction: the cosines between their gradients."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from graphmtl.errors import InputError, shown

__all__ = ["GradientConflict"]


class GradientConflict:
    """The mean cosine between the gradients of two tasks, over the updates in which both were measured.

    Args:
        tasks: the names of all tasks.
    """

    def __init__(self, tasks: Sequence[str]) -> None:
        self.tasks = list(tasks)
        self._sums = torch.zeros(2, len(self.tasks), len(self.tasks), dtype=torch.float64)  # cosines, and how many
        self._epoch = torch.zeros_like(self._sums)  # the same of this epoch

    def add(self, tasks: Sequence[str], rows: Tensor) -> None:
        """An update's gradients, (tasks, parameters); one that is 0, or not finite, has no direction."""
        lengths = rows.norm(dim=1)  # (tasks,)
        units = rows / lengths[:, None]  # (tasks, parameters)
        cosines = (units @ units.T).double().cpu()  # (tasks, tasks)
        directed = (lengths.isfinite() & (lengths > 0)).cpu()  # (tasks,)
        known = directed[:, None] & directed  # (tasks, tasks)
        places = torch.tensor([self.tasks.index(name) for name in tasks])
        found = torch.stack([torch.where(known, cosines, 0.0), known.double()])  # (2, tasks, tasks)
        for each in (self._sums, self._epoch):
            each[:, places[:, None], places] += found

    def end_epoch(self) -> float | None:
        """The epoch's mean, as :meth:`mean`."""
        mean = _mean(self._epoch)
        self._epoch.zero_()
        return mean

    def mean(self) -> float | None:
        """The mean over updates and pairs of different tasks, -1 to 1; None where none was measured."""
        return _mean(self._sums)

    @property
    def updates(self) -> int:
        """In how many updates two tasks were measured together, at most."""
        return int(self._sums[1].max())

    def matrix(self) -> np.ndarray:
        """Mean cosines, (tasks, tasks), nan where two tasks were never measured together."""
        cosines, counts = self._sums.numpy()
        return np.divide(cosines, counts, out=np.full_like(cosines, np.nan), where=counts > 0)

    def as_json(self) -> dict | None:
        """What ``gradient_conflict.json`` holds: ``tasks``, ``cosine`` (None for nan) and ``updates``, both K x K.

        None where no two tasks were measured together.
        """
        if not self._sums[1].any():
            return None
        cosines = [[None if np.isnan(x) else x for x in row] for row in self.matrix().tolist()]
        return {"tasks": self.tasks, "cosine": cosines, "updates": self._sums[1].long().tolist()}

    @classmethod
    def of_json(cls, found: Mapping[str, Any], path: Path) -> "GradientConflict":
        """What :meth:`as_json` gave.

        Raises:
            InputError: it is something else; names the file.
        """
        try:
            conflict = cls(found["tasks"])
            counts = np.array(found["updates"], dtype=float)  # (tasks, tasks)
            cosines = np.array(found["cosine"], dtype=float)  # (tasks, tasks), nan where there is none
            if not counts.shape == cosines.shape == conflict._sums.shape[1:]:
                raise ValueError(f"{len(conflict.tasks)} tasks")
            conflict._sums = torch.from_numpy(np.stack([np.nan_to_num(cosines) * counts, counts]))
        except (LookupError, TypeError, ValueError) as error:
            raise InputError(f"{path}: found {shown(found)}, expected tasks, cosine and updates ({error})") from None
        return conflict

    def state_dict(self) -> dict:
        """What :meth:`load_state_dict` needs."""
        return {"sums": self._sums, "epoch": self._epoch}

    def load_state_dict(self, state: dict) -> None:
        """Go on from what :meth:`state_dict` gave."""
        self._sums, self._epoch = state["sums"], state["epoch"]


def _mean(sums: Tensor) -> float | None:
    """The mean of summed cosines and their counts, (2, tasks, tasks), over pairs of different tasks."""
    cosines, count = (sums * (1 - torch.eye(sums.size(1), dtype=sums.dtype))).sum((1, 2)).tolist()
    return cosines / count if count else None
