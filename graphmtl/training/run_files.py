"""The files of a run that are checked when they are read: scores, remarks on the data, answers to unlabelled texts."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from graphmtl.errors import InputError, shown
from graphmtl.files import read_json

__all__ = ["ANSWERS", "REMARKS", "VALIDATION", "read_answers", "read_remarks", "read_scores"]

ANSWERS = "self_training.json"  # to unlabelled texts, which the run has learned
REMARKS = "remarks.json"  # what a reader of the scores should know of the data
VALIDATION = "validation.json"  # of a run that was trained and not tested, in place of metrics.json

_SCORES: dict[str, Any] = {"arch": str, "tasks": dict, "mean": dict, "seed": int, "parameters": int, "cut_short": list}
_SCORES |= {"train_seconds": int | float, "best_epoch": int | dict, "versions": dict, "budget": dict}
_BUDGET = {"batch_size", "batches", "epochs"}
_MOST_ANSWERS = 1 << 30  # bytes


def read_scores(path: Path, splits: Sequence[str]) -> dict[str, Any]:
    """A file of scores, each part of its kind; one that only later versions write may be missing.

    Args:
        path: the file.
        splits: those that each task has scores of.

    Raises:
        InputError: it holds something else; what is looked for later and not there is named too.
    """
    found = _Scores(read_json(path), path)
    for key, kind in _SCORES.items():
        if key in found and not isinstance(found[key], kind):
            raise _not_ours(path, key, found[key])
    best, parts = found.get("best_epoch", 0), found.get("budget", {})
    if not _are(int, best if isinstance(best, dict) else {"": best}):
        raise _not_ours(path, "best_epoch", best)
    for group, own in parts.items():
        if not _are(int, own) or {*own} != _BUDGET:
            raise _not_ours(path, f"budget of {group}", own)
    scores = {"mean": found["mean"]}
    for name, own in found["tasks"].items():
        if not isinstance(own, dict) or not isinstance(own.get("metric"), str):
            raise _not_ours(path, f"task {shown(name)}", own)
        _check_sizes_and_classes(path, name, own)
        scores |= {f"{split} of task {name}": own.get(split) for split in splits}
    for where, own in scores.items():
        if not _are(float, own):
            raise _not_ours(path, where, own)
    found["mean"] = _Scores(found["mean"], path)
    for name, own in found["tasks"].items():
        scores = {split: _Scores(own[split], path) for split in splits}
        found["tasks"][name] = _Scores({**own, **scores}, path)
    return found


def read_remarks(path: Path) -> dict[str, Any]:
    """Remarks on the data, see :func:`~graphmtl.training.run_data.remarks`.

    Raises:
        InputError: the file holds something else.
    """
    found = read_json(path)
    overlap, lines = found.get("overlap"), found.get("lines")
    counts = [*overlap.values()] if isinstance(overlap, dict) else [None]
    if not all(_are(int, own) for own in counts):
        raise _not_ours(path, "overlap", overlap)
    if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
        raise _not_ours(path, "lines", lines)
    return found


def read_answers(path: Path) -> dict[str, dict[str, list[str]]]:
    """Unlabelled texts and their labels, by task.

    Raises:
        InputError: the file holds something else.
    """
    found = read_json(path, most=_MOST_ANSWERS)
    if not all(map(_are_answers, found.values())):
        raise InputError(f"{path}: expected of each task texts and as many labels")
    return found


class _Scores(dict):
    """A part of a file of scores; what is looked for and not there is named.

    Args:
        found: the part.
        path: the file.
    """

    def __init__(self, found: Mapping[str, Any], path: Path) -> None:
        super().__init__(found)
        self._path = path

    def __missing__(self, key: str) -> Any:
        raise InputError(f"{self._path}: not what graphmtl writes there (no {key})")


def _check_sizes_and_classes(path: Path, name: str, own: Mapping[str, Any]) -> None:
    sizes = {key: value for key, value in own.items() if key.startswith("n_")}
    if not _are(int, sizes):
        raise _not_ours(path, f"task {shown(name)}", sizes)
    for key in ("classes", "types"):
        found = own.get(key) or {}
        if not isinstance(found, dict) or not all(_are(float, each) for each in found.values()):
            raise _not_ours(path, f"{key} of task {name}", found)


def _are(kind: type, found: object) -> bool:
    """Whether this is an object of whole numbers, or of numbers that may be null."""
    if not isinstance(found, dict):
        return False
    values = [each for each in found.values() if kind is int or each is not None]
    return all(isinstance(each, int | kind) and not isinstance(each, bool) for each in values)


def _not_ours(path: Path, where: str, found: object) -> InputError:
    return InputError(f"{path}: not what graphmtl writes there ({where}: found {shown(found)})")


def _are_answers(found: Any) -> bool:
    """Texts, and as many labels."""
    columns: list[Any] = [found.get("text"), found.get("label")] if isinstance(found, dict) else [None]
    if not all(isinstance(own, list) and all(isinstance(value, str) for value in own) for own in columns):
        return False
    return len(columns[0]) == len(columns[-1])
