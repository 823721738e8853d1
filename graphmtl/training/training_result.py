"""What a training run came to."""

from dataclasses import dataclass

from graphmtl.training.budget import Budget

__all__ = ["TrainingResult"]


@dataclass(frozen=True, kw_only=True)
class TrainingResult:
    """What a training run came to.

    Attributes:
        budgets: of each selection group.
        cut_short: the selection groups whose best epoch is the last one they were given, so that more might be better.
        best_epoch: epoch of the weights that the model now has; one per task where each task is selected on its own.
        epochs: epochs trained.
        steps: updates of the weights.
        seconds: training and evaluation, those before a resume included.
        tokens_per_second: tokens of training texts, padding not counted, per second of training without evaluation.
        history: what ``history.jsonl`` holds.
    """

    budgets: dict[str, Budget]
    cut_short: list[str]
    best_epoch: int | dict[str, int]
    epochs: int
    steps: int
    seconds: float
    tokens_per_second: float
    history: list[dict]
