"""The files of predictions that a leaderboard takes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from graphmtl.data.table import Table

__all__ = ["SubmissionFile"]


@dataclass(frozen=True, kw_only=True)
class SubmissionFile:
    """A file of predictions that a leaderboard takes.

    Args:
        name: what the file is called there.
        read: reads the unlabelled texts that the predictions are for, in the task's columns.
        codes: what the leaderboard calls each label; empty for scores.
    """

    name: str
    read: Callable[[], Table]
    codes: Mapping[str, str]
