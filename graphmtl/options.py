"""The options of a run: flags before ``--config`` before defaults.

Four options decide what a run looks at: the architecture, the encoder and the task set that ``--arch``, ``--encoder``
and ``--tasks`` name have options of their own, and so has what an architecture makes possible. One that a run does not
look at is named and left out, so that a grid of runs may have the same flags; one that does not exist is an error.
"""

import argparse
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import Field, asdict, dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import ActionYesNo, ArgumentError, ArgumentParser

from graphmtl.analysis.affinity import AffinityOptions
from graphmtl.architectures import ARCHITECTURES, architecture_class
from graphmtl.config import FORMAT, OptionGroup, Options, accepted, flag
from graphmtl.data.planted import PlantedOptions
from graphmtl.data.yaml_lines import plain_value, read_yaml, yaml_keys
from graphmtl.errors import InputError, note, unknown_name
from graphmtl.models.encoders import ENCODERS, encoder_class
from graphmtl.models.model_options import model_options_class
from graphmtl.options_help import option_help
from graphmtl.presets import preset_file
from graphmtl.registry import find_class, with_names

__all__ = ["CHOOSING", "changed", "make_options", "options_class", "parse_options", "read_options"]

TASK_SETS: dict[str, type[OptionGroup]] = {"planted": PlantedOptions}
"""The task sets that have options of their own."""
_DISTILLATION = {"distillation": "graphmtl.training.distillation:DistillationOptions"}
CHOOSING = ("arch", "encoder", "tasks")  # options that decide which others there are
_DEFAULTS = {field.name: field.default for field in fields(Options)}
_KEEP_TOP = 3  # edges into each task that --prune keeps
_ONLY_HERE = ("--config", "--prune", "--keep-top", "--help")


def of_architecture(arch: str) -> list[type[OptionGroup]]:
    """The groups of an architecture: its own, and those of what it makes possible."""
    architecture = architecture_class(arch)
    groups: list[type[OptionGroup]] = [architecture.Options]
    if architecture.virtual_node is not None:
        groups.append(AffinityOptions)
    if architecture.has_nodes:
        groups.append(find_class("objective", "distillation", _DISTILLATION, OptionGroup))
    return groups


@cache
def options_class(arch: str, encoder: str, tasks: str) -> type[Options]:
    """A class with all that a run looks at.

    Raises:
        InputError: there is no such architecture or encoder.
    """
    named = re.split("[+:]", tasks)
    groups = [group for name, group in TASK_SETS.items() if name in named]
    groups += [*of_architecture(arch)[1:], model_options_class(arch, encoder), Options]
    return dataclass(frozen=True, kw_only=True)(type("Options", tuple(groups), {"__doc__": Options.__doc__}))


def _class_for(values: Mapping[str, Any]) -> type[Options]:
    """The class for values by name, of which those that choose must be right."""
    common = {field.name: field for field in fields(Options)}
    return options_class(*(accepted(common[name], values.get(name, _DEFAULTS[name])) for name in CHOOSING))


@dataclass(frozen=True)
class _Elsewhere:
    """An option that some runs look at.

    Attributes:
        field: what it is.
        chooser: the option that decides, ``arch``, ``encoder`` or ``tasks``.
        owners: the values with which a run looks at it.
    """

    field: Field
    chooser: str
    owners: list[str]


@cache
def _elsewhere() -> dict[str, _Elsewhere]:
    """Every option that not all runs look at, by name."""
    found: dict[str, _Elsewhere] = {}
    for chooser, owner, group in _all_groups():
        for field in fields(group):
            if field.name not in _DEFAULTS:
                found.setdefault(field.name, _Elsewhere(field, chooser, [])).owners.append(owner)
    return found


def _all_groups() -> Iterator[tuple[str, str, type[OptionGroup]]]:
    """Every group that is chosen: by which option, by which value of it."""
    for arch in ARCHITECTURES:
        yield from (("arch", arch, group) for group in of_architecture(arch))
    for encoder in (*ENCODERS, "transformer"):
        yield "encoder", encoder, encoder_class(encoder).Options
    for tasks, group in TASK_SETS.items():
        yield "tasks", tasks, group


def make_options(**values: Any) -> Options:
    """Options by name; a part may be its class. What has no effect in such a run, and is not at its default, is said.

    >>> make_options(arch="star", score="dot").hidden
    64

    Raises:
        InputError: a name that does not exist, a value that is not accepted, or two options that exclude each other.
    """
    options, lines = _make(with_names(values))
    for line in lines:
        note(line)
    return options


def changed(options: Options, **changes: Any) -> Options:
    """The options with changes; what the run then no longer looks at is left out."""
    values = {**asdict(options), **changes}
    kind = _class_for(values)
    return kind(**{field.name: values[field.name] for field in fields(kind) if field.name in values})


def _make(values: Mapping[str, Any]) -> tuple[Options, list[str]]:
    """The options, and a line for each that nothing looks at."""
    kind = _class_for(values)
    own, idle = {field.name: field for field in fields(kind)}, defaultdict[tuple, list[str]](list)
    for name in sorted(values.keys() - own.keys()):
        if name not in _elsewhere():
            raise unknown_name("option", name, [*own, *_elsewhere()])
        other = _elsewhere()[name]
        if accepted(other.field, _read(other.field, values[name])) != other.field.default:
            idle[other.chooser, *other.owners].append(name)
    lines = [_of_others(names, chooser, owners, values) for (chooser, *owners), names in idle.items()]
    options = kind(**{name: _read(field, values[name]) for name, field in own.items() if name in values})
    if options.resume and options.overwrite:
        raise InputError("--resume --overwrite: one goes on with what is in --output, the other replaces it; give one")
    return options, [*lines, *_idle(options)]


def _of_others(names: Sequence[str], chooser: str, owners: Sequence[str], values: Mapping[str, Any]) -> str:
    """A line for options that runs with another value of ``chooser`` look at."""
    has, it_is = ("has", "it is") if len(names) == 1 else ("have", "they are")
    there = f"{flag(chooser)} {values.get(chooser, _DEFAULTS[chooser])}"
    return f"{', '.join(map(flag, names))} {has} no effect with {there}; {it_is} for {', '.join(owners)}"


def _idle(options: Options) -> Iterator[str]:
    """A line for each option that another one puts out of use."""
    at_default = {field.name: getattr(options, field.name) == field.default for field in fields(options)}
    for field in fields(options):
        needs, unless = field.metadata["needs"], field.metadata["unless"]
        if at_default[field.name]:
            continue
        if needs is not None and at_default[needs]:
            yield f"{flag(field.name)} has no effect without {flag(needs)}"
        elif unless is not None and not at_default[unless[0]]:
            yield f"{flag(field.name)} has no effect with {flag(unless[0])}, {unless[1]}"


def _type(field: Field) -> Any:
    """A text that may be missing is a text where it is given: jsonargparse would take "#" or "null" for None."""
    return str if field.type == str | None else field.type


def _add(parser: ArgumentParser, field: Field) -> None:
    switch = {"action": ActionYesNo(yes_prefix="", no_prefix="no-")}
    parser.add_argument(
        flag(field.name), default=field.default, **(switch if field.type is bool else {"type": _type(field)})
    )


def _read(field: Field, value: Any) -> Any:
    """A number or a switch that is written out, as 1e-3 is to YAML, as what it is; all else as it stands."""
    if not isinstance(value, str) or field.type not in (bool, int, float):
        return value
    parser = ArgumentParser(exit_on_error=False, add_help=False)
    _add(parser, field)
    try:
        return parser.parse_object({field.name: value}, defaults=False)[field.name]
    except (ArgumentError, OverflowError):
        return value


def parse_options(argv: Sequence[str], defaults: Options | None = None) -> Options:
    """The options of a command line.

    Args:
        argv: the flags.
        defaults: what holds where no flag says anything and ``--config`` names no file; None: the defaults.

    Raises:
        InputError: an option that does not exist (the nearest is named), or a value that is not accepted.
    """
    if (asked := _asked_for_help(argv)) is not None:
        print(option_help(asked, _all_groups()), end="")
        raise SystemExit(0)
    first = _first_pass(argv)
    if first["prune"] is not None:
        base = _pruned(first, argv)
    elif first["keep_top"] is not None:
        found = first["keep_top"]
        raise InputError(f"--keep-top {found}: how many edges stay of the run that --prune names; found no --prune")
    elif first["config"] is not None:
        base = _file_values(preset_file(first["config"]))
    else:
        base = {} if defaults is None else asdict(defaults)
    given = {name: first[name] for name in CHOOSING if first[name] is not None}
    return make_options(**{**base, **_second_pass(argv, _class_for({**base, **given}))})


def _asked_for_help(argv: Sequence[str]) -> str | None:
    """The group whose options are asked for, empty for those that matter; None where no help is asked for."""
    place = next((i for i, argument in enumerate(argv) if argument in ("-h", "--help")), None)
    if place is None:
        return None
    after = next(iter(argv[place + 1 :]), "")
    return "" if after.startswith("-") else after


def _first_pass(argv: Sequence[str]) -> dict[str, Any]:
    """What decides which options there are; whatever is wrong with it, the second pass finds."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    for name in (*CHOOSING, "config", "prune", "keep_top"):
        parser.add_argument(flag(name))
    try:
        return vars(parser.parse_known_args(list(argv))[0])
    except argparse.ArgumentError:
        return dict.fromkeys((*CHOOSING, "config", "prune", "keep_top"))


def _second_pass(argv: Sequence[str], kind: type[Options]) -> dict[str, Any]:
    """What the flags say of the options of a class; those of other runs are read too."""
    parser = ArgumentParser(prog="graphmtl run", exit_on_error=False, allow_abbrev=False, add_help=False)
    for name, shape in (("config", str), ("prune", str), ("keep_top", int)):
        parser.add_argument(flag(name), type=shape)
    for field in fields(kind):
        _add(parser, field)
    for argument in argv:
        name = argument.split("=")[0]
        if name.startswith("--") and name not in parser._option_string_actions:
            others = {flag(other): each.field for other, each in _elsewhere().items()}
            other = others.get(name) or others.get(name.replace("--no-", "--", 1))
            if other is None or (name not in others and other.type is not bool):
                known = [*map(flag, _DEFAULTS), *_ONLY_HERE, *(flag(field.name) for field in fields(kind)), *others]
                raise unknown_name("option", name, known)
            _add(parser, other)
    try:
        given = vars(parser.parse_args(list(argv), defaults=False))
    except ArgumentError as error:
        raise InputError(_readable(str(error))) from None
    return {name: value for name, value in given.items() if name not in ("config", "prune", "keep_top")}


def _pruned(first: Mapping[str, Any], argv: Sequence[str]) -> dict:
    """The options of a finished run, for its strongest edges into each task."""
    run, keep_top = first["prune"], _second_pass_number(first["keep_top"])
    for name in ("config", "arch", "topology", "top_k"):
        if any(argument.split("=")[0] == flag(name) for argument in argv):
            raise InputError(f"{flag(name)}: --prune says it already; without --prune give --topology {run} --top-k N")
    if keep_top < 1:
        raise InputError(f"--keep-top: found {keep_top}, expected 1 or more")
    if not (Path(run) / "config.yaml").is_file():
        raise InputError(f"--prune {run}: no run's folder, which has a config.yaml")
    pruned = {"arch": "complete", "topology": run, "top_k": keep_top, "output": f"{Path(run)}-top{keep_top}"}
    return asdict(changed(read_options(Path(run) / "config.yaml", written_by_a_run=True), **pruned))


def _second_pass_number(text: str | None) -> int:
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


def read_options(path: Path | str, *, written_by_a_run: bool = False) -> Options:
    """The options in a YAML file, by their flat keys; what is not there has its default.

    Args:
        path: the file.
        written_by_a_run: the file must say its format, and what has no effect was said when it was written.

    Raises:
        InputError: the file is missing, is no YAML mapping, is of another format, or has a key that is no option or a
            value that is not accepted, or a key that stands twice; it names the file and the line.
    """
    values = _file_values(Path(path), written_by_a_run=written_by_a_run)
    return _make(values)[0] if written_by_a_run else make_options(**values)


def _file_values(path: Path, *, written_by_a_run: bool = False) -> dict[str, Any]:
    """What a file says of options, each value accepted."""
    config, lines = _read_yaml(path)
    found = config.pop("format", None if written_by_a_run else FORMAT)
    if found not in range(1, FORMAT + 1):
        raise InputError(f"{path}: format {found!r}; this version of graphmtl reads format 1 to {FORMAT}")
    try:
        own = {field.name: field for field in fields(_class_for(config))}
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    values = {}
    for name, value in config.items():
        place = f"{path}, line {lines[name]}: "
        if name not in own and name not in _elsewhere():
            raise InputError(f"{place}{unknown_name('key', name, sorted({*own, *_elsewhere()}))}")
        field = own[name] if name in own else _elsewhere()[name].field
        try:
            values[name] = accepted(field, _read(field, value))
        except InputError as error:
            raise InputError(f"{place}{error}") from None
    return values


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
