"""The options in a YAML file, such as a run's ``config.yaml``."""

from collections.abc import Mapping
from dataclasses import Field, fields
from pathlib import Path
from typing import Any

import yaml

from graphmtl.config import FORMAT, Options, accepted, flag
from graphmtl.data.yaml_lines import plain_value, read_yaml, yaml_keys
from graphmtl.errors import InputError, note, unknown_name
from graphmtl.options.earlier import earlier_options, today
from graphmtl.options.flags import plain
from graphmtl.options.groups import CHOOSING, class_for, elsewhere, make_options, what_holds

__all__ = ["file_values", "read_options"]


def read_options(path: Path | str, *, written_by_a_run: bool = False) -> Options:
    """The options in a YAML file, by their flat keys; what is not there has its default.

    Args:
        path: the file.
        written_by_a_run: the file must say its format, and what has no effect was said when it was written.

    Raises:
        InputError: the file is missing, is no YAML mapping, is of another format, or has a key that is no option or a
            value that is not accepted, or a key that stands twice; it names the file and the line.
    """
    values = file_values(Path(path), written_by_a_run=written_by_a_run)
    return what_holds(values)[0] if written_by_a_run else make_options(**values)


def file_values(
    path: Path, given: Mapping[str, Any] | None = None, *, written_by_a_run: bool = False
) -> dict[str, Any]:
    """What a file says of options, each value accepted.

    Args:
        path: the file.
        given: what a command line says instead of the file; options of the file's own architecture, encoder or tasks
            from outside the package are then named and left out.
        written_by_a_run: see :func:`read_options`.
    """
    config, lines = _read_yaml(path)
    found = config.pop("format", None if written_by_a_run else FORMAT)
    if found not in range(1, FORMAT + 1):
        raise InputError(f"{path}: format {found!r}; this version of graphmtl reads format 1 to {FORMAT}")
    try:
        known = earlier_options() | {name: each.field for name, each in elsewhere().items()}
        known |= {field.name: field for field in fields(class_for({**config, **(given or {})}))}
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    theirs = _of_outside_parts(config, given or {})
    values = {}
    for name, value in config.items():
        place = f"{path}, line {lines[name]}: "
        if name not in known and theirs is None:
            note(f"{place}{flag(name)} is left out, since it is not known what it is")
            continue
        if name not in known and name not in (theirs or {}):
            raise InputError(f"{place}{unknown_name('key', name, sorted(known))}")
        field = known[name] if name in known else (theirs or {})[name]
        try:
            accept = accepted(field, plain(field, value))
        except InputError as error:
            raise InputError(f"{place}{error}") from None
        if name in known:
            values[name] = accept
        elif accept != field.default:
            parts = " and ".join(str(config[part]) for part in CHOOSING if part in config)
            note(f"{place}{flag(name)} has no effect; it is for {parts}")
    try:
        return today(values)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _of_outside_parts(config: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Field] | None:
    """The options of the parts that a file names, where others are asked for in their place; None if not known."""
    if all(name not in given or given[name] == config.get(name) for name in CHOOSING):
        return {}
    try:
        return {field.name: field for field in fields(class_for(config))}
    except InputError as error:  # a part that is not installed is not needed either
        note(str(error))
        return None


def _read_yaml(path: Path) -> tuple[dict[str, Any], dict[str, int]]:
    """What the file says, and the line of each key."""
    node = read_yaml(path)
    if not isinstance(node, yaml.MappingNode):
        raise InputError(f"{path}: options as `key: value` lines are expected")
    config, keys = {}, yaml_keys(node, path, what="the file")
    for name, key in keys.items():
        if not isinstance(key.node, yaml.ScalarNode):
            raise InputError(f"{path}, line {key.line}: {flag(name)}: found several values, expected one")
        config[name] = plain_value(key.node, path)
    return config, {name: key.line for name, key in keys.items()}
