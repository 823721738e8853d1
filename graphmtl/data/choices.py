"""Examples that hold several texts: a context, and choices of which one is right.

Choices stand in one column that holds lists, as JSON or Python writes them where it is text, or objects with the lists
``text`` and ``label`` (the key of each choice, such as A, B, C); or in a column of its own each, of which the last ones
may be empty.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

from graphmtl.data.memory import plain
from graphmtl.data.table import Table
from graphmtl.data.values import texts, written_list
from graphmtl.errors import InputError, shown

__all__ = ["Columns", "are_of_choices", "choice_keys", "choices", "contexts", "every_column", "filled"]

Columns = tuple[str | tuple[str, ...], ...]
"""What a task reads: the column of the text or of the tokens, or the two of a pair. Of choices the one or two of the
context, and behind them a tuple: the column of the lists, or those of each choice."""


def are_of_choices(columns: Columns) -> bool:
    """Whether an example has choices."""
    return isinstance(columns[-1], tuple)


def every_column(columns: Columns) -> tuple[str, ...]:
    """The names of the columns one after the other.

    >>> every_column(("context", ("ending0", "ending1")))
    ('context', 'ending0', 'ending1')
    """
    return tuple(name for own in columns for name in ((own,) if isinstance(own, str) else own))


def contexts(table: Table, columns: Columns) -> Sequence[str]:
    """The context of each row: the text of its column, or those of two with a space between.

    Raises:
        InputError: there is no such column, or a value is no text.
    """
    read = [texts(table, column) for column in columns if isinstance(column, str)]
    return read[0] if len(read) == 1 else [" ".join(filter(str.strip, parts)) for parts in zip(*read, strict=True)]


def choices(table: Table, columns: Columns, *, none: bool = False) -> list[list[str]]:
    """The choices of each row; empty ones at its end are none.

    Args:
        table: the rows.
        columns: what the task reads.
        none: a row may have no choice at all.

    Raises:
        InputError: there is no such column; a value is no list of texts, or no text; a choice is empty and one behind
            it is not; or a row has one choice, or none.
    """
    own = every_column(columns[-1:])
    read = zip(*(texts(table, name) for name in own), strict=True) if len(own) > 1 else _lists(table, own[0])
    found = []
    for i, row in enumerate(read):
        given = filled(row, table.where(i, own[0]))
        if len(given) < (0 if none and not given else 2):
            raise InputError(f"{table.where(i, own[0])}: found {len(given)} choices, expected 2 or more")
        found.append(given)
    return found


def filled(row: Sequence[str], where: str) -> list[str]:
    """The choices of an example; empty ones at its end are none.

    Raises:
        InputError: a choice is empty and one behind it is not.
    """
    size = max((j for j, choice in enumerate(row, 1) if choice.strip()), default=0)
    for j, choice in enumerate(row[:size], 1):
        if not choice.strip():
            raise InputError(f"{where}: choice {j} of {size} is empty, expected a text")
    return [*row[:size]]


def choice_keys(table: Table, columns: Columns) -> list[list[str] | None]:
    """The keys of each row's choices, such as A, B, C; None where they have none.

    Raises:
        InputError: a row has not as many keys as choices.
    """
    own = every_column(columns[-1:])
    if len(own) > 1:
        return [None] * len(table)
    found: list[list[str] | None] = []
    for i, value in enumerate(table[own[0]]):
        keys = plain(value["label"]) if _has_lists(value) and "label" in value else None
        if keys is not None and (not isinstance(keys, list) or len(keys) != len(plain(value["text"]))):
            raise InputError(f"{table.where(i, own[0])}: the keys are {shown(keys)}, expected one for each choice")
        found.append(None if keys is None else [str(key).strip() for key in keys])
    return found


def _has_lists(value: Any) -> TypeGuard[Mapping[str, Any]]:
    return isinstance(value, Mapping) and "text" in value


def _lists(table: Table, column: str) -> Sequence[Sequence[str]]:
    found = []
    for i, value in enumerate(table[column]):
        own = plain(value["text"]) if _has_lists(value) else value
        own = (written_list(table, column, i, own) if own.strip() else []) if isinstance(own, str) else plain(own)
        own = [] if value is None else own
        row = ["" if choice is None else choice for choice in own] if isinstance(own, list) else None
        if row is None or not all(isinstance(choice, str) for choice in row):
            raise InputError(
                f"{table.where(i, column)}: column {column!r} holds {shown(value)}, expected a list of texts, the "
                "choices (a column for each is given as a list of their names)"
            )
        found.append(row)
    return found
