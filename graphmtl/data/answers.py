"""Answers that are spans of a text, as they are written in data: what each says, and where it begins.

A place is a number of characters (code points) from the beginning of the text. An answer that does not stand where it
is said to, or of which no place is said, is taken where it does stand, if that is one place of the text; else it is an
error.
"""

import json
import math
from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

from graphmtl.data.table import Table
from graphmtl.errors import InputError, note, shown

__all__ = ["Answer", "answers"]

Answer = dict[str, Any]
"""``{"text", "answer_start"}``: what it says, and its first character in the context."""

_EXPECTED = (
    'answers as {"text": [...], "answer_start": [...]}, a list of {"text", "answer_start"}, or a text that stands once '
    "in the context; an empty list where the right answer is none"
)
_ABOUT = {
    "moved": "answers do not stand where their answer_start says, but once elsewhere in their context, where they are "
    "taken",
    "found": "answers without an answer_start stand once in their context, where they are taken",
}


def answers(
    table: Table, column: str, contexts: Sequence[str], *, missing: Collection[str] = ()
) -> list[list[Answer] | None]:
    """All right answers of each row, an empty list where the right answer is none; None where there is no label.

    Args:
        table: the rows.
        column: where the answers stand; text may be JSON.
        contexts: the text of each row in which they stand.
        missing: what stands in the place of answers that are not there, beside nothing.

    Raises:
        InputError: there is no such column, a value holds no answers, or one does not stand in its context.
    """
    counts = Counter[str]()
    found: list[list[Answer] | None] = []
    for i, (value, context) in enumerate(zip(table[column], contexts, strict=True)):
        where = table.where(i, column)
        given = _given(value, where, missing)
        found.append(None if given is None else [_placed(*each, context, where, counts) for each in given])
    for what, about in _ABOUT.items():
        if counts[what]:
            note(f"{table.source}: {counts[what]} {about}")
    return found


def _given(value: Any, where: str, missing: Collection[str]) -> list[tuple[Any, Any]] | None:
    """The text and the start of each answer, None where that is not said; None where there is no label."""
    if isinstance(value, str):
        if not value.strip() or value.strip() in missing:
            return None
        value = _of_json(value)
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, str):
        return [(value, None)]
    if isinstance(value, dict):
        return _of_lists(value, where)
    if isinstance(value, list) and all(isinstance(each, dict) for each in value):
        return [pair for each in value for pair in _of_lists(each, where)]
    raise InputError(f"{where}: found {shown(value)}, expected {_EXPECTED}")


def _of_json(text: str) -> Any:
    """The list or object that a text is in JSON; a text that is neither stays."""
    try:
        value = json.loads(text) if text.lstrip()[0] in "[{" else text
    except (ValueError, RecursionError):
        return text
    return value


def _of_lists(value: dict, where: str) -> list[tuple[Any, Any]]:
    texts, starts = value.get("text", value), value.get("answer_start")
    texts = texts if isinstance(texts, list) else [texts]
    starts = [None] * len(texts) if starts is None else starts if isinstance(starts, list) else [starts]
    if not all(isinstance(text, str) for text in texts):
        raise InputError(f"{where}: found {shown(value)}, expected {_EXPECTED}")
    if len(texts) != len(starts):
        raise InputError(f"{where}: {len(texts)} answers, but {len(starts)} in answer_start: {shown(value)}")
    return [*zip(texts, starts, strict=True)]


def _placed(text: str, start: Any, context: str, where: str, counts: Counter[str]) -> Answer:
    """The answer where it stands; ``counts`` those that are not where they are said to be."""
    if not text.strip():
        raise InputError(
            f"{where}: answer {text!r} has no characters; an empty list says that the right answer is none"
        )
    if start is not None:
        start = _whole(start, where)
        if start >= 0 and context.startswith(text, start):
            return {"text": text, "answer_start": start}
    place = context.find(text)
    if place < 0 or context.find(text, place + 1) >= 0:
        said = "" if start is None else f" at character {start}"
        elsewhere = "nor elsewhere" if place < 0 else "but at several places"
        elsewhere = elsewhere if start is not None else "in its context" if place < 0 else "at one place alone"
        raise InputError(f"{where}: answer {shown(text)} does not stand{said} {elsewhere}; expected where it begins")
    counts["found" if start is None else "moved"] += 1
    return {"text": text, "answer_start": place}


def _whole(start: Any, where: str) -> int:
    if isinstance(start, str) and start.strip().lstrip("-").isdecimal():
        return int(start)
    if isinstance(start, bool) or not isinstance(start, int | float) or start % 1:
        raise InputError(f"{where}: answer_start {shown(start)}, expected a whole number of characters")
    return int(start)
