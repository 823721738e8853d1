"""The keys of a task, from a YAML file whose lines are known or from Python; an error names the place of a key."""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeGuard

import yaml

from graphmtl.data.yaml_lines import plain_value, yaml_keys
from graphmtl.errors import InputError, shown, unknown_name

__all__ = ["Given", "Section", "YamlSection", "is_number"]

_QUOTES = "(in quotes where YAML takes it for something else)"


class Section:
    """A mapping of keys to values.

    Attributes:
        keys: the keys.
    """

    keys: Mapping[str, Any]

    def __contains__(self, key: str) -> bool:
        return key in self.keys

    def where(self, key: str) -> str:
        """The place of a key."""
        raise NotImplementedError

    def value(self, key: str) -> Any:
        """The plain value of a key."""
        raise NotImplementedError

    def wrong(self, key: str, expected: str) -> InputError:
        """The error for a value that is none that a key has."""
        found = self.value(key)
        found = "holds several values" if isinstance(found, list | tuple | Mapping) else f"is {shown(found)}"
        return InputError(f"{self.where(key)}: `{key}` {found}, expected {expected}")

    def check_keys(self, known: Iterable[str]) -> None:
        """Whether all keys are known.

        Raises:
            InputError: one is not; the nearest is named.
        """
        for key in self.keys:
            if key not in known:
                raise InputError(f"{self.where(key)}: {unknown_name('key', str(key), known)}")

    def text(self, key: str) -> str:
        """A text."""
        value = self.value(key)
        if not isinstance(value, str) or not value.strip():
            raise self.wrong(key, f"a text {_QUOTES}")
        return value

    def choice(self, key: str, known: Iterable[str]) -> str:
        """One of some texts."""
        value, known = self.text(key), [*known]
        if value not in known:
            raise InputError(f"{self.where(key)}: {unknown_name(key, value, known)}")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """A text or a list of texts."""
        value = self.value(key)
        values = [*value] if isinstance(value, list | tuple) else [value]
        if not values or not all(isinstance(each, str) and each for each in values):
            raise self.wrong(key, f"a text {_QUOTES} or a list of texts")
        return tuple(values)

    def plain(self, key: str) -> tuple[str, ...]:
        """A text or a number, or a list of such, as texts; a text may be empty."""
        value = self.value(key)
        values = [*value] if isinstance(value, list | tuple) else [value]
        if not all(isinstance(each, str) or (is_number(each) and math.isfinite(each)) for each in values):
            raise self.wrong(key, f"a text {_QUOTES}, a number, or a list of these")
        return tuple(map(_written, values))

    def delimiter(self, key: str) -> str:
        """A single character, or TAB."""
        value = self.value(key)
        value = "\t" if value in ("TAB", "tab", "\\t") else value
        if not isinstance(value, str) or len(value) != 1 or value in '"\r\n':
            raise self.wrong(key, "a single character, or TAB")
        return value

    def separator(self, key: str) -> str:
        """What stands between the labels of a text: one character or more, or TAB."""
        value = self.value(key)
        if not isinstance(value, str) or not value:
            raise self.wrong(key, f"what stands between labels, a text {_QUOTES}, or TAB")
        return "\t" if value in ("TAB", "tab", "\\t") else value

    def labels(self, key: str) -> dict[str, str]:
        """A list of labels, or {label: name}."""
        value = self.value(key)
        value = [*value] if isinstance(value, tuple) else value
        names = dict(zip(value, value, strict=True)) if isinstance(value, list) and _plain(value) else value
        if not isinstance(names, Mapping) or not _plain([*names, *names.values()]):
            words = "yes, no, on, off, true and false in quotes"
            raise self.wrong(key, f"a list of labels, or `label: name` lines, with {words}")
        found = {_written(label): _written(name) for label, name in names.items()}
        if len(set(found.values())) < max(len(value), 2):
            raise self.wrong(key, "two or more different labels")
        return found

    def number(self, key: str) -> float:
        """A number above 0."""
        value = self.value(key)
        if not is_number(value) or not 0 < value < math.inf:
            raise self.wrong(key, "a number above 0")
        return float(value)

    def count(self, key: str) -> int:
        """A whole number from 1 on."""
        value = self.value(key)
        if not is_number(value) or value < 1 or value % 1:
            raise self.wrong(key, "a whole number from 1 on")
        return int(value)

    def class_weights(self, key: str) -> dict[str, float] | str:
        """``balanced``, or {label: weight}."""
        value = self.value(key)
        if value == "balanced":
            return value
        if (
            not isinstance(value, Mapping)
            or not value
            or not _plain([*value])
            or not all(is_number(weight) and 0 <= weight < math.inf for weight in value.values())
        ):
            raise self.wrong(key, "balanced, or `label: weight` lines with weights from 0 on")
        return {_written(label): float(weight) for label, weight in value.items()}

    def scale(self, key: str) -> tuple[float, float]:
        """The lowest and the highest score."""
        value = self.value(key)
        value = [*value] if isinstance(value, tuple) else value
        numbers = isinstance(value, list) and [each for each in value if is_number(each)]
        if not numbers or len(numbers) != len(value) or len(value) != 2 or not numbers[0] < numbers[1]:
            raise self.wrong(key, "the lowest and the highest score, such as [0, 5]")
        return float(numbers[0]), float(numbers[1])


class YamlSection(Section):
    """A mapping in a YAML file that knows the line of each key.

    Args:
        path: the file.
        node: the mapping.
        what: what an error calls it.

    Raises:
        InputError: it is no mapping, or empty.
    """

    def __init__(self, path: Path, node: yaml.Node | None, *, what: str):
        if not isinstance(node, yaml.MappingNode) or not node.value:
            line = f", line {node.start_mark.line + 1}" if node else ""
            raise InputError(f"{path}{line}: {what} must hold `key: value` lines")
        self.path = path
        self.keys = yaml_keys(node, path, what=what)

    def where(self, key: str) -> str:
        return f"{self.path}, line {self.keys[key].line}"

    def value(self, key: str) -> Any:
        return plain_value(self.keys[key].node, self.path)

    def wrong(self, key: str, expected: str) -> InputError:
        found = self.keys[key].node.value
        found = f"is {shown(found)}" if isinstance(found, str) else "holds several values"
        return InputError(f"{self.where(key)}: `{key}` {found}, expected {expected}")


class Given(Section):
    """A mapping that was given in Python.

    Args:
        keys: the mapping.
        what: what an error calls it.
    """

    def __init__(self, keys: Mapping[str, Any], *, what: str):
        self.keys, self.what = keys, what

    def where(self, key: str) -> str:
        return f"{self.what}, key {key!r}"

    def value(self, key: str) -> Any:
        return self.keys[key]


def is_number(value: object) -> TypeGuard[float]:
    """Whether a value is a number, and no truth value."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _plain(values: Iterable[object]) -> bool:
    return all(isinstance(each, str) or (is_number(each) and each % 1 == 0) for each in values)


def _written(value: Any) -> str:
    """A label or a number as a text; a whole number without a fraction."""
    return str(int(value)) if is_number(value) and value % 1 == 0 else str(value)
