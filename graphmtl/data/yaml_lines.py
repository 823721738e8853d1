"""YAML of plain values, within bounds, whose keys know their lines, so that an error can name them.

A stranger's file may be anything: what is composed here has no tags but those of texts, numbers, truth values, nulls,
lists and mappings, and its size and depth are bounded, also where aliases multiply them. What looks like a date is a
text.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import yaml

from graphmtl.errors import InputError, shown
from graphmtl.files import read_bounded

__all__ = ["YamlKey", "compose_yaml", "plain_value", "read_yaml", "yaml_keys"]

_MOST_BYTES = 1 << 20  # of a document
_MOST_VALUES = 100_000  # every alias counted with all that it stands for; all edges of 180 tasks are 97,000
_DEEPEST = 32  # levels of lists and mappings
_LONGEST_NUMBER = 100  # characters
_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
_TAGS = {f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "seq", "map")}


class _Loader(yaml.SafeLoader):
    """SafeLoader for plain values that counts what it composes."""

    yaml_implicit_resolvers: ClassVar = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag in _TAGS]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def __init__(self, text: str):
        super().__init__(text)
        self._count, self._depth, self._deepest = 0, 0, 0
        self._anchored: dict[str, tuple[int, int]] = {}  # how many values an anchor stands for, and how deep they are

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event: Any = self.peek_event()
        if isinstance(event, yaml.AliasEvent):
            node = super().compose_node(parent, index)
            if event.anchor not in self._anchored:
                _refuse(event, f"*{event.anchor} stands within what it stands for")
            self._add(event, *self._anchored[event.anchor])
            return node
        before, deepest = self._count, self._deepest
        self._depth, self._deepest = self._depth + 1, self._depth + 1
        self._add(event, 1, 0)
        node = super().compose_node(parent, index)
        _check_plain(node, event)
        self._depth -= 1
        if event.anchor is not None:
            self._anchored[event.anchor] = (self._count - before, self._deepest - self._depth)
        self._deepest = max(deepest, self._deepest)
        return node

    def _add(self, event: yaml.Event, values: int, levels: int) -> None:
        """Counts values that go ``levels`` deeper than where the loader is."""
        self._count += values
        self._deepest = max(self._deepest, self._depth + levels)
        if self._deepest > _DEEPEST:
            _refuse(event, f"lists or mappings in more than {_DEEPEST} others")
        if self._count > _MOST_VALUES:
            _refuse(event, f"more than {_MOST_VALUES:,} values, those that an alias repeats among them")


def _check_plain(node: Any, event: yaml.Event) -> None:
    if node.tag not in _TAGS:
        _refuse(event, f"the tag {shown(node.tag)}; expected: plain values, without tags")
    if node.tag in _NUMBERS and len(node.value) > _LONGEST_NUMBER:
        _refuse(event, f"a number of {len(node.value):,} characters; expected: {_LONGEST_NUMBER} or fewer")


def _refuse(event: yaml.Event, why: str) -> NoReturn:
    raise yaml.composer.ComposerError(None, None, why, event.start_mark)


def read_yaml(path: Path | str) -> yaml.Node | None:
    """The nodes of a YAML file; None of a file of comments.

    Raises:
        InputError: as `compose_yaml`; or there is no such file, it cannot be read, is empty, or too large.
    """
    content = read_bounded(path, most=_MOST_BYTES)
    if not content.strip():
        raise InputError(f"{path}: the file is empty")
    return compose_yaml(content, path)


def compose_yaml(content: bytes, name: object) -> yaml.Node | None:
    """The nodes of a YAML document, which know their lines; None for a document of comments.

    Args:
        content: the document.
        name: what an error calls it.

    Raises:
        InputError: the content is not UTF-8, or no YAML of plain values, or too large or too deep.
    """
    if len(content) > _MOST_BYTES:
        raise InputError(f"{name}: {len(content):,} bytes of YAML; expected: {_MOST_BYTES:,} or fewer")
    try:
        return yaml.compose(content.decode("utf-8-sig"), Loader=_Loader)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise InputError(f"{name}, line {line}: byte 0x{content[error.start]:02x} is not UTF-8") from None
    except yaml.MarkedYAMLError as error:
        raise InputError(f"{name}, line {error.problem_mark.line + 1}: not YAML ({error.problem})") from None
    except (yaml.YAMLError, RecursionError) as error:
        raise InputError(f"{name}: not YAML ({' '.join(str(error).split())})") from None


def plain_value(node: yaml.Node, name: object) -> Any:
    """What a node of `compose_yaml` stands for: texts, numbers, truth values, None, and lists and dicts of them.

    Args:
        node: the node.
        name: what an error calls the document.

    Raises:
        InputError: something is not what its tag says, such as ``!!int x``, or a mapping has a list for a key.
    """
    try:
        return _Loader("").construct_document(node)
    except (yaml.YAMLError, ValueError, KeyError):  # the latter two: !!int x, !!bool x
        place = f"{name}, line {node.start_mark.line + 1}"
        found = shown(node.value) if isinstance(node, yaml.ScalarNode) else "several values, one of them"
        raise InputError(f"{place}: {found} is not what its tag says; expected: plain values, without tags") from None


@dataclass(frozen=True)
class YamlKey:
    """The value of a key in a YAML document, and the key's line, counted from 1."""

    node: yaml.Node
    line: int


def yaml_keys(mapping: yaml.MappingNode, name: object, *, what: str) -> dict[str, YamlKey]:
    """The keys of a mapping.

    Args:
        mapping: the mapping.
        name: what an error calls the document.
        what: what it calls the mapping.

    Raises:
        InputError: a key is no plain name, or stands twice.
    """
    keys: dict[str, YamlKey] = {}
    for key, value in mapping.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            raise InputError(f"{name}, line {line}: the keys of {what} must be plain names")
        if key.value in keys:
            raise InputError(f"{name}, line {line}: key {shown(key.value)} stands twice in {what}")
        keys[key.value] = YamlKey(value, line)
    return keys
