"""The options of a command line: flags before ``--config`` before defaults.

It is read in two passes: what ``--arch``, ``--encoder``, ``--tasks``, ``--balancing``, ``--terms``, ``--config`` and
``--prune`` choose decides which options there are.
"""

import argparse
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import Field, asdict, fields
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentError, ArgumentParser

from graphmtl.config import OptionGroup, Options, flag
from graphmtl.errors import InputError, unknown_name
from graphmtl.options.earlier import earlier_options, today
from graphmtl.options.flags import add_flag
from graphmtl.options.groups import CHOOSING, all_groups, changed, class_for, elsewhere, make_options, of_architecture
from graphmtl.options.help import asked_for_help, option_help, short_help
from graphmtl.options.presets import preset_file
from graphmtl.options.yaml_file import file_values, read_options
from graphmtl.registry import is_outside

__all__ = ["parse_options"]

_KEEP_TOP = 3  # edges into each task that --prune keeps
_ONLY_HERE = ("--config", "--prune", "--keep-top", "--help")
_FIRST = (*CHOOSING, "config", "prune", "keep_top")


def parse_options(argv: Sequence[str], defaults: Options | None = None) -> Options:
    """The options of a command line.

    Args:
        argv: the flags.
        defaults: what holds where no flag says anything and ``--config`` names no file; None: the defaults.

    Raises:
        InputError: an option that does not exist (the nearest is named), or a value that is not accepted.
    """
    if (asked := asked_for_help(argv)) is not None:
        print(option_help(asked, [*all_groups(), *_of_outside(asked)]) if asked else short_help(), end="")
        raise SystemExit(0)
    first = _first_pass(argv)
    given = {name: first[name] for name in CHOOSING if first[name] is not None}
    if first["prune"] is not None:
        base = _pruned(first, argv)
    elif first["keep_top"] is not None:
        found = first["keep_top"]
        raise InputError(f"--keep-top {found}: how many edges stay of the run that --prune names; found no --prune")
    elif first["config"] is not None:
        base = file_values(preset_file(first["config"]), given)
    else:
        base = {} if defaults is None else asdict(defaults)
    return make_options(**{**base, **_second_pass(argv, class_for({**base, **given}))})


def _of_outside(asked: str) -> Iterator[tuple[str, str, type[OptionGroup]]]:
    """The options of an architecture from outside the package, by whose name they are asked for."""
    if is_outside(asked):
        yield from (("arch", asked, group) for group in of_architecture(asked))


def _first_pass(argv: Sequence[str]) -> dict[str, Any]:
    """What decides which options there are; whatever is wrong with it, the second pass finds."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    for name in _FIRST:
        parser.add_argument(flag(name))
    try:
        return vars(parser.parse_known_args(list(argv))[0])
    except argparse.ArgumentError:
        return dict.fromkeys(_FIRST)


def _second_pass(argv: Sequence[str], kind: type[Options]) -> dict[str, Any]:
    """What the flags say of the options of a class; those of other runs are read too."""
    parser = ArgumentParser(prog="graphmtl run", exit_on_error=False, allow_abbrev=False, add_help=False)
    for name, shape in (("config", str), ("prune", str), ("keep_top", int)):
        parser.add_argument(flag(name), type=shape)
    for field in fields(kind):
        add_flag(parser, field)
    for argument in argv:
        name = argument.split("=")[0]
        if name.startswith("--") and name not in parser._option_string_actions:
            add_flag(parser, _of_another_run(name, kind))
    try:
        given = vars(parser.parse_args(list(argv), defaults=False))
    except ArgumentError as error:
        raise InputError(_readable(str(error))) from None
    return today({name: value for name, value in given.items() if name not in ("config", "prune", "keep_top")})


def _of_another_run(name: str, kind: type[Options]) -> Field:
    """The option of a flag that runs of a class do not have.

    Raises:
        InputError: no run has it.
    """
    fields_elsewhere = earlier_options() | {other: each.field for other, each in elsewhere().items()}
    others = {flag(other): field for other, field in fields_elsewhere.items()}
    found = others.get(name) or others.get(name.replace("--no-", "--", 1))
    if found is None or (name not in others and found.type is not bool):
        raise unknown_name("option", name, [*(flag(field.name) for field in fields(kind)), *_ONLY_HERE, *others])
    return found


def _pruned(first: Mapping[str, Any], argv: Sequence[str]) -> dict:
    """The options of a finished run, for its strongest edges into each task."""
    run, keep_top = first["prune"], _keep_top_of(first["keep_top"])
    for name in ("config", "arch", "topology", "top_k"):
        if any(argument.split("=")[0] == flag(name) for argument in argv):
            raise InputError(f"{flag(name)}: --prune says it already; without --prune give --topology {run} --top-k N")
    if keep_top < 1:
        raise InputError(f"--keep-top: found {keep_top}, expected 1 or more")
    if not (Path(run) / "config.yaml").is_file():
        raise InputError(f"--prune {run}: no run's folder, which has a config.yaml")
    pruned = {"arch": "complete", "topology": run, "top_k": keep_top, "output": f"{Path(run)}-top{keep_top}"}
    return asdict(changed(read_options(Path(run) / "config.yaml", written_by_a_run=True), **pruned))


def _keep_top_of(text: str | None) -> int:
    if text is None:
        return _KEEP_TOP
    try:
        return int(text)
    except ValueError:
        raise InputError(f"--keep-top: Expected a int. Got value: {text}") from None


def _readable(message: str) -> str:
    """jsonargparse's error in one line, with the flag's name and what it takes."""
    message = re.sub(r"typing\.|<class '(\w+)'>", lambda match: match[1] or "", " ".join(message.split()))
    return re.sub(r'Parser key "(\w+)":', lambda match: f"{flag(match[1])}:", message)
