"""Which epoch's weights are kept, and when there is nothing left to wait for."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

__all__ = ["BestEpochs", "GivenEpochs", "Selection"]


class Selection:
    """The weights to keep, on the CPU, for every group of parameters that is selected together.

    Most architectures have one group. ``single`` has one per task: K separate models, each of which keeps its own
    epoch.

    Args:
        groups: for each group the names of the model's parameters (keys of its ``state_dict``).
    """

    def __init__(self, *, groups: Mapping[str, list[str]]) -> None:
        self.groups = dict(groups)
        self.epoch = 0  # the last one looked at
        self.epochs: dict[str, int] = {}  # of the kept weights
        self.scores: dict[str, tuple[float, ...]] = {}  # of the kept weights
        self._weights: dict[str, dict[str, Tensor]] = {}

    @property
    def settled(self) -> list[str]:
        """The groups that wait for nothing."""
        return [group for group in self.groups if self._settled(group)]

    @property
    def finished(self) -> bool:
        """No group waits for anything."""
        return len(self.settled) == len(self.groups)

    @property
    def cut_short(self) -> list[str]:
        """The groups that more epochs might have made better."""
        return []

    @property
    def best_epoch(self) -> int | dict[str, int]:
        """The epoch of the kept weights; one per group where there are several groups."""
        return next(iter(self.epochs.values())) if len(self.groups) == 1 else dict(self.epochs)

    def update(self, *, model: nn.Module, epoch: int, scores: Mapping[str, tuple[float, ...]]) -> None:
        """Look at the weights after an epoch, and keep a copy of those that are wanted.

        Args:
            model: has the weights.
            epoch: its number, from 1.
            scores: of each group; compared from left to right, higher is better.
        """
        state = model.state_dict()
        for group, names in self.groups.items():
            if not self._settled(group) and self._wanted(group, epoch, scores.get(group, ())):
                self.epochs[group] = epoch
                self.scores[group] = tuple(scores.get(group, ()))
                self._weights[group] = {name: state[name].detach().to("cpu", copy=True) for name in names}
        self.epoch = epoch

    @torch.no_grad()
    def restore(self, model: nn.Module) -> None:
        """Copy the kept weights into the model."""
        state = model.state_dict()
        for weights in self._weights.values():
            for name, tensor in weights.items():
                state[name].copy_(tensor)

    def state_dict(self) -> dict:
        """What :meth:`load_state_dict` of a selection with the same groups needs."""
        return {"epoch": self.epoch, "epochs": self.epochs, "scores": self.scores, "weights": self._weights}

    def load_state_dict(self, state: dict) -> None:
        """Go on from what :meth:`state_dict` gave."""
        self.epoch = state["epoch"]
        self.epochs = state["epochs"]
        self.scores = state["scores"]
        self._weights = state["weights"]

    def _settled(self, group: str) -> bool:
        raise NotImplementedError

    def _wanted(self, group: str, epoch: int, score: tuple[float, ...]) -> bool:
        raise NotImplementedError


class BestEpochs(Selection):
    """Keeps each group's epoch of the highest score; of equal scores the first.

    A group whose score has not risen for ``patience`` epochs, or which has had all its epochs, is settled: its weights
    stay, whatever the other groups still do, as if it had been trained alone.

    Args:
        groups: see :class:`Selection`.
        patience: epochs without progress before a group is settled; 0: never.
        last: the last epoch of each group.
    """

    def __init__(self, *, groups: Mapping[str, list[str]], patience: int, last: Mapping[str, int]) -> None:
        super().__init__(groups=groups)
        self.patience = patience
        self.last = dict(last)

    @property
    def cut_short(self) -> list[str]:
        """The groups whose best epoch is the last one that they were given."""
        return [group for group, epoch in self.epochs.items() if epoch >= self.last[group]]

    def _settled(self, group: str) -> bool:
        return self.epoch >= self.last[group] or (
            group in self.epochs and 0 < self.patience <= self.epoch - self.epochs[group]
        )

    def _wanted(self, group: str, epoch: int, score: tuple[float, ...]) -> bool:
        return group not in self.scores or score > self.scores[group]


class GivenEpochs(Selection):
    """Keeps each group's weights of an epoch that was chosen before.

    Args:
        groups: see :class:`Selection`.
        epochs: the epoch, or one for each group: the ``best_epoch`` of an earlier selection.
        last: the last epoch of each group that will be trained.

    Raises:
        ValueError: an epoch that will not come.
    """

    def __init__(
        self, *, groups: Mapping[str, list[str]], epochs: int | Mapping[str, int], last: Mapping[str, int]
    ) -> None:
        super().__init__(groups=groups)
        self.given = dict.fromkeys(groups, epochs) if isinstance(epochs, int) else {g: epochs[g] for g in groups}
        for group, epoch in self.given.items():
            if not 1 <= epoch <= last[group]:
                raise ValueError(f"epochs: expected 1 to {last[group]} for group {group!r}, found {epoch}")

    def _settled(self, group: str) -> bool:
        return self.epoch >= self.given[group]

    def _wanted(self, group: str, epoch: int, score: tuple[float, ...]) -> bool:
        return epoch == self.given[group]
