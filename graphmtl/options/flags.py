"""Values of options as texts: as flags of a command line, and as what YAML takes for a text."""

from dataclasses import Field
from typing import Any

from jsonargparse import ActionYesNo, ArgumentError, ArgumentParser

from graphmtl.config import flag

__all__ = ["add_flag", "plain"]


def _type(field: Field) -> Any:
    """A text that may be missing is a text where it is given: jsonargparse would take "#" or "null" for None."""
    return str if field.type == str | None else field.type


def add_flag(parser: ArgumentParser, field: Field) -> None:
    """Lets a parser take an option."""
    switch = {"action": ActionYesNo(yes_prefix="", no_prefix="no-")}
    parser.add_argument(
        flag(field.name), default=field.default, **(switch if field.type is bool else {"type": _type(field)})
    )


def plain(field: Field, value: Any) -> Any:
    """A number or a switch that is written out, as 1e-3 is to YAML, as what it is; all else as it stands."""
    if not isinstance(value, str) or field.type not in (bool, int, float):
        return value
    parser = ArgumentParser(exit_on_error=False, add_help=False)
    add_flag(parser, field)
    try:
        return parser.parse_object({field.name: value}, defaults=False)[field.name]
    except (ArgumentError, OverflowError):
        return value
