"""What a search tries: of each option some choices, or a range of numbers.

As a YAML file, an option a line::

    lr: {low: 0.001, high: 0.01, log: true}
    hidden: [32, 64, 100]
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import Field, asdict, dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from graphmtl.config import DataOptions, Options, RunOptions, accepted, flag
from graphmtl.data.yaml_lines import plain_value, read_yaml, yaml_keys
from graphmtl.errors import InputError, note, shown, unknown_name
from graphmtl.models.encoders import reads_words
from graphmtl.options.flags import plain
from graphmtl.options.groups import elsewhere, what_holds

__all__ = ["DEFAULTS", "Range", "Space", "as_plain", "default_space", "known_options", "read_space", "space_of"]

_EXPECTED = "expected choices, as [32, 64], or of numbers a range, as {low: 0.001, high: 0.01, log: true}"
_NO_HYPER_PARAMETERS = {
    *(field.name for group in (DataOptions, RunOptions) for field in fields(group)),
    *("arch", "encoder", "seed", "select_by", "refit_on_valid", "device", "progress", "track"),
}


@dataclass(frozen=True)
class Range:
    """Numbers from ``low`` to ``high``; with ``log`` each order of magnitude is as likely as the next."""

    low: float
    high: float
    log: bool = False


Space = dict[str, "tuple[Any, ...] | Range"]
"""Of each option, by name, the choices or the range."""

DEFAULTS: dict[str, Space] = {
    "words": {
        "lr": Range(1e-3, 1e-2, log=True),
        "embedding_lr": (0.1, 0.3, 1.0),
        "hidden": (32, 64, 100),
        "word_dropout": (0.0, 0.1, 0.2),
        "locked_dropout": (0.1, 0.3, 0.5),
        "output_dropout": (0.1, 0.3, 0.5),
        "label_smoothing": (0.0, 0.05, 0.1),
        "pooling": ("auto", "max", "mean", "attention"),
    },
    "transformer": {
        "encoder_lr": Range(2e-5, 5e-4, log=True),
        "lr": Range(5e-4, 5e-3, log=True),
        "layer_decay": (0.8, 1.0),
        "output_dropout": (0.1, 0.3, 0.5),
        "label_smoothing": (0.0, 0.05, 0.1),
        "pooling": ("auto", "mean", "max-mean"),
    },
}
"""What is tried where no space is given, by what the encoder reads; epochs and batch size follow from the texts."""


def default_space(options: Options) -> Space:
    """That of `DEFAULTS` for the encoder; word embeddings that begin at random have the rate of all else."""
    whole = DEFAULTS["words" if reads_words(options.encoder) else "transformer"]
    without = () if getattr(options, "embeddings", None) is not None else ("embedding_lr",)
    return {name: own for name, own in whole.items() if name not in without}


def known_options(runs: Sequence[Options]) -> dict[str, Field]:
    """The options that a space may name: those of any run of the package, and those of these runs."""
    known = {name: each.field for name, each in elsewhere().items()}
    known |= {field.name: field for own in runs for field in fields(own)}
    return {name: field for name, field in known.items() if name not in _NO_HYPER_PARAMETERS}


def read_space(given: Path | str | Mapping[str, Any], known: Mapping[str, Field]) -> Space:
    """A space of the user's own.

    Args:
        given: a YAML file, or what would stand in it.
        known: the options that it may name.

    Raises:
        InputError: there is no such file, an option that is none or that no search may change, or neither choices nor a
            range, or a value that the option does not take; it names the file and the line.
    """
    found = {name: _dimension(place, name, value, known) for place, name, value in _entries(given)}
    if not found:
        raise InputError(f"{given if isinstance(given, Path | str) else 'space'}: no option; {_EXPECTED}")
    return found


def _entries(given: Path | str | Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """Of each option where it stands, its name and what is said of it."""
    if isinstance(given, Mapping):
        yield from (("space: ", name, value) for name, value in given.items())
        return
    node = read_yaml(given)
    if not isinstance(node, yaml.MappingNode):
        raise InputError(f"{given}: options as `option: choices` lines are expected; {_EXPECTED}")
    for name, key in yaml_keys(node, given, what="the space").items():
        yield f"{given}, line {key.line}: ", name, plain_value(key.node, given)


def _dimension(place: str, name: str, value: Any, known: Mapping[str, Field]) -> "tuple[Any, ...] | Range":
    name = str(name)
    if name in _NO_HYPER_PARAMETERS:
        raise InputError(f"{place}{name}: no search may change it; expected an option of the model or its training")
    if name not in known:
        raise InputError(f"{place}{unknown_name('option', name, sorted(known))}")
    field = known[name]
    if isinstance(value, Range):
        value = asdict(value)
    try:
        if isinstance(value, Mapping):
            return _range(field, value)
        if not isinstance(value, list | tuple) or not value:
            raise InputError(f"{flag(name)}: found {shown(value)}, {_EXPECTED}")
        return tuple(dict.fromkeys(_value(field, each) for each in value))
    except InputError as error:
        raise InputError(f"{place}{error}") from None


def _value(field: Field, value: Any) -> Any:
    if value is None or isinstance(value, list | tuple | Mapping):
        raise InputError(f"{flag(field.name)}: found {shown(value)} among the choices, expected values of the option")
    return accepted(field, plain(field, value))


def _range(field: Field, value: Mapping[str, Any]) -> Range:
    name = flag(field.name)
    if field.type not in (int, float):
        raise InputError(f"{name}: found {shown(dict(value))}, and no numbers; expected choices, as [a, b]")
    if not {"low", "high"} <= value.keys() <= {"low", "high", "log"} or value.get("log", False) not in (True, False):
        raise InputError(f"{name}: found {shown(dict(value))}, {_EXPECTED}")
    low, high, log = _value(field, value["low"]), _value(field, value["high"]), bool(value.get("log", False))
    if not low < high or (log and low <= 0):
        raise InputError(f"{name}: found low {low} and high {high}, expected low < high, and with log low > 0")
    return Range(low, high, log)


def space_of(name: str, space: Space, options: Options, own: Sequence[str]) -> Space:
    """What is tried for a variant; options that its runs do not look at, and its own, are named and left out.

    Args:
        name: the variant's.
        space: what is tried for all.
        options: of its runs.
        own: the options that make the variant what it is.
    """
    found: Space = {}
    for option, values in space.items():
        why = f"{flag(option)} is its own" if option in own else _idle(option, values, options)
        if why is None:
            found[option] = values
        else:
            note(f"the search for {name} leaves an option as it is: {why}")
    return found


def _idle(option: str, values: "tuple[Any, ...] | Range", options: Options) -> str | None:
    """Why a run does not look at an option, or None."""
    known = {field.name: field for field in fields(options)}
    if option not in known and option not in elsewhere():  # of an architecture from outside
        return f"{flag(option)} has no effect with --arch {options.arch}"
    field = known[option] if option in known else elsewhere()[option].field
    tried = (values.low, values.high) if isinstance(values, Range) else values
    other = next((each for each in tried if each != field.default), field.default)
    lines = what_holds({**asdict(options), option: other})[1]
    return next((line for line in lines if line.startswith(f"{flag(option)} has no effect")), None)


def as_plain(space: Space) -> dict[str, Any]:
    """The space as its file would hold it."""
    return {name: asdict(own) if isinstance(own, Range) else [*own] for name, own in space.items()}
