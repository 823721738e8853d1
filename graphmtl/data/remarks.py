"""What looks wrong in a file of examples: in its labels, and in its texts."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from graphmtl.data.label_set import alike_labels, no_labels, odd_labels, sort_labels, whole_numbers
from graphmtl.data.overlap import normalise
from graphmtl.data.roles import NUMBER, flat, non_missing, numbers
from graphmtl.data.table import Table
from graphmtl.data.tags import MISSING
from graphmtl.data.values import labels, listed
from graphmtl.errors import shown

__all__ = ["about_texts", "answers", "unseen_labels"]

_NEARLY_ALL = 0.9  # of the rows with one label
_LONG = 1000  # words of a text
_KINDS = {str: "text", int: "a number", float: "a number", type(None): ""}


def answers(
    table: Table, held_out: Mapping[str, Table], keys: Mapping[str, Any]
) -> tuple[dict[str, int], str, list[str], list[str]]:
    """How often each label occurs, or which scores there are; what looks wrong with them; what stands for none."""
    column = keys["label"]
    if keys.get("kind") == "regression":
        scores = numbers(non_missing(table[column]))
        every = [value for each in (table, *held_out.values()) for value in non_missing(each[column])]
        marks = sorted({str(value) for value in every if not NUMBER.fullmatch(str(value))})
        none = len(table) - len(scores)
        remarks = [f"{none:,} rows have no score"] if none else []
        about = f"from {min(scores):g} to {max(scores):g}, mean {sum(scores) / len(scores):.3g}"
        return {}, about, remarks, [mark for mark in marks if mark.lower() not in ("nan", "<na>")]
    if keys.get("kind") == "token-classification":
        tags = Counter(map(str, flat(listed(table, [column])[column], but=None)))
        tags.pop(MISSING, None)
        return _ordered(tags), "", [odd for odd in [alike_labels(tags)] if odd], []
    found = [label for label in labels(table, column) if label is not None]
    named = whole_numbers([*found, *(label for each in held_out.values() for label in labels(each, column) if label)])
    counts = Counter(map(named, found))
    sure, suspects = no_labels(counts)
    for label in sure:
        del counts[label]
    return _ordered(counts), "", _about_labels(table, column, counts, sorted(suspects)), sorted(sure)


def _ordered(counts: Mapping[str, int]) -> dict[str, int]:
    return {label: counts[label] for label in sort_labels(counts)}


def _about_labels(table: Table, column: str, counts: Counter[str], suspects: Sequence[str]) -> list[str]:
    total = sum(counts.values())
    (label, most), *_ = counts.most_common(1)
    once = sorted(label for label, count in counts.items() if count == 1)
    kinds = sorted({"a truth value" if isinstance(v, bool) else _KINDS.get(type(v), "?") for v in table[column]} - {""})
    shape = [bool(NUMBER.fullmatch(each)) for each in counts]
    return [
        *([f"{len(table) - total:,} rows have no label"] if total < len(table) else []),
        *(f"the label {each!r} may mean that there is none: then `missing: [{each!r}]`" for each in suspects),
        *(odd for odd in [odd_labels(counts)] if odd),
        *([f"{most:,} of {total:,} rows have the label {label!r}"] if most > _NEARLY_ALL * total else []),
        *([f"labels that stand there once: {', '.join(map(shown, once[:10]))}"] if once else []),
        *([f"labels of several types: {', '.join(kinds)}"] if len(kinds) > 1 else []),
        *(["some labels are numbers, others are not"] if any(shape) and not all(shape) else []),
    ]


def unseen_labels(
    held_out: Mapping[str, Table], keys: Mapping[str, Any], counts: Mapping[str, int], missing: Sequence[str]
) -> set[str]:
    """Labels of other splits that the training rows have not; those of tags are known from all splits."""
    if keys.get("kind") == "token-classification" or "tokens" in keys:
        return set()
    every = (label for table in held_out.values() for label in labels(table, keys["label"], missing=missing))
    found = {label for label in every if label is not None}
    return {*map(whole_numbers([*found, *counts]), found)} - {*counts}


def about_texts(table: Table, held_out: Mapping[str, Table], keys: Mapping[str, Any]) -> list[str]:
    """What looks wrong with the texts; a text of another split that stands in training is one of these things."""
    read = {split: _texts(each, keys) for split, each in {"train": table, **held_out}.items()}
    train = read["train"]
    repeated = len(train) - len({*train})
    empty = sum(not text.strip() for text in train)
    long = [count for text in train if (count := len(text.split())) > _LONG]
    known = {*train} - {""}
    seen = {split: sum(text in known for text in own) for split, own in read.items() if split != "train"}
    twice = _other_answers(train, table[keys["label"]])
    return [
        *([f"{repeated:,} rows repeat the text of another"] if repeated else []),
        *([f"{twice:,} texts stand there with different labels"] if twice else []),
        *([f"{empty:,} rows have no text"] if empty else []),
        *([f"{len(long):,} texts have more than {_LONG:,} words, the longest {max(long):,}"] if long else []),
        *(f"{count:,} texts of {split} stand in train too" for split, count in seen.items() if count),
    ]


def _texts(table: Table, keys: Mapping[str, Any]) -> list[str]:
    """The normalised text of each row."""
    if "tokens" in keys:
        column = listed(table, [keys["tokens"]])[keys["tokens"]]
        return [normalise(" ".join(map(str, own or ()))) for own in column]
    columns = [["" if each is None or each != each else str(each) for each in table[name]] for name in keys["text"]]
    return [normalise(*row) for row in zip(*columns, strict=True)]


def _other_answers(texts: Sequence[str], answers: Sequence[Any]) -> int:
    """How many texts have more than one answer."""
    found: dict[str, set[str]] = {}
    for text, answer in zip(texts, answers, strict=True):
        if text and answer not in (None, ""):
            found.setdefault(text, set()).add(str(answer))
    return sum(len(own) > 1 for own in found.values())
