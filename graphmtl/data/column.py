"""Columns of values that Arrow has, those of a large one in a file mapped into memory, and few as Python objects."""

import mmap
import tempfile
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from graphmtl.files import writing

__all__ = ["AT_ONCE", "Column", "ColumnWriter", "EachValue", "as_column", "chained", "gathered", "mapped", "numbered"]

AT_ONCE = 1024  #: values that are made Python objects at once
_BLANK, _NONE = -1, -2
_SMALL = 1 << 22  # bytes that need no file
_TYPES: dict[type, pa.DataType] = {str: pa.string(), bool: pa.bool_(), int: pa.int64(), float: pa.float64()}
_LISTS: dict[frozenset[type], pa.DataType] = {frozenset([kind]): pa.list_(_TYPES[kind]) for kind in (str, int)}


class Column(Sequence):
    """Values of one type, or None, and maybe of some rows only: a list of them, for whoever reads it.

    Args:
        arrow: the values.
        rows: which of them, in which order; None: all.

    >>> column = Column(pa.chunked_array([["a", None], ["b"]]))
    >>> list(column), column[2], column.take(np.array([2, 0])) == ["b", "a"]
    (['a', None, 'b'], 'b', True)
    """

    def __init__(self, arrow: pa.ChunkedArray, rows: np.ndarray | None = None):
        self._arrow, self._rows = arrow, rows

    def __len__(self) -> int:
        return len(self._arrow) if self._rows is None else len(self._rows)

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return [*self.take(np.arange(*place.indices(len(self))))]
        return self._arrow[range(len(self))[place] if self._rows is None else int(self._rows[place])].as_py()

    def __iter__(self) -> Iterator[Any]:
        return chain.from_iterable(array.to_pylist() for array in self.arrays())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and len(self) == len(other) and all(map(_same, self, other))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Column({len(self)} values, {self._arrow.type})"

    @property
    def kind(self) -> pa.DataType:
        """The type of the values."""
        return self._arrow.type

    @property
    def is_text(self) -> bool:
        """Whether all values are texts or None."""
        return pa.types.is_string(self._arrow.type)

    def take(self, rows: np.ndarray) -> "Column":
        """The values of some rows, of which there is no copy."""
        return Column(self._arrow, rows if self._rows is None else self._rows[rows])

    def arrays(self) -> Iterator[pa.Array]:
        """The values, some at once."""
        for start in range(0, len(self), AT_ONCE):
            if self._rows is None:
                found = self._arrow.slice(start, AT_ONCE)
            else:
                found = self._some(self._rows[start : start + AT_ONCE])
            yield from found.chunks

    def _some(self, rows: np.ndarray) -> pa.ChunkedArray:
        """Some rows, looked for between the first and the last of them."""
        first = int(rows.min())
        near = self._arrow.slice(first, int(rows.max()) + 1 - first).combine_chunks()
        return pa.chunked_array([near.take(pa.array(rows - first))])

    def filled(self, value: Any) -> "Column":
        """The same with a value for None."""
        if not self._arrow.null_count:
            return self
        kind = self._arrow.type
        return Column(mapped((pa.compute.fill_null(own, value) for own in self._arrow.chunks), kind), self._rows)

    def in_order(self) -> pa.ChunkedArray:
        """The values as Arrow has them, in a file of their own where they are not all."""
        return self._arrow if self._rows is None else mapped(self.arrays(), self._arrow.type)


def _same(a: Any, b: Any) -> bool:
    return a is b or a == b


def as_column(arrow: pa.ChunkedArray) -> Sequence[Any]:
    """Values that Arrow has; as Python objects where they are of another type than those that are read from text."""
    return Column(arrow) if arrow.type in _TYPES.values() else arrow.to_pylist()


def mapped(arrays: Iterable[pa.Array], kind: pa.DataType) -> pa.ChunkedArray:
    """Arrays one after the other in a file that is mapped into memory, unless they are small.

    Raises:
        InputError: the folder of temporary files has no room for them.
    """
    with ColumnWriter() as writer:
        for array in arrays:
            writer.write(array, kind)
        return writer.written(kind)


class ColumnWriter:
    """Takes the values of a column, some at once; as long as they are of one type, Arrow keeps them, else a list.

    >>> with ColumnWriter() as writer:
    ...     writer.extend(["a", None])
    ...     writer.extend(["b"])
    ...     writer.column()
    Column(3 values, string)
    """

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._missing = 0  # before the first value that is there
        self._values: list[Any] | None = None
        self._kind: pa.DataType | None = None
        self._file: Any = None
        self._stream: Any = None

    def __enter__(self) -> "ColumnWriter":
        return self

    def __exit__(self, *_error: Any) -> None:
        self._stack.close()

    def extend(self, values: list[Any]) -> None:
        """Adds values at the end."""
        if self._values is not None:
            self._values += values
            return
        kinds = _kinds(values)
        if not kinds and self._kind is None:
            self._missing += len(values)
            return
        kind = next(iter(kinds)) if self._kind is None else self._kind
        try:
            array = pa.array(values, kind) if kind is not None and kinds <= {kind} else None
        except (pa.ArrowException, OverflowError, UnicodeEncodeError):  # more than 64 bits, or half of a character
            array = None
        if array is None:
            self._values = [*self._so_far(), *values]
            return
        if self._missing:
            missing, self._missing = self._missing, 0
            self.write(pa.nulls(missing, kind), kind)
        self.write(array, kind)

    def write(self, array: pa.Array, kind: pa.DataType) -> None:
        """Adds values that Arrow has, all of the type ``kind``."""
        with writing(Path(tempfile.gettempdir())):
            if self._stream is None:
                self._kind = kind
                self._file = self._stack.enter_context(tempfile.SpooledTemporaryFile(_SMALL))  # noqa: SIM115
                self._stream = pa.ipc.new_stream(self._file, pa.schema([("", kind)]))
            self._stream.write_batch(pa.record_batch([array], names=[""]))

    def written(self, kind: pa.DataType) -> pa.ChunkedArray:
        """What :meth:`write` was given; nothing can be added after it."""
        if self._stream is None:
            return pa.chunked_array([], kind)
        with writing(Path(tempfile.gettempdir())):
            self._stream.close()
            if (size := self._file.tell()) > _SMALL:
                self._file.flush()
                buffer = pa.py_buffer(mmap.mmap(self._file.fileno(), size, access=mmap.ACCESS_READ))
            else:
                self._file.seek(0)
                buffer = pa.py_buffer(self._file.read())
        return pa.ipc.open_stream(buffer).read_all().column(0)

    def column(self) -> Sequence[Any]:
        """All values; nothing can be added after it."""
        return self._so_far() if self._values is None else self._values

    def _so_far(self) -> Sequence[Any]:
        if self._kind is None:
            return [None] * self._missing
        return Column(self.written(self._kind))


def _kinds(values: Iterable[Any]) -> set[pa.DataType | None]:
    """The types of the values that are there; None for what Arrow would not give back as it is."""
    types = {*map(type, values)}
    kinds = {_TYPES.get(kind) for kind in types - {type(None), list}}
    if list in types:
        entries = {*map(type, chain.from_iterable(value for value in values if type(value) is list))}
        kinds.add(_LISTS.get(frozenset(entries)))
    return kinds


def gathered(rows: Iterable[Sequence[Any]], count: int) -> list[Sequence[Any]]:
    """The columns of some rows, each of ``count`` values.

    >>> gathered([(1, "a"), (2, None)], 2) == [[1, 2], ["a", None]]
    True
    """
    remaining = iter(rows)
    with ExitStack() as stack:
        writers = [stack.enter_context(ColumnWriter()) for _ in range(count)]
        while some := [*islice(remaining, AT_ONCE)]:
            for writer, own in zip(writers, zip(*some, strict=True), strict=True):
                writer.extend([*own])
        return [writer.column() for writer in writers]


def chained(columns: Sequence[Sequence[Any]]) -> Sequence[Any]:
    """The values of several columns one after the other."""
    found = [own for own in columns if isinstance(own, Column)]
    if len(found) < len(columns) or len({own.kind for own in found}) != 1:
        return [*chain.from_iterable(columns)]
    return Column(pa.chunked_array([chunk for own in found for chunk in own.in_order().chunks], found[0].kind))


def numbered(keys: Sequence[str | bytes | None]) -> np.ndarray:
    """(n,) int64: equal keys have the same number, counted on in the order of the first ones; -1 is a blank, -2 None.

    >>> numbered(["b", "a", "", None, "b"]).tolist()
    [0, 1, -1, -2, 0]
    """
    arrow = keys.in_order() if isinstance(keys, Column) else pa.chunked_array([pa.array(keys)])
    if pa.types.is_null(arrow.type):
        return np.full(len(keys), _NONE)
    blank = pa.compute.equal(pa.compute.binary_length(arrow), 0)
    array = pa.compute.if_else(blank, pa.scalar(None, arrow.type), arrow).combine_chunks()
    numbers = array.dictionary_encode().indices.to_numpy(zero_copy_only=False)  # (n,), nan for null
    known = ~np.isnan(numbers)
    found = np.where(pa.compute.fill_null(blank, False).to_numpy(), _BLANK, _NONE)
    found[known] = numbers[known]
    return found


class EachValue(Collection):
    """The values of a column of a ``datasets.Dataset`` one after the other, of which few are Python objects at once.

    Args:
        rows: the data set.
        name: the column.
    """

    def __init__(self, rows: Any, name: str):
        self._rows, self._name = rows.with_format("arrow", columns=[name]), name

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, value: object) -> bool:
        return any(value == own for own in self)

    def __iter__(self) -> Iterator[Any]:
        return chain.from_iterable(part.to_pylist() for part in self._parts())

    def serialized(self) -> Iterator[pa.Buffer]:
        """The values as Arrow writes them, some at once."""
        return (pa.record_batch([part.combine_chunks()], names=[""]).serialize() for part in self._parts())

    def _parts(self) -> Iterator[pa.ChunkedArray]:
        return (self._rows[i : i + AT_ONCE][self._name] for i in range(0, len(self), AT_ONCE))
