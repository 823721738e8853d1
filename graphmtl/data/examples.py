"""Examples as they were read, and the columns they are read from."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graphmtl.errors import InputError, shown, unknown_name

__all__ = ["Columns", "Examples", "check_columns", "plain_row"]


@dataclass(frozen=True, kw_only=True)
class Examples:
    """Examples as they were read.

    Args:
        source: the file (or Hub data set) they come from.
        text: the texts.
        label: the labels as written there.
        text_pair: the second texts, of pairs only.
        lines: the line of each example, counted from 1; None where the source has no lines.
        row: what such a line is called.
        labels: the names of all classes in their order, where the source itself declares them.
    """

    source: str
    text: list[str]
    label: list[str]
    text_pair: list[str] | None = None
    lines: list[int] | None = None
    row: str = "line"
    labels: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.text)

    def where(self, i: int) -> str:
        """The place of example ``i``, for an error message."""
        return f"{self.source}, {self.row} {i + 1 if self.lines is None else self.lines[i]}"

    def take(self, rows: Iterable[int]) -> "Examples":
        """Some of the examples."""
        lines = range(1, len(self) + 1) if self.lines is None else self.lines
        rows = list(rows)
        return Examples(
            source=self.source,
            text=[self.text[i] for i in rows],
            label=[self.label[i] for i in rows],
            text_pair=None if self.text_pair is None else [self.text_pair[i] for i in rows],
            lines=[lines[i] for i in rows],
            row=self.row,
            labels=self.labels,
        )

    def empty(self) -> int:
        """How many examples have an empty text (of a pair: either)."""
        pairs = self.text if self.text_pair is None else self.text_pair
        return sum(not (a.strip() and b.strip()) for a, b in zip(self.text, pairs, strict=True))


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Which columns to read, and how a file of lines is read.

    Args:
        text: the column of the text, or the two columns of a pair.
        label: the column of the label; empty for examples without labels.
        header: the names of all columns of a csv or tsv file that has no line of names.
        encoding: the encoding of a csv, tsv or jsonl file.
        scores: the labels are numbers of any kind.
    """

    text: tuple[str, ...] = ("text",)
    label: str = "label"
    header: tuple[str, ...] = ()
    encoding: str = "utf-8"
    scores: bool = False

    @property
    def wanted(self) -> tuple[str, ...]:
        return (*self.text, self.label) if self.label else self.text

    def examples(self, rows: Iterable[Sequence[str]], *, source: str, **fields) -> "Examples":
        """The examples of rows of the wanted columns; those without labels have the label ""."""
        columns = [list(column) for column in zip(*rows, strict=True)]
        texts = columns[: len(self.text)]
        return Examples(
            source=source,
            text=texts[0],
            text_pair=texts[1] if len(texts) == 2 else None,
            label=[label.strip() for label in columns[-1]] if self.label else [""] * len(texts[0]),
            **fields,
        )


def check_columns(source: Path | str, found: Sequence[str], columns: Columns) -> None:
    """Whether all wanted columns are among those that were found.

    Raises:
        InputError: one is not; the nearest is named.
    """
    for column in columns.wanted:
        if column not in found:
            undivided = len(found) == 1 and ";" in found[0]
            hint = "; a csv file has commas between its columns, a tsv file TABs, not semicolons" if undivided else ""
            raise InputError(f"{source}: {unknown_name('column', column, found)}{hint}")


def plain_row(row: Mapping[str, Any], columns: Columns, where: str) -> list[str]:
    """The wanted values of a row whose values have types: texts, and a label of text, number or truth value.

    Raises:
        InputError: a value of another type, or no label; ``where`` goes before it.
    """
    for column in columns.text:
        if not isinstance(row[column], str):
            raise InputError(f"{where}: column {column!r} holds {shown(row[column])}, expected a text")
    texts = [row[column] for column in columns.text]
    if not columns.label:
        return texts
    label = row[columns.label]
    if label is None:
        raise InputError(f"{where}: no label in column {columns.label!r}")
    if not isinstance(label, str | int | float if columns.scores else str | int):
        raise InputError(
            f"{where}: label {shown(label)}, expected a {'number' if columns.scores else 'text or a whole number'}"
        )
    return [*texts, str(label)]
