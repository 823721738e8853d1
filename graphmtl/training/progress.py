"""How far a training has come."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

__all__ = ["Progress"]


@dataclass
class Progress:
    """How far a training has come, that before a resume included.

    Attributes:
        epoch: epochs begun.
        step: updates of the weights.
        tokens: those of the training texts read, padding not counted.
        seconds: training and evaluation.
        train_seconds: training alone.
        begun: updates before the epoch that is trained.
        batches: those of it that are done, where it was interrupted.
        history: what ``history.jsonl`` holds.
    """

    epoch: int = 0
    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    train_seconds: float = 0.0
    begun: int = 0
    batches: int = 0
    history: list[dict] = field(default_factory=list)

    @property
    def tokens_per_second(self) -> float:
        """Tokens of training texts per second of training."""
        return self.tokens / self.train_seconds

    def record(self, *, losses: Mapping[str, float], metrics: Mapping[str, Mapping[str, float]], lr: float) -> dict:
        """The line of ``history.jsonl`` of an epoch; see :meth:`~graphmtl.training.log.TrainingLog.add`."""
        return {
            "step": self.step,
            "epoch": self.epoch,
            "losses": losses,
            "metrics": metrics,
            "seconds": self.seconds,
            "tokens_per_second": self.tokens_per_second,
            "lr": lr,
        }

    def state_dict(self) -> dict[str, Any]:
        """What :meth:`load_state_dict` needs, but for ``history``, which has a file of its own."""
        return {each.name: getattr(self, each.name) for each in fields(self) if each.name != "history"}

    def load_state_dict(self, state: Mapping[str, Any], *, history: list[dict]) -> None:
        """Go on from what :meth:`state_dict` gave, which may hold more, and the lines written so far."""
        for name in self.state_dict():
            setattr(self, name, state[name])
        self.history = history
