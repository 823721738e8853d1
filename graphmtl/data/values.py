"""From the values of a table to what a task reads: texts, tokens, labels, tags and scores."""

import ast
import io
import json
import math
import re
import tokenize
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain, pairwise
from typing import Any

import numpy as np

from graphmtl.data.column import Column
from graphmtl.data.label_set import LOOKS_MISSING, NO_NUMBER, without_zeros
from graphmtl.data.lines import check_encodable
from graphmtl.data.table import Table
from graphmtl.data.tags import MISSING
from graphmtl.errors import InputError, note, shown

__all__ = [
    "LARGEST",
    "label_sets",
    "labelled",
    "labels",
    "listed",
    "scores",
    "tags",
    "texts",
    "tokens",
    "unused",
    "written_list",
]

LARGEST = float(np.finfo(np.float32).max)  #: scores are learned as float32
_NOTHING = ("", "nan", "none", "null", "<na>")  # is always none, or as good as that
_SOME = 10  # rows from which on it is odd that each has one token
_LIST = re.compile(
    r"""\[\s*["'].*\] | \[[-\d,.\s]*\] | \[\s*(?:null|None|nan|NaN)\s*(?:,.*)?\]  # as JSON or Python writes it
    | \(["']\S.*,.*\) | \(None,.*\)                                              # a tuple
    | \[[^\s,]+(?:,\s*[^\s,]+)+\]                                                # texts without quotes
    """,
    re.DOTALL | re.VERBOSE,
)


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def texts(table: Table, column: str) -> Sequence[str]:
    """The texts of a column; a missing one is empty.

    Raises:
        InputError: there is no such column, or a value is no text.
    """
    values = table[column]
    if isinstance(values, Column) and values.is_text:
        return values.filled("")
    found = ["" if _is_missing(value) else value for value in values]
    for i, value in enumerate(found):
        if not isinstance(value, str):
            raise InputError(f"{table.where(i, column)}: column {column!r} holds {shown(value)}, expected a text")
    return found


def tokens(table: Table, column: str) -> Sequence[list[str]]:
    """The tokens of each row.

    Raises:
        InputError: there is no such column, or a value is no list of tokens.
    """
    found = table[column]
    for i, value in enumerate(found):
        if not isinstance(value, list | tuple):
            raise InputError(
                f"{table.where(i, column)}: column {column!r} holds {shown(value)}, expected a list of tokens"
            )
        for j, token in enumerate(value):
            if not isinstance(token, str) or not token.strip():
                raise InputError(f"{table.where(i, column, j)}: token {j + 1} is {shown(token)}, expected a text")
    return found


def listed(table: Table, columns: Iterable[str]) -> Table:
    """The table with lists in some columns, where these hold text: a list as JSON or Python writes it, or entries
    between spaces.

    Raises:
        InputError: there is no such column, or a text looks like a list and cannot be read.
    """
    changed = {}
    for column in columns:
        values = table[column]
        if any(isinstance(value, str) for value in values):
            changed[column] = [_entries(table, column, i, value) for i, value in enumerate(values)]
            if len(values) >= _SOME and all(len(own) < 2 for own in changed[column] if isinstance(own, list)):
                found = f"no row has more than one entry in column {column!r}, such as {shown(values[0])}"
                note(f"{table.source}: {found}; a list as JSON has it is expected, or entries with spaces between")
    return replace(table, columns={**table.columns, **changed}) if changed else table


def _entries(table: Table, column: str, i: int, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    entries = written_list(table, column, i, value)
    return value.split() if entries is None else entries


def written_list(table: Table, column: str, i: int, value: str) -> list | None:
    """The list that a text of row ``i`` is as JSON or Python writes it; None where it does not look like one.

    Raises:
        InputError: it looks like a list and cannot be read.
    """
    text = value.strip()
    if not _LIST.fullmatch(text):
        return None
    entries = _of_json(text) or _of_python(text)
    if entries is None:
        raise InputError(
            f"{table.where(i, column)}: column {column!r} holds {shown(value)}, expected a list as JSON has it"
        )
    check_encodable(entries, table.where(i, column))
    return entries


def _of_json(text: str) -> list | None:
    """The list that a text is in JSON, whose escapes are not those of Python: a character may be two of them."""
    try:
        entries = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return entries if isinstance(entries, list) else None


def _of_python(text: str) -> list | None:
    try:
        entries = ast.literal_eval(text)
        kinds = [token.type for token in tokenize.generate_tokens(io.StringIO(text).readline)]
    except (ValueError, SyntaxError, RecursionError, MemoryError, tokenize.TokenError):
        return None
    # texts side by side, as numpy writes them, are one text to Python
    one = not isinstance(entries, list | tuple) or (tokenize.STRING, tokenize.STRING) in pairwise(kinds)
    return None if one else [*entries]


def labels(table: Table, column: str, *, missing: Iterable[str] = ()) -> list[str | None]:
    """The label of each row as it is written, without white space around it; None where there is none.

    No label are: nothing (an empty text, null, nan), -1 in a column whose classes have names, ``_`` in a comment, and
    what ``missing`` lists.

    Raises:
        InputError: there is no such column, or a value is neither a text, a whole number nor a truth value.
    """
    names, none = table.names.get(column), _none(*missing, *(MISSING if column.startswith("# ") else ""))
    found = (_label(table, column, names, none, i, 0, value) for i, value in enumerate(table[column]))
    known: dict[str | None, str | None] = {}  # so that equal labels are one object
    return [known.setdefault(label, label) for label in found]


def label_sets(
    table: Table, column: str, *, separator: str | None, missing: Iterable[str] = ()
) -> list[list[str] | None]:
    """The labels of each row as they are written, any number of them; None where nothing is known.

    A row has a list, which may be written as JSON or Python writes it, or a text with ``separator`` between labels; an
    empty list says that no label applies. Nothing is known where there is nothing (an empty text, null, nan), or what
    `labels` takes for none or ``_`` stands there alone.

    Raises:
        InputError: there is no such column, a row has neither, or its list has an entry that is no label.
    """
    names, none = table.names.get(column), _none(*missing, MISSING)
    found = []
    for i, value in enumerate(table[column]):
        nothing = isinstance(value, str) and without_zeros(value.strip()) in none
        entries = None if nothing else _several(table, column, i, value, separator)
        own = [_label(table, column, names, none, i, 0, each) for each in entries or ()]
        if None in own and any(own):
            raise InputError(f"{table.where(i, column)}: no label stands between others in {shown(value)}")
        known = entries is not None and None not in own
        found.append([label for label in own if label is not None] if known else None)
    return found


def _several(table: Table, column: str, i: int, value: Any, separator: str | None) -> list | None:
    """What stands in the list of row i, or between its separators; None where nothing does."""
    if _is_missing(value):
        return None
    if isinstance(value, list | tuple):
        return [*value]
    text = value.strip() if isinstance(value, str) else None
    if text is None or (separator is None and text and not _LIST.fullmatch(text)):
        hint = "" if separator else "; the key `separator` says what stands between labels that are a text"
        raise InputError(f"{table.where(i, column)}: labels {shown(value)}, expected a list of labels{hint}")
    if _LIST.fullmatch(text):
        return _entries(table, column, i, text)
    return [part for each in text.split(separator) if (part := each.strip())] or None


def labelled(table: Table, column: str, *, missing: Iterable[str] = ()) -> list[bool]:
    """Whether each row has a label, a score, or a tag for one of its tokens.

    Raises:
        InputError: there is no such column.
    """
    none = _none_by_number("", *missing)
    return [
        any(
            not _is_missing(each) and str(each).strip() not in none and _number(each) not in none
            for each in (value if isinstance(value, list) else [value])
        )
        and not (column in table.names and value == -1)
        for value in table[column]
    ]


def unused(tables: Iterable[Table], column: str, missing: Iterable[str]) -> list[str]:
    """Those of ``missing`` that stand in no row of a column, alone or in a list.

    Raises:
        InputError: there is no such column.
    """
    missing = [value for value in missing if value.lower() not in _NOTHING]
    values = chain.from_iterable(table[column] for table in tables) if missing else ()
    found = _none_by_number(*(str(each).strip() for value in values for each in _each(value)))
    return [value for value in missing if value not in found and _number(value) not in found]


def _each(value: Any) -> list:
    """What stands in a list, which may be written as a text, or the value itself."""
    if isinstance(value, str) and _LIST.fullmatch(value.strip()):
        return _of_json(value.strip()) or _of_python(value.strip()) or [value]
    return value if isinstance(value, list) else [value]


def tags(table: Table, column: str, *, of: Sequence[Sequence[str]], missing: Iterable[str] = ()) -> list[list[str]]:
    """The tags of each row's tokens, `MISSING` where there is none.

    Args:
        table: the rows.
        column: where the tags stand.
        of: the tokens of each row.
        missing: what stands in the place of a tag that is not there, beside ``_``, null and -100.

    Raises:
        InputError: there is no such column, a value is no list of tags, or has more or fewer than tokens.
    """
    names, none = table.names.get(column), _none(*missing, MISSING, "-100")
    found = []
    for i, (value, words) in enumerate(zip(table[column], of, strict=True)):
        if _is_missing(value):
            value = [None] * len(words)
        if not isinstance(value, list | tuple):
            raise InputError(
                f"{table.where(i, column)}: column {column!r} holds {shown(value)}, expected a list of tags"
            )
        if len(value) != len(words):
            raise InputError(
                f"{table.where(i, column)}: {len(value)} tags in column {column!r}, but {len(words)} tokens"
            )
        own = [_label(table, column, names, none, i, j, tag) for j, tag in enumerate(value)]
        found.append([MISSING if tag is None else tag for tag in own])
    return found


def _label(
    table: Table, column: str, names: Sequence[str] | None, none: set[str], i: int, j: int, value: Any
) -> str | None:
    """One label of row i, of tags that of token j."""
    if isinstance(value, str):
        value = value.strip()
        return value if value and without_zeros(value) not in none else None
    if _is_missing(value):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int):
        hint = "; scores are for tasks of kind regression" if isinstance(value, float) else ""
        raise InputError(f"{table.where(i, column, j)}: label {shown(value)}, expected a text or a whole number{hint}")
    if str(value) in none or (names is not None and value in (-1, -100)):
        return None
    if names is None or isinstance(value, bool):
        return str(value)
    if not 0 <= value < len(names):
        raise InputError(
            f"{table.where(i, column, j)}: class {value}, expected one of the {len(names)} that are declared"
        )
    return names[value]


def scores(table: Table, column: str, *, missing: Iterable[str], accepted: str, low: float, high: float) -> list[float]:
    """The score of each row, nan where there is none.

    Args:
        table: the rows.
        column: where the scores stand.
        missing: what stands in the place of a score that is not there, beside nothing.
        accepted: which scores an error says are accepted.
        low: the lowest one.
        high: the highest one.

    Raises:
        InputError: there is no such column, or a score is no number, too low or too high.
    """
    none = _none_by_number("", *NO_NUMBER, *missing)
    return [_score(table, column, none, accepted, low, high, i, value) for i, value in enumerate(table[column])]


def _score(table, column: str, none: set, accepted: str, low: float, high: float, i: int, value: Any) -> float:
    value = value.strip() if isinstance(value, str) else value
    score = _number(value)
    if _is_missing(value) or score in none or str(value) in none or str(value).lower() in NO_NUMBER:
        return math.nan
    if not (math.isfinite(score) and low <= score <= high):
        hint = "; the key `missing` lists what stands where there is none"
        hint = hint if str(value).lower() in LOOKS_MISSING else ""
        raise InputError(f"{table.where(i, column)}: score {shown(value)}, expected {accepted}{hint}")
    if abs(score) > LARGEST:
        held = f"{accepted} that single precision holds, up to {LARGEST:.3g}"
        raise InputError(f"{table.where(i, column)}: score {shown(value)}, expected {held}")
    return score


def _number(value: Any) -> float:
    """A number, however it is written; nan for all else, such as a truth value."""
    try:
        return math.nan if isinstance(value, bool) or "_" in str(value) else float(value)  # to Python 1_000 is one
    except (TypeError, ValueError, OverflowError):
        return math.nan


def _none(*missing: str) -> set[str]:
    """What stands in the place of a label that is not there, as `without_zeros` writes it."""
    return {without_zeros(value) for value in missing}


def _none_by_number(*missing: str) -> set:
    """What stands in the place of a score that is not there, as texts and as numbers."""
    return {*missing, *(number for value in missing if math.isfinite(number := _number(value)))}
