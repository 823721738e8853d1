"""Texts that are to be labelled, in every form in which they may be given, and those in the columns of a table."""

import io
from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from typing import Any

import numpy as np
from datasets import Dataset

from graphmtl.data.choices import Columns, are_of_choices, choices, contexts, every_column, filled
from graphmtl.data.column import EachValue
from graphmtl.data.memory import Data, column_names, is_data, plain, read_data
from graphmtl.data.table import Table
from graphmtl.data.task import Task
from graphmtl.data.values import listed
from graphmtl.errors import InputError, shown

__all__ = [
    "ACCEPTED",
    "Text",
    "as_read",
    "check_columns",
    "text_of_line",
    "text_of_row",
    "texts_by_task",
    "texts_of_split",
    "texts_of_table",
]

_END = ("')", '")', ",)")  # of a tuple of texts

Text = str | list[str] | tuple[str, str] | tuple[str, list[str]]
"""What can be read: a text, a list of tokens, a pair of texts, or a context and its choices."""

ACCEPTED = (
    "a text; a list or a column of texts, of lists of tokens, of tuples of two texts, or of tuples of a context and a "
    "list of its choices; or a DataFrame, Dataset, list of dicts or dict of lists with the columns that the task reads"
)


def as_read(text: Text) -> list[tuple]:
    """What is read of an example, each a text, a list of tokens in a tuple, or a pair: of choices several.

    >>> as_read("a"), as_read(("a", "b")), as_read(("a", ["b", "c"]))
    ([('a',)], [('a', 'b')], [('a', 'b'), ('a', 'c')])
    """
    if not isinstance(text, tuple):
        return [(text,)]
    first, *others = text
    several = len(others) == 1 and not isinstance(others[0], str)
    return [(first, other) for other in others[0]] if several else [text]


def text_of_row(row: Mapping[str, Any]) -> Text:
    """What is read of a row of a split."""
    if "tokens" in row:
        return row["tokens"]
    second = next((row[name] for name in ("text_pair", "choices") if name in row), None)
    return row["text"] if second is None else (row["text"], second)


def texts_of_split(rows: Dataset) -> list[Collection[Any]]:
    """All texts and lists of tokens of a split, column by column."""
    columns: list[Collection[Any]] = [
        EachValue(rows, c) for c in ("text", "text_pair", "tokens") if c in rows.column_names
    ]
    more = [[choice for own in EachValue(rows, "choices") for choice in own]] if "choices" in rows.column_names else []
    return [*columns, *more]


def text_of_line(line: str, task: Task, where: str) -> Text:
    """What a task reads of a line: of a pair both sides of the TAB, of choices what stands between TABs.

    Raises:
        InputError: there are too few or too many TABs, or a choice is empty and one behind it is not.
    """
    if not line.strip() or not (task.is_pair or task.choices):
        return line
    first, *others = line.split("\t")
    if task.is_pair and len(others) != 1:
        reads = "a pair of texts with a TAB between"
        raise InputError(f"{where}: task {task.name!r} reads {reads}, found {len(others) or 'no'} TABs")
    if task.is_pair:
        return first, others[0]
    given = filled(others, where)
    if len(given) < 2:
        reads = "a context and two or more choices with a TAB between"
        raise InputError(f"{where}: task {task.name!r} reads {reads}, found {len(given)} choices")
    return first, given


def texts_by_task(given: Any, tasks: Sequence[Task]) -> dict[str, list[Text]]:
    """What each task reads of the texts that were given; tasks that read the same have the very same list.

    Args:
        given: see `ACCEPTED`. Of what has columns each task reads its own, ``Task.reads``; others are left. A missing
            text is empty.
        tasks: the tasks.

    Raises:
        InputError: it is something else, lacks a column of a task, or a value there is no text.
    """
    if is_data(given):
        columns = {task.name: task.reads for task in tasks}
        check_columns(columns, column_names(given), "texts")
        wanted = [*dict.fromkeys(column for own in columns.values() for column in every_column(own))]
        tokens = [task.text[0] for task in tasks if task.tokens]
        return texts_of_table(read_data(Data(given, "texts"), wanted, least=0), columns, tokens) if wanted else {}
    return dict.fromkeys((task.name for task in tasks), _listed(given))


def _listed(given: Any) -> list[Any]:
    given = given.tolist() if isinstance(given, np.ndarray) else given
    if isinstance(given, str):
        return [given]
    if isinstance(given, Mapping | Set | bytes | bytearray | io.IOBase) or not isinstance(given, Iterable):
        found = shown(given) if isinstance(given, bytes | int | float | None) else f"a {type(given).__name__}"
        raise InputError(f"texts: found {found}, expected {ACCEPTED}")
    return [_one(each) for each in given]


def _one(value: Any) -> Any:
    """A text, list of tokens or pair without the types of numpy and pandas; one that is missing is an empty text."""
    value = value if isinstance(value, str | tuple) else plain(value)
    return "" if value is None else value


def check_columns(columns: Mapping[str, Columns], known: Sequence[str], source: str, hint: str = "") -> None:
    """Whether the columns that tasks read are there.

    Args:
        columns: those of each task.
        known: the columns that there are.
        source: what an error calls the place.
        hint: what can be done, for the error.

    Raises:
        InputError: one is not there, or more than once.
    """
    for name, own in columns.items():
        for column in every_column(own):
            if (count := list(known).count(column)) != 1:
                found = f"stands there {count} times" if count else "is not there"
                listed = ", ".join(known if len(known) <= 30 else [*known[:30], "..."])
                raise InputError(
                    f"{source}: task {name!r} reads column {column!r}, which {found} (columns: {listed}){hint}"
                )


def texts_of_table(table: Table, columns: Mapping[str, Columns], tokens: Iterable[str] = ()) -> dict[str, list[Text]]:
    """What each task reads of a table's columns; tasks that read the same have the very same list.

    Args:
        table: the rows.
        columns: the columns of each task.
        tokens: those that hold tokens; lists that are written there as text are read as in training, other texts stay.

    Raises:
        InputError: a value is neither a text nor a list of tokens, or of a pair no text; or whatever
            `graphmtl.data.choices.choices` raises.
    """
    table = listed(table, [column for column in tokens if any(map(_is_written_list, table[column]))])
    read = {own: _texts(table, own) for own in columns.values()}
    return {name: read[own] for name, own in columns.items()}


def _is_written_list(value: Any) -> bool:
    text = value.strip() if isinstance(value, str) else ""
    return (text.startswith(('["', "['")) and text.endswith("]")) or (
        text.startswith(("('", '("')) and text[-2:] in _END
    )


def _texts(table: Table, columns: Columns) -> list[Text]:
    if are_of_choices(columns):
        return _with_choices(table, columns)
    names = every_column(columns)
    values = [[_one(value) for value in table[column]] for column in names]
    for column, own in zip(names, values, strict=True):
        for i, value in enumerate(own):
            tokens = len(columns) == 1 and isinstance(value, list) and all(isinstance(each, str) for each in value)
            if not isinstance(value, str) and not tokens:
                accepted = "a text" if len(columns) == 2 else "a text or a list of tokens"
                raise InputError(
                    f"{table.where(i, column)}: column {column!r} holds {shown(value)}, expected {accepted}"
                )
    return values[0] if len(columns) == 1 else list(zip(*values, strict=True))


def _with_choices(table: Table, columns: Columns) -> list[Text]:
    """The context and the choices of each row; one without either is blank."""
    found = [*zip(contexts(table, columns), choices(table, columns, none=True), strict=True)]
    for i, (context, own) in enumerate(found):
        if context.strip() and not own:
            raise InputError(f"{table.where(i, every_column(columns)[-1])}: found no choices, expected 2 or more")
    return [*found]
