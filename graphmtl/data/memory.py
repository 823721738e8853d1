"""Data that are at hand in Python: pandas DataFrames, data sets of the datasets library, and lists."""

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import datasets
import numpy as np
import pandas as pd

from graphmtl.data.arrow import read_dataset
from graphmtl.data.lines import check_encodable
from graphmtl.data.readers import check_column
from graphmtl.data.table import Table
from graphmtl.errors import InputError, note, shown

__all__ = ["ACCEPTED", "Data", "column_names", "is_data", "plain", "read_data", "splits_of"]

ACCEPTED = "a pandas DataFrame, a datasets.Dataset or DatasetDict, a list of dicts, or a dict of lists"
_SPLITS = {"train": ("train",), "valid": ("validation", "valid", "dev", "val", "eval"), "test": ("test",)}


class Data:
    """An object that holds rows; it equals itself alone.

    Args:
        rows: the object.
        source: what an error calls it.
    """

    def __init__(self, rows: Any, source: str):
        self.rows, self.source = rows, source

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Data) and self.rows is other.rows

    def __hash__(self) -> int:
        return id(self.rows)


def is_data(value: object) -> bool:
    """Whether a value holds rows in one of the accepted forms."""
    if isinstance(value, pd.DataFrame | datasets.Dataset):
        return True
    if isinstance(value, Mapping):
        return len(value) > 0 and all(map(_is_column, value.values()))
    return isinstance(value, list | tuple) and len(value) > 0 and all(isinstance(row, Mapping) for row in value)


def _is_column(value: object) -> bool:
    return isinstance(value, Sequence | np.ndarray | pd.Series) and not isinstance(value, str | bytes)


def column_names(rows: Any) -> list[str]:
    """The columns of an object for which `is_data` is true."""
    if isinstance(rows, datasets.Dataset):
        return rows.column_names
    if isinstance(rows, pd.DataFrame):
        return [*map(str, rows.columns)]
    return [*dict.fromkeys(str(name) for row in ([rows] if isinstance(rows, Mapping) else rows) for name in row)]


def splits_of(data: Mapping[str, Any], what: str, named: Mapping[str, str] = MappingProxyType({})) -> dict[str, Any]:
    """The splits of a DatasetDict by the names that a task file has for them, as far as they are there.

    Args:
        data: the splits.
        what: what a note about those that are not read calls the place.
        named: what some are called otherwise, {split: name}.
    """
    usual = {split: next((name for name in names if name in data), None) for split, names in _SPLITS.items()}
    found = {**usual, **named}
    others = [name for name in data if name not in found.values()]
    if others:
        known = ", ".join(name for names in _SPLITS.values() for name in names)
        note(f"{what}: not read: {', '.join(map(repr, others))}; the splits are called {known}, the first of a kind")
    return {split: data[name] for split, name in found.items() if name is not None}


def read_data(data: Data, wanted: Sequence[str], *, least: int = 1) -> Table:
    """The wanted columns of an object that holds rows.

    Args:
        data: the object.
        wanted: the columns.
        least: how many rows there must be.

    Raises:
        InputError: it is none, there are too few rows, or a column does not exist or stands there twice.
    """
    rows, source = data.rows, data.source
    if isinstance(rows, datasets.Dataset) and len(rows):
        return read_dataset(rows, wanted, source=source)
    if not is_data(rows):
        raise InputError(f"{source}: found {shown(rows)}, expected {ACCEPTED}")
    if isinstance(rows, pd.DataFrame):
        found = [(name, rows.iloc[:, place]) for place, name in enumerate(rows.columns)]
    elif isinstance(rows, datasets.Dataset):  # one without rows
        found = [(name, []) for name in rows.column_names]
    elif isinstance(rows, Mapping):
        found = [*rows.items()]
    else:
        names = dict.fromkeys(name for row in rows for name in row)
        found = [(name, [row.get(name) for row in rows]) for name in names]
    for column in wanted:
        check_column(source, column, [str(name) for name, _ in found])
    columns: dict[str, Any] = {str(name): values for name, values in found}
    lengths = {name: len(columns[name]) for name in wanted}
    if len(set(lengths.values())) > 1:
        raise InputError(
            f"{source}: the columns have unlike lengths ({', '.join(f'{k}: {n}' for k, n in lengths.items())})"
        )
    if len(columns[wanted[0]]) < least:
        raise InputError(f"{source}: no examples in it")
    read = {name: [plain(each) for each in columns[name]] for name in wanted}
    for values in read.values():
        for i, value in enumerate(values, 1):
            check_encodable([value], f"{source}, row {i}")
    return Table(source=source, columns=read, row="row")


def plain(value: Any) -> Any:
    """A value without the types of numpy and pandas."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, np.ndarray):
        return [plain(each) for each in value.tolist()]
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    if value is pd.NA or value is pd.NaT or (isinstance(value, float) and math.isnan(value)):
        return None
    return value
