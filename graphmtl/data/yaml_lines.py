"""YAML whose keys know their lines, so that an error can name them."""

from dataclasses import dataclass

import yaml

from graphmtl.errors import InputError, shown

__all__ = ["YamlKey", "compose_yaml", "yaml_keys"]


def compose_yaml(content: bytes, name: object) -> yaml.Node | None:
    """The nodes of a YAML document, which know their lines; None for a document of comments.

    Args:
        content: the document.
        name: what an error calls it.

    Raises:
        InputError: the content is not UTF-8, or no YAML.
    """
    try:
        return yaml.compose(content.decode(), Loader=yaml.SafeLoader)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise InputError(f"{name}, line {line}: byte 0x{content[error.start]:02x} is not UTF-8") from None
    except yaml.MarkedYAMLError as error:
        raise InputError(f"{name}, line {error.problem_mark.line + 1}: not YAML ({error.problem})") from None
    except (yaml.YAMLError, RecursionError) as error:
        raise InputError(f"{name}: not YAML ({' '.join(str(error).split())})") from None


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
