"""The different labels of a task: how they are sorted, and what looks odd about them."""

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping

__all__ = [
    "LOOKS_MISSING",
    "NO_NUMBER",
    "alike_labels",
    "are_numbers",
    "no_labels",
    "odd_labels",
    "sort_labels",
    "whole_numbers",
    "without_zeros",
]

_WHOLE = re.compile(r"([+-]?\d+)\.0+")
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")
_MANY = 50  # examples from which on nearly as many labels are odd
NO_NUMBER = ("nan", "<na>")  # as pandas writes what is missing among numbers
LOOKS_MISSING = ("nan", "none", "null", "n/a", "na", "?", "-", "<na>")


def without_zeros(value: str) -> str:
    """A whole number without the zeros that a column of floats gives it, as -1 for -1.0; all else as it is."""
    match = _WHOLE.fullmatch(value)
    return value if match is None else match[1]


def whole_numbers(found: Iterable[str]) -> Callable[[str], str]:
    """What makes ``1`` of ``1.0``, where all the different labels of a task are whole numbers; else all stay.

    >>> [*map(whole_numbers(["0", "1.0"]), ["0", "1.0"])], [*map(whole_numbers(["1.0", "1.5"]), ["1.0"])]
    (['0', '1'], ['1.0'])
    """
    found = set(found)
    if all(_WHOLE.fullmatch(each) or re.fullmatch(r"[+-]?\d+", each) for each in found):
        return lambda label: _WHOLE.sub(r"\1", label)
    return str


def odd_labels(counts: Mapping[str, int]) -> str | None:
    """What looks wrong with the labels of a task, given how often each occurs; None where nothing does.

    Labels that are written nearly alike are odd, and nearly as many labels as examples.
    """
    if (alike := alike_labels(counts)) is not None:
        return alike
    total = sum(counts.values())
    if total >= _MANY and len(counts) > total / 2:
        return (
            f"{len(counts)} different labels of {total} examples; is it the right column, or a task of kind regression?"
        )
    return None


def alike_labels(found: Iterable[str]) -> str | None:
    """Which labels differ in case alone, or in what is not seen: white space, how a character or number is written.

    >>> alike_labels(["No", "no", "yes"])
    "the labels 'No' and 'no' differ in case alone and are different classes"
    >>> alike_labels(["1", "01", "2"])
    "the labels '01' and '1' differ only in how the same is written and are different classes"
    """
    found = sorted(found)
    for key, how in ((str.casefold, "in case alone"), (_seen, "only in how the same is written")):
        alike: dict[str, list[str]] = {}
        for label in found:
            alike.setdefault(key(label), []).append(label)
        same = next((own for own in alike.values() if len(own) > 1), None)
        if same is not None:
            return f"the labels {' and '.join(map(ascii, same))} differ {how} and are different classes"
    return None


def _seen(label: str) -> str:
    """What is seen of a label: compatible characters are one, those without width none, a number is its value."""
    text = "".join(c for c in unicodedata.normalize("NFKC", label) if unicodedata.category(c) != "Cf")
    text = " ".join(text.casefold().split())
    return str(float(text)) if _NUMBER.fullmatch(text) else text


def no_labels(counts: Mapping[str, int]) -> tuple[set[str], set[str]]:
    """Labels that are none, as all the others tell; and those that look like it, which only the user can tell.

    ``-`` beside words is what SNLI has where its annotators disagree, ``nan`` beside numbers what pandas writes.

    >>> no_labels({"yes": 5, "no": 4, "-": 1}), no_labels({"+": 5, "-": 4}), no_labels({"0": 1, "1": 1, "nan": 1})
    (({'-'}, set()), (set(), set()), ({'nan'}, set()))
    """
    suspects = {label for label in counts if label.lower() in LOOKS_MISSING}
    others = [label for label in counts if label not in suspects]
    if len(others) < 2:
        return set(), suspects - {"-"} if others == ["+"] else suspects
    numbers = all(_NUMBER.fullmatch(label) for label in others)
    words = all(any(c.isalpha() for c in label) for label in others)
    sure = {label for label in suspects if (label == "-" and words) or (label.lower() in NO_NUMBER and numbers)}
    return sure, suspects - sure


def are_numbers(labels: Iterable[str]) -> bool:
    """Whether all labels are numbers, which have an order of their own."""
    return all(_NUMBER.fullmatch(label) for label in labels)


def sort_labels(found: Iterable[str]) -> list[str]:
    """By the alphabet; numbers by their size.

    >>> sort_labels(["10", "9"]), sort_labels(["10", "9", "x"])
    (['9', '10'], ['10', '9', 'x'])
    """
    found = list(found)
    if are_numbers(found):
        return sorted(found, key=lambda label: (float(label), label))
    return sorted(found)
