"""What a run looks at.

Five options decide it: the architecture, the encoder, the task set, the balancing and the further terms of the loss
that ``--arch``, ``--encoder``, ``--tasks``, ``--balancing`` and ``--terms`` name have options of their own, and so has
what an architecture makes possible. One that a run does not look at is
named and left out, so that a grid of runs may have the same flags; one that does not exist is an error.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import Field, asdict, dataclass, fields
from functools import cache
from typing import Any

from torch import nn

from graphmtl.analysis.affinity import AffinityOptions
from graphmtl.architectures import architecture_class
from graphmtl.config import OptionGroup, Options, accepted, flag, is_given, picked
from graphmtl.errors import InputError, note, unknown_name
from graphmtl.models.encoders import encoder_class
from graphmtl.models.model_options import model_options_class, put_together
from graphmtl.options.earlier import today
from graphmtl.options.flags import plain
from graphmtl.registry import ARCHITECTURES, BALANCINGS, ENCODERS, OBJECTIVES, TASK_SETS, find_class, with_names

__all__ = [
    "CHOOSING",
    "all_groups",
    "changed",
    "class_for",
    "elsewhere",
    "make_options",
    "of_architecture",
    "options_class",
    "what_holds",
]

CHOOSING = ("arch", "encoder", "tasks", "balancing", "terms")  # options that decide which others there are
_DEFAULTS = {field.name: field.default for field in fields(Options)}


def of_architecture(arch: str) -> list[type[OptionGroup]]:
    """The groups of an architecture: its own, and those of what it makes possible."""
    architecture = architecture_class(arch)
    groups: list[type[OptionGroup]] = [architecture.Options]
    if architecture.virtual_node is not None:
        groups.append(AffinityOptions)
    terms: list[Any] = [find_class("term", name, OBJECTIVES, nn.Module) for name in OBJECTIVES]
    groups += [term.Options for term in terms if term.suits(architecture) and fields(term.Options)]
    return [*dict.fromkeys(groups)]  # two terms may have the same


def _of_training(what: str, name: str, known: Mapping[str, str]) -> list[type[OptionGroup]]:
    """The options of a part of the training, if it has any; whether it is such a part is looked at where it is made."""
    group: type[OptionGroup] = getattr(find_class(what, name, known, nn.Module), "Options", OptionGroup)
    return [group] if fields(group) else []


def _of_task_set(name: str) -> type[OptionGroup]:
    return find_class("task set", name, TASK_SETS, OptionGroup)


@cache
def options_class(arch: str, encoder: str, tasks: str, balancing: str, terms: str | None) -> type[Options]:
    """A class with all that a run looks at.

    Raises:
        InputError: there is no such architecture, encoder, balancing or term.
    """
    named = re.split("[+:]", tasks)
    groups = [_of_task_set(name) for name in TASK_SETS if name in named]
    groups += _of_training("--balancing", balancing, BALANCINGS)
    for term in terms.split(",") if terms else ():
        groups += _of_training("--terms", term, {})
    groups += [*of_architecture(arch)[1:], model_options_class(arch, encoder), Options]
    return put_together("Options", groups, make_options)


def class_for(values: Mapping[str, Any]) -> type[Options]:
    """The class for values by name, of which those that choose must be right."""
    common = {field.name: field for field in fields(Options)}
    return options_class(*(accepted(common[name], values.get(name, _DEFAULTS[name])) for name in CHOOSING))


@dataclass(frozen=True)
class _Elsewhere:
    """An option that some runs look at.

    Attributes:
        field: what it is.
        chooser: the option that decides, of :data:`CHOOSING`.
        owners: the values with which a run looks at it.
    """

    field: Field
    chooser: str
    owners: list[str]


@cache
def elsewhere() -> dict[str, _Elsewhere]:
    """Every option that not all runs look at, by name."""
    found: dict[str, _Elsewhere] = {}
    for chooser, owner, group in all_groups():
        for field in fields(group):
            if field.name not in _DEFAULTS:
                found.setdefault(field.name, _Elsewhere(field, chooser, [])).owners.append(owner)
    return found


def all_groups() -> Iterator[tuple[str, str, type[OptionGroup]]]:
    """Every group that is chosen: by which option, by which value of it."""
    for arch in ARCHITECTURES:
        yield from (("arch", arch, group) for group in of_architecture(arch))
    for encoder in (*ENCODERS, "transformer"):
        yield "encoder", encoder, encoder_class(encoder).Options
    for tasks in TASK_SETS:
        yield "tasks", tasks, _of_task_set(tasks)
    for balancing in BALANCINGS:
        yield from (("balancing", balancing, group) for group in _of_training("balancing", balancing, BALANCINGS))


def make_options(**values: Any) -> Options:
    """Options by name; a part may be its class. What has no effect in such a run, and is not at its default, is said.

    >>> make_options(arch="star", score="dot").hidden
    64

    Raises:
        InputError: a name that does not exist, a value that is not accepted, or two options that exclude each other.
    """
    options, lines = what_holds(today(with_names(values)))
    for line in lines:
        note(line)
    return options


def changed(options: Options, **changes: Any) -> Options:
    """The options with changes; what the run then no longer looks at is left out.

    Raises:
        InputError: a change of what is no option.
    """
    values = {**asdict(options), **changes}
    kind = class_for(values)
    for name in changes.keys() - {field.name for each in (kind, type(options)) for field in fields(each)}:
        if name not in elsewhere():
            raise unknown_name("option", name, [field.name for field in fields(kind)])
    return picked(kind, values)


def what_holds(values: Mapping[str, Any]) -> tuple[Options, list[str]]:
    """The options, and a line for each that nothing looks at."""
    kind = class_for(values)
    own, idle = {field.name: field for field in fields(kind)}, defaultdict[tuple, list[str]](list)
    for name in sorted(values.keys() - own.keys()):
        if name not in elsewhere():
            raise unknown_name("option", name, [*own, *elsewhere()])
        other = elsewhere()[name]
        if accepted(other.field, plain(other.field, values[name])) != other.field.default:
            idle[other.chooser, *other.owners].append(_as_given(other.field))
    lines = [_of_others(names, chooser, owners, values) for (chooser, *owners), names in idle.items()]
    options = kind(**{name: plain(field, values[name]) for name, field in own.items() if name in values})
    if options.resume and options.overwrite:
        raise InputError("--resume --overwrite: one goes on with what is in --output, the other replaces it; give one")
    return options, [*lines, *_idle(options)]


def _of_others(flags: Sequence[str], chooser: str, owners: Sequence[str], values: Mapping[str, Any]) -> str:
    """A line for options that runs with another value of ``chooser`` look at."""
    has, it_is = ("has", "it is") if len(flags) == 1 else ("have", "they are")
    there = f"{flag(chooser)} {values.get(chooser, _DEFAULTS[chooser])}"
    return f"{', '.join(flags)} {has} no effect with {there}; {it_is} for {', '.join(owners)}"


def _idle(options: Options) -> Iterator[str]:
    """A line for each option that another one puts out of use."""
    own, values = {field.name: field for field in fields(options)}, asdict(options)
    for name, field in own.items():
        needs, unless = field.metadata["needs"], field.metadata["unless"]
        if values[name] == field.default:
            continue
        if needs is not None and not is_given(needs, values, own):
            yield f"{_as_given(field)} has no effect without {_shown(needs, own)}"
        elif unless is not None and is_given(unless[0], values, own):
            yield f"{_as_given(field)} has no effect with {_shown(unless[0], own)}, {unless[1]}"


def _as_given(field: Field) -> str:
    """What the command line has where an option is not at its default: the switch off, where it is on by default."""
    return flag(f"no_{field.name}" if field.default is True else field.name)


def _shown(condition: str, own: Mapping[str, Field]) -> str:
    """NAME or NAME=VALUE as it is given on the command line."""
    name, _, value = condition.partition("=")
    return f"{_as_given(own[name])} {value}".rstrip()
