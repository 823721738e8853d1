"""Runs of a grid in this process: those of tests/comparison/test_grid.py have one each, which takes seconds to load."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from graphmtl import run
from graphmtl.comparison.grid import Cell


@contextmanager
def in_this_process() -> Iterator[None]:
    """While it lasts, benchmarks.grid.train does what it does here."""

    def train(cells: Sequence[Cell]) -> list[Cell]:
        for cell in cells:
            if not cell.is_finished:
                run.main([*cell.flags, "--output", str(cell.folder), "--resume", "--no-progress"])
        return []

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("benchmarks.grid.train_cells", train)
        yield
