"""Rows as they were read: what every reader gives, whatever the format. Errors name the file and the line."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from graphmtl.data.column import Column, chained
from graphmtl.errors import InputError, unknown_name

__all__ = ["Table", "joined"]


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows with named columns; those that annotate one text are the layers of a corpus.

    Args:
        source: the file (or Hub data set) they come from.
        columns: the values of each column by its name, all of the same length. A value is what the source holds: a text
            in files of lines; None, a number, a truth value or a list where values have types; of a column file a list
            with an entry for each token. ``# key`` is the column of a comment before a sentence, None where there is
            none. Of a large file they are a :class:`~graphmtl.data.column.Column`.
        lines: the line of each row, counted from 1, or of each of its tokens; None where the source has no lines.
        row: what such a line is called.
        names: the names of a column's classes in their order, where the source declares them; its values are indices.
        files: the file of a column that stands in one of its own.
        sources: the file of each row, where they come from several.
        keys: what is known of the texts of some columns: the key of each row by which equal texts are found.
    """

    source: str
    columns: Mapping[str, Sequence[Any]]
    lines: Sequence[int] | Sequence[list[int]] | None = None
    row: str = "line"
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    sources: list[str] | None = None
    keys: Mapping[Any, Sequence[bytes]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def __getitem__(self, column: str) -> Sequence[Any]:
        """The values of a column.

        Raises:
            InputError: there is no such column; the nearest is named.
        """
        if column in self.columns:
            return self.columns[column]
        if column.startswith("# "):
            keys = sorted(name.removeprefix("# ") for name in self.columns if name.startswith("# "))
            raise InputError(f"{self.source}: {unknown_name('key of a comment', column.removeprefix('# '), keys)}")
        raise InputError(f"{self.source}: {unknown_name('column', column, self.columns)}")

    def number(self, i: int) -> int:
        """The line of row ``i``, its first one; or its number, where the source has no lines."""
        line = i + 1 if self.lines is None else self.lines[i]
        return line[0] if isinstance(line, list) else line

    def numbers(self) -> list[int]:
        """That of every row."""
        lines: Sequence[Any] = range(1, len(self) + 1) if self.lines is None else self.lines
        return [line[0] if isinstance(line, list) else line for line in lines]

    def where(self, i: int, column: str = "", j: int = 0) -> str:
        """The place of row ``i``, or of its token ``j`` (a text may have more labels), for an error about a column."""
        line = i + 1 if self.lines is None else self.lines[i]
        line = line[min(j, len(line) - 1)] if isinstance(line, list) else line
        source = self.source if self.sources is None else self.sources[i]
        return f"{self.files.get(column, source)}, {self.row} {line}"

    def take(self, rows: Iterable[int]) -> "Table":
        """Some of the rows."""
        rows = np.fromiter(rows, dtype=np.int64)
        lines: Sequence[Any] = range(1, len(self) + 1) if self.lines is None else self.lines
        return replace(
            self,
            columns={name: _taken(values, rows) for name, values in self.columns.items()},
            lines=_taken(lines, rows),
            sources=None if self.sources is None else [self.sources[i] for i in rows.tolist()],
            keys={columns: _taken(own, rows) for columns, own in self.keys.items()},
        )


def _taken(values: Sequence[Any], rows: np.ndarray) -> Sequence[Any]:
    return values.take(rows) if isinstance(values, Column) else [values[i] for i in rows.tolist()]


def joined(tables: Sequence[Table]) -> Table:
    """The rows of several tables one after the other; the columns are those that all have.

    Raises:
        InputError: a column's classes have other names in one of them.
    """
    first, *others = tables
    if not others:
        return first
    columns = [name for name in first.columns if all(name in other.columns for other in others)]
    for table in others:
        for name in columns:
            if table.names.get(name) != first.names.get(name):
                raise InputError(f"{table.source}: the classes of column {name!r} are not those of {first.source}")
    lines = chained([range(1, len(table) + 1) if table.lines is None else table.lines for table in tables])
    return replace(
        first,
        source=", ".join(table.source for table in tables),
        columns={name: chained([table.columns[name] for table in tables]) for name in columns},
        lines=lines,
        sources=[table.source for table in tables for _ in range(len(table))],
        keys={},
    )
