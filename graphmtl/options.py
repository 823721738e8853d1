"""Options from the command line and from a YAML file: flags before ``--config`` before defaults."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from functools import cache
from pathlib import Path
from typing import Any, get_type_hints

import yaml
from jsonargparse import ActionYesNo, ArgumentError, ArgumentParser

from graphmtl.config import FORMAT, Options, accepted, flag
from graphmtl.data.yaml_lines import plain_value, read_yaml, yaml_keys
from graphmtl.errors import InputError, unknown_name

__all__ = ["make_options", "parse_options", "read_options", "without_effect"]

_REFUSED = ("topology", "top_k", "teachers", "adapters")  # where nothing looks at them a run says so, and ends
_KEEP_TOP = 3  # edges into each task that --prune keeps
_FIELDS = {field.name: field for field in fields(Options)}
# a text that may be missing is a text where it is given: jsonargparse would take "#" or "null" for None
_TYPES = {name: str if kind == str | None else kind for name, kind in get_type_hints(Options).items()}


@cache
def _parser() -> ArgumentParser:
    description = "Trains on a set of tasks, tests, and draws the learned task graph."
    parser = ArgumentParser(prog="graphmtl run", description=description, exit_on_error=False, allow_abbrev=False)
    parser.add_argument("--config", metavar="FILE", help="YAML file of options, such as a run's config.yaml")
    parser.add_argument(
        "--prune",
        metavar="RUN",
        help="train a finished run's options again on the strongest edges between tasks that it learned (of star: its "
        "task affinity): --config RUN/config.yaml --arch complete --topology RUN --top-k N --output RUN-topN",
    )
    parser.add_argument(
        "--keep-top", metavar="N", type=int, default=_KEEP_TOP, help="with --prune: edges that stay into each task"
    )
    for group in reversed(Options.__mro__[1:-2]):
        section = parser.add_argument_group((group.__doc__ or "").splitlines()[0].rstrip("."))
        for name in group.__annotations__:
            kind = (
                {"action": ActionYesNo(yes_prefix="", no_prefix="no-")}
                if _TYPES[name] is bool
                else {"type": _TYPES[name]}
            )
            section.add_argument(
                flag(name),
                default=_FIELDS[name].default,
                help=_FIELDS[name].metadata["help"].replace("%", "%%"),
                **kind,
            )
    return parser


def parse_options(argv: Sequence[str], defaults: Options | None = None) -> Options:
    """The options of a command line.

    Args:
        argv: the flags.
        defaults: what holds where no flag says anything and ``--config`` names no file; None: the defaults.

    Raises:
        InputError: an option that does not exist (the nearest is named), or a value that is not accepted.
    """
    parser = _parser()
    for argument in argv:
        name = argument.split("=")[0]
        if name.startswith("--") and name not in parser._option_string_actions:
            raise unknown_name("option", name, [*map(flag, _FIELDS), "--config", "--prune", "--keep-top"])
    try:
        given = vars(parser.parse_args(list(argv), defaults=False))
    except ArgumentError as error:
        raise InputError(_readable(str(error))) from None
    config, prune, keep_top = (given.pop(name, None) for name in ("config", "prune", "keep_top"))
    if prune is not None:
        base = _pruned(prune, _KEEP_TOP if keep_top is None else keep_top, {"config": config, **given})
    elif keep_top is not None:
        raise InputError(f"--keep-top {keep_top}: how many edges stay of the run that --prune names; found no --prune")
    else:
        options = read_options(config) if config else defaults
        base = asdict(options) if options else {}
    return make_options(**{**base, **given})


def _pruned(run: str, keep_top: int, given: Mapping[str, Any]) -> dict:
    """The options of a finished run, for its strongest edges into each task."""
    for name in ("config", "arch", "topology", "top_k"):
        if given.get(name) is not None:
            raise InputError(f"{flag(name)}: --prune says it already; without --prune give --topology {run} --top-k N")
    if keep_top < 1:
        raise InputError(f"--keep-top: found {keep_top}, expected 1 or more")
    if not (Path(run) / "config.yaml").is_file():
        raise InputError(f"--prune {run}: no run's folder, which has a config.yaml")
    pruned = {"arch": "complete", "topology": run, "top_k": keep_top, "output": f"{Path(run)}-top{keep_top}"}
    others = dict.fromkeys(("teachers", "teacher_outputs", "adapters"))  # of which complete has none
    return {**asdict(read_options(Path(run) / "config.yaml", written_by_a_run=True)), **others, **pruned}


def make_options(**values) -> Options:
    """Options by name.

    Raises:
        InputError: a name that does not exist, a value that is not accepted, or two options that exclude each other.
    """
    for name in values:
        if name not in _FIELDS:
            raise unknown_name("option", name, _FIELDS)
    options = Options(**{name: _read(name, value) for name, value in values.items()})
    if options.resume and options.overwrite:
        raise InputError("--resume --overwrite: one goes on with what is in --output, the other replaces it; give one")
    return options


def without_effect(options: Options) -> list[str]:
    """A line for every option that is not at its default and that nothing looks at in such a run, if it can go on.

    >>> without_effect(Options(arch="shared", hub_to_head=True))
    ['--hub-to-head has no effect with --arch shared; it is for star']
    """
    lines = []
    for name, field in _FIELDS.items():
        if getattr(options, name) == field.default or name in _REFUSED:
            continue
        archs, needs = field.metadata["archs"], field.metadata["needs"]
        if archs and options.arch not in archs:
            lines.append(f"{flag(name)} has no effect with --arch {options.arch}; it is for {', '.join(archs)}")
        elif needs is not None and getattr(options, needs) == _FIELDS[needs].default:
            lines.append(f"{flag(name)} has no effect without {flag(needs)}")
        elif name.startswith("planted_") and "planted" not in re.split("[+:]", options.tasks):
            lines.append(f"{flag(name)} has no effect with --tasks {options.tasks}; it is for planted")
        elif name == "embedding_size" and options.embeddings is not None and options.encoder == "lstm":
            lines.append("--embedding-size has no effect with --embeddings, whose vectors have a size of their own")
    return lines


def _read(name: str, value: Any) -> Any:
    """A number or a switch that is written out, as 1e-3 is to YAML, as what it is; all else as it stands."""
    if not isinstance(value, str) or _TYPES[name] not in (bool, int, float):
        return value
    try:
        return _parser().parse_object({name: value}, defaults=False)[name]
    except (ArgumentError, OverflowError):
        return value


def _accepted(name: str, value: Any, where: str) -> Any:
    """The value, if the option takes it; the error says where it stands."""
    try:
        return accepted(_FIELDS[name], _read(name, value))
    except InputError as error:
        raise InputError(f"{where}{error}") from None


def _readable(message: str) -> str:
    """jsonargparse's error in one line, with the flag's name and what it takes."""
    message = re.sub(r"typing\.|<class '(\w+)'>", lambda match: match[1] or "", " ".join(message.split()))
    return re.sub(r'Parser key "(\w+)":', lambda match: f"{flag(match[1])}:", message)


def read_options(path: Path | str, *, written_by_a_run: bool = False) -> Options:
    """The options in a YAML file, by their flat keys; what is not there has its default.

    Args:
        path: the file.
        written_by_a_run: the file must say its format.

    Raises:
        InputError: the file is missing, is no YAML mapping, is of another format, or has a key that is no option or a
            value that is not accepted, or a key that stands twice; it names the file and the line.
    """
    config, lines = _read_yaml(Path(path))
    where = {name: f"{path}, line {line}: " for name, line in lines.items()}
    found = config.pop("format", None if written_by_a_run else FORMAT)
    if found != FORMAT:
        raise InputError(f"{path}: format {found!r}; this version of graphmtl reads format {FORMAT}")
    return make_options(**{name: _accepted(name, value, where[name]) for name, value in config.items()})


def _read_yaml(path: Path) -> tuple[dict, dict[str, int]]:
    """What the file says, and the line of each key."""
    node = read_yaml(path)
    if not isinstance(node, yaml.MappingNode):
        raise InputError(f"{path}: options as `key: value` lines are expected")
    config, keys = {}, yaml_keys(node, path, what="the file")
    for name, key in keys.items():
        place = f"{path}, line {key.line}: "
        if name not in {*_FIELDS, "format"}:
            raise InputError(f"{place}{unknown_name('key', name, sorted(_FIELDS))}")
        if not isinstance(key.node, yaml.ScalarNode):
            raise InputError(f"{place}{flag(name)}: found several values, expected one")
        config[name] = plain_value(key.node, path)
    return config, {name: key.line for name, key in keys.items()}
