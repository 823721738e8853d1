"""What ``graphmtl run --help`` prints: the options that matter, at once, or those of a group."""

import argparse
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import Field, fields
from typing import Any, get_args, get_origin

from graphmtl.config import (
    ArchitectureOptions,
    DataOptions,
    ModelOptions,
    OptionGroup,
    Options,
    RunOptions,
    TrainingOptions,
    flag,
)
from graphmtl.errors import unknown_name
from graphmtl.options.presets import presets
from graphmtl.registry import ARCHITECTURES, ENCODERS, TASK_SETS
from graphmtl.verbosity import FLAGS

__all__ = ["asked_for_help", "option_help", "short_help"]

_EXAMPLES = """\
examples:
  graphmtl run                                                  a star on generated tasks, nothing to download
  graphmtl run --tasks my_tasks.yaml --arch complete --hidden 128
  graphmtl run --config runs/star-planted-0/config.yaml --seed 1 --output runs/again
"""
_MATTER = {
    "what is learned": ("tasks", "data_dir", "only"),
    "how": ("arch", "encoder", "hidden", "max_length", "epochs", "batch_size", "lr", "patience", "seed"),
    "where": ("output", "resume", "overwrite", "device"),
}
_CONFIG = {
    "--config": ("FILE", "YAML file of options, such as a run's config.yaml, or a preset"),
}
_SEEDS = {
    "--seeds": ("N,N", "one run for each of these seeds, in DIR-N where --output is DIR, and how far they are apart"),
    "--jobs": ("N", "with --seeds: processes that train at once (default: 1)"),
}
_TEST = {"--no-test": ("", "train and validate alone, without a look at the test split; --resume then tests")}
_PROFILE = {"--profile": ("", "look at some updates after the first ones: a trace, and a table of the costliest parts")}
_PRUNE = {
    "--prune": (
        "RUN",
        "train a finished run's options again on the strongest edges between tasks that it learned (of star: its task "
        "affinity): --config RUN/config.yaml --arch complete --topology RUN --top-k N --output RUN-topN",
    ),
    "--keep-top": ("N", "with --prune: edges that stay into each task (default: 3)"),
}
_BALANCINGS = ("dwa", "famo", "cagrad", "nash-mtl")  # those that have options of their own
_GENERAL: dict[str, type[OptionGroup]] = {
    "data": DataOptions,
    "model": ModelOptions,
    "training": TrainingOptions,
    "run": RunOptions,
}


def option_help(asked: str, chosen: Iterable[tuple[str, str, type[OptionGroup]]]) -> str:
    """The help of a group of options.

    Args:
        asked: the group's name, or ``all`` for every one.
        chosen: the groups that not all runs have: by which option, by which value of it.

    Raises:
        InputError: there is no such group.
    """
    groups = _general()
    for _, owner, group in chosen:
        groups[owner] = [*groups.get(owner, ()), *_own(group)]
    if asked not in {*groups, "all"}:
        raise unknown_name("group of options", asked, [*groups, "all"])
    parser = _parser()
    seen: set[str] = set()
    for name, own in groups.items() if asked == "all" else [(asked, groups[asked])]:
        section = parser.add_argument_group(name)
        _add_fields(section, [field for field in own if field.name not in seen])
        seen |= {field.name for field in own}
        if name == "run":
            _add_texts(section, _CONFIG | _PRUNE | _SEEDS | _TEST | _PROFILE)
    return parser.format_help()


def _own(group: type[OptionGroup]) -> Iterator[Field]:
    """What a group has that not every run has."""
    common = {field.name for field in fields(Options)}
    yield from (field for field in fields(group) if field.name not in common)


def _general() -> dict[str, list[Field]]:
    """The options that every run has, by group."""
    groups = {name: [*fields(group)] for name, group in _GENERAL.items()}
    groups["model"] += fields(ArchitectureOptions)
    return groups


def asked_for_help(argv: Sequence[str]) -> str | None:
    """The group whose options are asked for, empty for those that matter; None where no help is asked for."""
    place = next((i for i, argument in enumerate(argv) if argument in ("-h", "--help")), None)
    if place is None:
        return None
    after = next(iter(argv[place + 1 :]), "")
    return "" if after.startswith("-") else after


def short_help() -> str:
    """The options that matter; nothing is loaded for it."""
    groups = _general()
    known = {field.name: field for own in groups.values() for field in own}
    parser = _parser()
    for name, own in _MATTER.items():
        section = parser.add_argument_group(name)
        _add_fields(section, [known[each] for each in own])
        if name == "how":
            _add_texts(section, _CONFIG | _SEEDS)
    parser.epilog = (
        f"{_EXAMPLES}\nmore options: --help GROUP, of {', '.join([*groups, *ARCHITECTURES])},\n  "
        f"{', '.join([*ENCODERS, 'transformer', *TASK_SETS, *_BALANCINGS])}; --help all\n"
        f"presets for --config: {', '.join(presets()[:4])},\n  {', '.join(presets()[4:])}\n\nwith every verb: {FLAGS}\n"
    )
    return parser.format_help()


def _parser() -> argparse.ArgumentParser:
    return argparse.ArgumentParser(
        prog="graphmtl run",
        usage="graphmtl run [FILE ...] [options]",
        description="Trains on a set of tasks, tests, and draws the learned task graph.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        add_help=False,
    )


def _add_texts(section: Any, texts: dict[str, tuple[str, str]]) -> None:
    for name, (value, text) in texts.items():
        how: dict[str, Any] = {"metavar": value} if value else {"action": "store_true"}
        section.add_argument(name, help=text, **how)


def _add_fields(section: Any, own: Iterable[Field]) -> None:
    for field in own:
        default = "" if field.default in (None, False) else f" (default: {field.default})"
        switch: dict[str, Any] = {"action": argparse.BooleanOptionalAction if field.default else "store_true"}
        value = {"metavar": _shown(field)}
        section.add_argument(
            flag(field.name),
            help=f"{field.metadata['help']}{default}".replace("%", "%%"),
            **(switch if field.type is bool else value),
        )


def _shown(field: Field) -> str:
    """What stands for an option's value."""
    if get_origin(field.type) is not None and get_args(field.type)[-1] is not type(None):
        return "{" + ",".join(get_args(field.type)) + "}"
    numbers: dict[Any, str] = {int: "N", float: "X"}
    return field.metadata["shown"] or numbers.get(field.type, "TEXT")
