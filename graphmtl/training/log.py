"""What is written about a training run while it goes on."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import takewhile
from pathlib import Path

from accelerate import Accelerator

from graphmtl.config import TrainingOptions
from graphmtl.errors import InputError, shown
from graphmtl.files import parse_json, write_whole, writing
from graphmtl.graph.edge import Edge
from graphmtl.training.trackers import finish_trackers, start_trackers

__all__ = ["GraphLog", "TrainingLog"]


class TrainingLog:
    """``history.jsonl``, one line per evaluation, and the same for the trackers that ``--track`` names.

    The first process alone writes. Lines of an earlier, interrupted run that are not in ``history`` are removed.

    Args:
        folder: the run's folder; None writes no file and starts no tracker.
        accelerator: the trackers become its.
        history: the lines so far; grows with :meth:`add`.
        options: of the training; ``track`` names the trackers.

    Raises:
        InputError: a tracker does not start.
    """

    def __init__(
        self, *, folder: Path | None, accelerator: Accelerator, history: list[dict], options: TrainingOptions
    ) -> None:
        self.history = history
        self._accelerator = accelerator
        self._path = None if folder is None or not accelerator.is_main_process else folder / "history.jsonl"
        if self._path is not None:
            start_trackers(accelerator, options, self._path.parent, resumed=bool(history))
            write_whole(self._path, "".join(json.dumps(record) + "\n" for record in history))

    def add(self, record: dict) -> None:
        """Write a line.

        Args:
            record: ``step``, ``epoch``, ``losses`` {task: training loss}, ``metrics`` {task: {METRIC: value}} on the
                validation split, ``seconds`` since the start, ``tokens_per_second``, ``lr``, and ``gradient_cosine``,
                the mean over pairs of tasks, where gradients were measured.
        """
        self.history.append(record)
        if self._path is not None:
            _append(self._path, record)
        scalars = {f"train/loss/{task}": loss for task, loss in record["losses"].items()}
        for task, values in record["metrics"].items():
            scalars |= {f"valid/{metric}/{task}": value for metric, value in values.items()}
        scalars |= {name: record[name] for name in ("lr", "tokens_per_second", "gradient_cosine") if name in record}
        self._accelerator.log(scalars, step=record["step"])

    def put(self, name: str, content: dict | None) -> None:
        """Write a JSON file beside it, in the place of the last one; None: there is nothing to write."""
        if self._path is not None and content is not None:
            write_whole(self._path.with_name(name), json.dumps(content) + "\n")

    def close(self) -> None:
        """End the trackers."""
        finish_trackers(self._accelerator)


class GraphLog:
    """``graph_history.jsonl``: the task graph's edges at each evaluation, a line each; none of them stay in memory.

    The first process alone writes, and only where there are edges.

    Args:
        folder: the run's folder; None writes no file.
        accelerator: says which process this is.
        epochs: how many are done; lines of an interrupted run that are of later ones are removed.
    """

    def __init__(self, *, folder: Path | None, accelerator: Accelerator, epochs: int) -> None:
        self._path = None if folder is None or not accelerator.is_main_process else folder / "graph_history.jsonl"
        if self._path is not None and self._path.is_file():
            path = self._path
            lines = enumerate(_lines(path), 1)
            # a line that was cut off is of an epoch that left no checkpoint
            done = takewhile(lambda each: each[1].endswith("\n") and _epoch(each[1], path, each[0]) <= epochs, lines)
            write_whole(path, "".join(line for _, line in done))

    def add(self, *, epoch: int, step: int, edges: Sequence[Edge]) -> None:
        """Write a line: ``epoch``, ``step``, and ``edges`` as in ``task_graph.json``."""
        if self._path is not None and edges:
            _append(self._path, {"epoch": epoch, "step": step, "edges": [asdict(edge) for edge in edges]})


def _lines(path: Path) -> list[str]:
    """With their ends.

    Raises:
        InputError: the file is no text.
    """
    try:
        return path.read_text(encoding="utf-8").splitlines(keepends=True)
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: byte {error.start + 1} is not UTF-8") from None


def _append(path: Path, record: Mapping) -> None:
    with writing(path), path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")


def _epoch(line: str, path: Path, number: int) -> int:
    record = parse_json(line, path, number)
    if not isinstance(record, dict) or not isinstance(record.get("epoch"), int):
        raise InputError(f"{path}, line {number}: no epoch in {shown(line)}")
    return record["epoch"]
