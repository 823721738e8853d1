"""The options of a run: what it looks at, from Python, from a command line and from a YAML file."""

from graphmtl.options.command_line import parse_options
from graphmtl.options.groups import CHOOSING, changed, make_options, options_class
from graphmtl.options.yaml_file import read_options

__all__ = ["CHOOSING", "changed", "make_options", "options_class", "parse_options", "read_options"]
