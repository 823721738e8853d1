"""What is compared: architectures, each with options of its own, by a name."""

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from graphmtl.config import flag
from graphmtl.errors import InputError, unknown_name

__all__ = ["Variant", "as_flags", "is_setting", "variants"]

_SETTING = re.compile(r"(?P<name>[^\s=]+)\.(?P<option>\w[\w-]*)=(?P<value>.*)", re.DOTALL)
_NAME = re.compile(r"[\w.+-]+")


@dataclass(frozen=True, kw_only=True)
class Variant:
    """An architecture with options of its own.

    Attributes:
        name: what it is called in tables, and its runs' folders.
        arch: the architecture, or ``module:Class``.
        flags: its options as a command line has them; ``{seed}`` is the run's seed.
        found: what its options follow from where not all are its own, such as a search's trial; it stands behind the
            name of its runs' folders, which another finding leaves alone.
    """

    name: str
    arch: str
    flags: tuple[str, ...] = ()
    found: str = ""

    @property
    def place(self) -> str:
        """What its runs' folders are called, but for the seed."""
        return f"{self.name}-{self.found}" if self.found else self.name

    def of_seed(self, seed: int) -> list[str]:
        """The flags of a run."""
        return ["--arch", self.arch, *(each.replace("{seed}", str(seed)) for each in self.flags)]


def is_setting(word: str, names: Sequence[str]) -> bool:
    """Whether a word of a command line is an option of one of some variants, such as ``star.score=dot``.

    >>> is_setting("star.score=dot", ["star"]), is_setting("star.score=dot", ["shared"])
    (True, False)
    """
    match = _SETTING.fullmatch(word)
    return match is not None and match["name"] in names


def variants(names: Sequence[str], settings: Sequence[str] = (), own: Sequence[tuple[str, str]] = ()) -> list[Variant]:
    """The variants that are asked for.

    Args:
        names: of architectures, or of ``own``.
        settings: options of one of them, ``NAME.OPTION=VALUE``.
        own: name, and architecture and options as a command line has them.

    Raises:
        InputError: a name that cannot be one, or stands twice, or an option of none of them.
    """
    named = _own_variants(own)
    whole = [*dict.fromkeys([*names, *named])]
    found = {name: named.get(name, Variant(name=name.rpartition(":")[2], arch=name)) for name in whole}
    for text in settings:
        match = _SETTING.fullmatch(text)
        if match is None:
            raise InputError(f"--set {text}: expected NAME.OPTION=VALUE, such as star.score=dot")
        if match["name"] not in found:
            raise unknown_name("architecture of --set", match["name"], found)
        before = found[match["name"]]
        added = as_flags(match["option"], match["value"])
        found[match["name"]] = Variant(name=before.name, arch=before.arch, flags=(*before.flags, *added))
    twice = [name for name in names if [*names].count(name) > 1]
    if twice:
        raise InputError(f"--archs: {twice[0]} stands twice; --variant NAME 'ARCH OPTIONS' gives one another name")
    return [*found.values()]


def _own_variants(own: Sequence[tuple[str, str]]) -> Mapping[str, Variant]:
    found: dict[str, Variant] = {}
    for name, text in own:
        arch, *flags = shlex.split(text) or [""]
        if not _NAME.fullmatch(name) or not arch or arch.startswith("-"):
            raise InputError(f"--variant {name} {text!r}: expected a name, and an architecture with its options")
        if name in found:
            raise InputError(f"--variant: {name} stands twice")
        found[name] = Variant(name=name, arch=arch, flags=tuple(flags))
    return found


def as_flags(option: str, value: object) -> list[str]:
    """An option as a command line has it: a switch is turned on or off, anything else has its value.

    >>> as_flags("score", "dot"), as_flags("node_bias", False)
    (['--score=dot'], ['--no-node-bias'])
    """
    name, text = flag(option), str(value)
    if text.lower() in ("true", "false"):
        return [name if text.lower() == "true" else name.replace("--", "--no-", 1)]
    return [f"{name}={text}"]
