"""What is written about a training run while it goes on."""

import json
from pathlib import Path

from accelerate import Accelerator

__all__ = ["TrainingLog"]


class TrainingLog:
    """``history.jsonl``, one line per evaluation, and TensorBoard's files where the accelerator has that tracker.

    The first process alone writes. Lines of an earlier, interrupted run that are not in ``history`` are removed.

    Args:
        folder: the run's folder; None writes no file.
        accelerator: its trackers are started.
        history: the lines so far; grows with :meth:`add`.
    """

    def __init__(self, *, folder: Path | None, accelerator: Accelerator, history: list[dict]) -> None:
        self.history = history
        self._accelerator = accelerator
        self._path = None if folder is None or not accelerator.is_main_process else folder / "history.jsonl"
        accelerator.init_trackers("tensorboard")
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.write_text("".join(json.dumps(record) + "\n" for record in history), encoding="utf-8")

    def add(self, record: dict) -> None:
        """Write a line.

        Args:
            record: ``step``, ``epoch``, ``losses`` {task: training loss}, ``metrics`` {task: {METRIC: value}} on the
                validation split, ``seconds`` since the start, ``tokens_per_second``, ``lr``.
        """
        self.history.append(record)
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")
        scalars = {f"train/loss/{task}": loss for task, loss in record["losses"].items()}
        for task, values in record["metrics"].items():
            scalars |= {f"valid/{metric}/{task}": value for metric, value in values.items()}
        scalars |= {name: record[name] for name in ("lr", "tokens_per_second")}
        self._accelerator.log(scalars, step=record["step"])

    def close(self) -> None:
        """Finish TensorBoard's files; unlike ``Accelerator.end_training`` the process group stays."""
        for tracker in self._accelerator.trackers:
            tracker.finish()
