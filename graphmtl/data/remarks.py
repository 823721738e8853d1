"""What looks wrong with the texts of a file of examples."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from graphmtl.data.overlap import digest, normalise
from graphmtl.data.table import Table
from graphmtl.data.values import listed

__all__ = ["about_texts"]

_LONG = 1000  # words of a text


def about_texts(table: Table, held_out: Mapping[str, Table], keys: Mapping[str, Any]) -> list[str]:
    """What looks wrong with the texts; a text of another split that stands in training is one of these things."""
    read = {split: [*map(digest, _texts(each, keys))] for split, each in {"train": table, **held_out}.items()}
    train = read["train"]
    repeated = len(train) - len({*train})
    empty = sum(not text for text in train)
    long = [count for text in _texts(table, keys) if (count := len(text.split())) > _LONG]
    known = {*train} - {b""}
    seen = {split: sum(text in known for text in own) for split, own in read.items() if split != "train"}
    twice = _other_answers(train, table[keys["label"]])
    return [
        *([f"{repeated:,} rows repeat the text of another"] if repeated else []),
        *([f"{twice:,} texts stand there with different labels"] if twice else []),
        *([f"{empty:,} rows have no text"] if empty else []),
        *([f"{len(long):,} texts have more than {_LONG:,} words, the longest {max(long):,}"] if long else []),
        *(f"{count:,} texts of {split} stand in train too" for split, count in seen.items() if count),
    ]


def _texts(table: Table, keys: Mapping[str, Any]) -> Iterator[str]:
    """The normalised text of each row."""
    if "tokens" in keys:
        column = listed(table, [keys["tokens"]])[keys["tokens"]]
        return (normalise(" ".join(map(str, own or ()))) for own in column)
    columns = (map(_as_text, table[name]) for name in keys["text"])
    return (normalise(*row) for row in zip(*columns, strict=True))


def _as_text(value: Any) -> str:
    return "" if value is None or value != value else str(value)


def _other_answers(texts: Sequence[bytes], answers: Sequence[Any]) -> int:
    """How many texts have more than one answer."""
    found: dict[bytes, set[str]] = {}
    for text, answer in zip(texts, answers, strict=True):
        if text and answer not in (None, ""):
            found.setdefault(text, set()).add(str(answer))
    return sum(len(own) > 1 for own in found.values())
