"""The options of a run: what it looks at, from Python, from a command line and from a YAML file."""

from typing import TYPE_CHECKING

from graphmtl.lazy import lazily

if TYPE_CHECKING:
    from graphmtl.options.command_line import parse_options
    from graphmtl.options.groups import CHOOSING, changed, make_options, options_class
    from graphmtl.options.yaml_file import read_options

__all__ = ["CHOOSING", "changed", "make_options", "options_class", "parse_options", "read_options"]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "CHOOSING": "graphmtl.options.groups",
        "changed": "graphmtl.options.groups",
        "make_options": "graphmtl.options.groups",
        "options_class": "graphmtl.options.groups",
        "parse_options": "graphmtl.options.command_line",
        "read_options": "graphmtl.options.yaml_file",
    },
)
