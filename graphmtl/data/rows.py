"""Files of rows as they are: read with everything that stands in them, and written again with more beside it."""

import csv
import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from graphmtl.data.column import Column, gathered
from graphmtl.data.delimited import Reading, read_delimited
from graphmtl.data.lines import check_encodable, each_line, read_bytes, read_lines
from graphmtl.data.readers import ending
from graphmtl.data.squad import is_squad, squad_rows
from graphmtl.data.table import Table
from graphmtl.errors import InputError, note, shown, unknown_name
from graphmtl.files import parse_json, written_whole

__all__ = ["OUTPUT_FORMATS", "ROW_FORMATS", "Rows", "open_rows", "read_rows"]

_ABSENT = object()  # the value of a key that a JSON object does not have


@dataclass(frozen=True, kw_only=True)
class Rows:
    """The rows of a file.

    Args:
        source: the file.
        names: the names of its columns.
        values: of every row the value of each column, as it stands in the file.
        lines: the line of each row, or its number, where the file has no lines.
        row: what such a line is called.
        blanks: white space around a text is no part of it.
        quotes_are_letters: the file is a tsv file in which quotes are letters like others.
        arrow: the same of a parquet file, with its types.
    """

    source: str
    names: tuple[str, ...]
    values: Sequence[list[Any]]
    lines: Sequence[int]
    row: str = "line"
    blanks: bool = False
    quotes_are_letters: bool = False
    arrow: pa.Table | None = None

    def __len__(self) -> int:
        return len(self.values)

    def table(self, wanted: Sequence[str], start: int = 0, stop: int | None = None) -> Table:
        """Some columns of some rows, as they are read for training; a key that a JSON object does not have is null."""
        places = {name: self.names.index(name) for name in wanted}
        rows = self.values if (start, stop) == (0, None) else self.values[start:stop]
        columns = gathered(([self._read(own[place]) for place in places.values()] for own in rows), len(places))
        lines = self.lines[start:stop]
        return Table(source=self.source, columns=dict(zip(places, columns, strict=True)), lines=lines, row=self.row)

    def _read(self, value: Any) -> Any:
        if self.blanks:
            return value.strip()
        return None if value is _ABSENT else value


class _Values(Sequence):
    """The values of rows, a list for each, made when they are asked for.

    Args:
        columns: what they are made of.
        made: from what stands in the columns of a row to its values.
    """

    def __init__(self, columns: Sequence[Sequence[Any]], made: Callable[[Sequence[Any]], list[Any]] = list):
        self._columns, self._made = columns, made

    def __len__(self) -> int:
        return len(self._columns[0])

    def __getitem__(self, place: Any) -> Any:
        if not isinstance(place, slice):
            return self._made([own[place] for own in self._columns])
        return [*map(self._made, zip(*(own[place] for own in self._columns), strict=True))]

    def __iter__(self) -> Iterator[list[Any]]:
        return map(self._made, zip(*self._columns, strict=True))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and [*self] == [*other]

    __hash__ = None  # type: ignore[assignment]


def read_rows(path: Path, kind: str | None = None, reading: Reading = Reading()) -> Rows:
    """Reads a file; its ending, of which ``.gz`` and ``.xz`` are no part, says what it is, or else ``kind``.

    Args:
        path: the file.
        kind: one of `ROW_FORMATS`.
        reading: its encoding, and what stands between its fields.

    Raises:
        InputError: it is of no format in `ROW_FORMATS`, or cannot be read.
    """
    kind = kind or ending(path).removeprefix(".")
    if kind not in ROW_FORMATS:
        raise InputError(f"{path}: {unknown_name('format of rows', kind, ROW_FORMATS)}")
    return ROW_FORMATS[kind](path, reading)


def _delimited(delimiter: str, path: Path, reading: Reading) -> Rows:
    header, found, quoted = read_delimited(path, reading, delimiter)
    lines, *columns = gathered(((number, *fields) for number, fields in found), 1 + len(header))
    return Rows(
        source=str(path),
        names=tuple(header),
        values=_Values(columns),
        lines=lines,
        blanks=True,
        quotes_are_letters=not quoted,
    )


def _jsonl(path: Path, reading: Reading) -> Rows:
    """The lines are kept as they are, and read again when their values are asked for: these may be of any form."""
    known: dict[str, None] = {}

    def checked() -> Iterator[tuple[int, str]]:
        for number, line in enumerate(each_line(path, reading.encoding), 1):
            if line.strip():
                known.update(dict.fromkeys(_checked_object(parse_json(line, path, number), f"{path}, line {number}")))
                yield number, line

    lines, texts = gathered(checked(), 2)
    names = tuple(known)
    return Rows(source=str(path), names=names, values=_Values([texts], partial(_values_of_line, names)), lines=lines)


def _values_of_line(names: Sequence[str], line: Sequence[str]) -> list[Any]:
    found = parse_json(line[0], "")
    return [found.get(name, _ABSENT) for name in names]


def _checked_object(found: Any, where: str) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise InputError(f"{where}: a JSON object expected, found {shown(found)}")
    check_encodable([*found, *found.values()], where)
    return found


def _json(path: Path, reading: Reading) -> Rows:
    """A list of objects, an object whose only list is such, an object of lists of the same length, or SQuAD's form.

    What else such an object holds belongs to no row.
    """
    content = parse_json("\n".join(read_lines(path, encoding=reading.encoding)), path)
    if is_squad(content):
        found = squad_rows(content, path)
        return _of_objects(path, found, [*range(1, len(found) + 1)], "question")
    if isinstance(content, dict):
        lists = {name: value for name, value in content.items() if isinstance(value, list)}
        if len(lists) == 1 and all(isinstance(each, dict) for each in next(iter(lists.values()))):
            (content,) = lists.values()
        elif len(set(map(len, lists.values()))) == 1:
            content = [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]
    if not isinstance(content, list):
        raise InputError(f"{path}: a list of objects expected, or an object of lists of the same length")
    return _of_objects(path, content, [*range(1, len(content) + 1)], "item")


def _of_objects(path: Path, found: Sequence[Any], lines: list[int], row: str) -> Rows:
    for number, each in zip(lines, found, strict=True):
        _checked_object(each, f"{path}, {row} {number}")
    names = tuple(dict.fromkeys(name for each in found for name in each))
    values = [[each.get(name, _ABSENT) for name in names] for each in found]
    return Rows(source=str(path), names=names, values=values, lines=lines, row=row)


def _parquet(path: Path, _: Reading) -> Rows:
    read_bytes(path, most=1)  # which says whether it is there
    try:
        found = pyarrow.parquet.read_table(path)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as parquet ({' '.join(str(error).split())[:300]})") from None
    values = _Values([Column(column) for column in found.columns])
    lines = range(1, len(found) + 1)
    return Rows(source=str(path), names=tuple(found.column_names), values=values, lines=lines, row="row", arrow=found)


ROW_FORMATS: dict[str, Callable[[Path, Reading], Rows]] = {
    "csv": partial(_delimited, ","),
    "tsv": partial(_delimited, "\t"),
    "jsonl": _jsonl,
    "ndjson": _jsonl,
    "json": _json,
    "parquet": _parquet,
}
"""What reads the rows of a file, by its ending."""

Write = Callable[[int, Sequence[Sequence[Any]], Sequence[Sequence[Any]]], None]
"""Writes rows: the place of the first among all, their own values, and what is added to each."""


@contextmanager
def open_rows(
    path: Path, names: Sequence[str], added: Mapping[str, pa.DataType | None], rows: Rows | None = None
) -> Iterator[Write]:
    """A file that rows are written to, with columns added; it is there once all is written, or not at all.

    Args:
        path: the file; its ending says which format it has.
        names: the names of the rows' own columns.
        added: the columns that are added, with their types in a parquet file.
        rows: the rows that are written, if they were read from a file of rows.

    Raises:
        InputError: a column that is added is there already, two columns have one name, which csv and tsv files alone
            can have, or the file cannot be written.
    """
    for name in added:
        if name in names:
            raise InputError(f"--output {path}: the input has a column {name!r} already")
    for name, count in Counter(names).items():
        if count > 1 and path.suffix.lower() not in (".csv", ".tsv"):
            raise InputError(f"--output {path}: column {name!r} stands {count} times in the input; give .csv or .tsv")
    try:
        with written_whole(path) as part, _WRITERS[path.suffix.lower()](part, names, added, rows) as write:
            yield write
    except (csv.Error, pa.ArrowException, UnicodeEncodeError) as error:
        raise InputError(f"{path}: a value does not fit into the file ({error})") from None


@contextmanager
def _json_lines(part: Path, names: Sequence[str], added: Mapping, rows: Rows | None) -> Iterator[Write]:
    lost: list[float] = []
    with part.open("w", encoding="utf-8", newline="\n") as file:

        def write(start: int, own: Sequence[Sequence[Any]], more: Sequence[Sequence[Any]]) -> None:
            for values, new in zip(own, more, strict=True):
                row = {k: v for k, v in zip((*names, *added), (*values, *new), strict=True) if v is not _ABSENT}
                file.write(_as_json(row, lost) + "\n")

        yield write
    _say_lost(lost)


def _as_json(value: Any, lost: list[float]) -> str:
    """JSON; of what it has no form for, such as a date, as text, and of numbers as null, which are put to the lost."""
    try:
        return json.dumps(value, ensure_ascii=False, default=str, allow_nan=False)
    except ValueError:  # NaN, or infinite
        return json.dumps(_finite(value, lost), ensure_ascii=False, default=str, allow_nan=False)


def _finite(value: Any, lost: list[float]) -> Any:
    if isinstance(value, dict):
        return {name: _finite(each, lost) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each, lost) for each in value]
    if not isinstance(value, float) or math.isfinite(value):
        return value
    lost.append(value)
    return None


def _say_lost(lost: Sequence[float]) -> None:
    if lost:
        note(f"--output: {len(lost):,} numbers that JSON has no form for (NaN, infinite) are written as null")


@contextmanager
def _csv_file(part: Path, names: Sequence[str], added: Mapping, rows: Rows | None) -> Iterator[Write]:
    with _fields(part, names, added, delimiter=",") as write:
        yield write


@contextmanager
def _tsv_file(part: Path, names: Sequence[str], added: Mapping, rows: Rows | None) -> Iterator[Write]:
    """Quotes are letters, or else all fields stand in quotes: then no reader takes the one for the other."""
    found = () if rows is None or rows.quotes_are_letters else chain.from_iterable(rows.values)
    plain = rows is not None and not any(map(_needs_quotes, found))
    quoting: dict[str, Any] = {"quoting": csv.QUOTE_NONE, "quotechar": None} if plain else {"quoting": csv.QUOTE_ALL}
    with _fields(part, names, added, delimiter="\t", **quoting) as write:
        yield write


def _needs_quotes(value: Any) -> bool:
    return isinstance(value, str) and any(sign in value for sign in '"\t\n\r')


@contextmanager
def _fields(part: Path, names: Sequence[str], added: Mapping, **form: Any) -> Iterator[Write]:
    lost: list[float] = []
    with part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n", **form)
        writer.writerow([*names, *added])

        def write(start: int, own: Sequence[Sequence[Any]], more: Sequence[Sequence[Any]]) -> None:
            for values, new in zip(own, more, strict=True):
                writer.writerow([_field(value, lost) for value in (*values, *new)])

        yield write
    _say_lost(lost)


def _field(value: Any, lost: list[float]) -> Any:
    """What stands in a field: nothing where there is nothing, JSON for lists and objects, ``true`` and ``false``."""
    if value is None or value is _ABSENT:
        return ""
    return _as_json(value, lost) if isinstance(value, list | dict | bool) else value


@contextmanager
def _parquet_file(
    part: Path, names: Sequence[str], added: Mapping[str, pa.DataType], rows: Rows | None
) -> Iterator[Write]:
    own = rows.arrow if rows is not None and rows.arrow is not None else _as_arrow(names, rows)
    schema = own.schema
    for name, kind in added.items():
        schema = schema.append(pa.field(name, kind))
    with pyarrow.parquet.ParquetWriter(part, schema) as writer:

        def write(start: int, values: Sequence[Sequence[Any]], more: Sequence[Sequence[Any]]) -> None:
            if rows is None:
                columns = [pa.array([row[i] for row in values], pa.string()) for i in range(len(names))]
            else:
                columns = own.slice(start, len(values)).columns
            columns = [*columns, *(pa.array([row[i] for row in more], kind) for i, kind in enumerate(added.values()))]
            writer.write_table(pa.table(columns, schema=schema))

        yield write


def _as_arrow(names: Sequence[str], rows: Rows | None) -> pa.Table:
    """The rows as Arrow has them; texts where there are none yet."""
    if rows is None:
        return pa.table({name: pa.array([], pa.string()) for name in names})
    columns = []
    for i, name in enumerate(names):
        try:
            columns.append(pa.array([None if row[i] is _ABSENT else row[i] for row in rows.values]))
        except (pa.ArrowException, OverflowError) as error:
            what = " ".join(str(error).split())[:100]
            raise InputError(f"{rows.source}: column {name!r} does not fit into a parquet file ({what})") from None
    return pa.Table.from_arrays(columns, [*names])


_WRITERS: dict[str, Callable] = {
    ".jsonl": _json_lines,
    ".csv": _csv_file,
    ".tsv": _tsv_file,
    ".parquet": _parquet_file,
}
OUTPUT_FORMATS = tuple(_WRITERS)  #: the endings of files that rows can be written to
