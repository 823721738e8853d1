import math
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from graphmtl.config import OptionGroup, Options, TrainingOptions, accepted, flag, option, part
from graphmtl.errors import InputError
from graphmtl.options import make_options


@dataclass(frozen=True, kw_only=True)
class Group(OptionGroup):
    """An option of every type."""

    sizes: int = option(3, "a number from 1 to 9", low=1, high=9)
    rate: float = option(0.5, "a number", low=0)
    on: bool = option(True, "a switch")
    kind: Literal["a", "b"] = option("a", "a choice")
    folder: str | None = option(None, "a text that may be missing")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("sizes", 0, "--sizes: found 0, expected a number from 1 to 9"),
        ("sizes", 10, "--sizes: found 10, expected a number from 1 to 9"),
        ("sizes", 1.5, "--sizes: Expected a int. Got value: 1.5"),
        ("sizes", True, "--sizes: Expected a int. Got value: True"),
        ("sizes", None, "sizes has no value"),
        ("rate", -0.1, "--rate: found -0.1, expected 0 or more"),
        ("rate", math.nan, "--rate: found nan, expected 0 or more"),
        ("rate", 10**400, f"--rate: Expected a float. Got value: {10**400}"),
        ("on", 1, "--on: Expected a bool. Got value: 1"),
        ("kind", "c", "--kind: Expected a Literal['a', 'b']. Got value: c"),
        ("kind", ["a"], "--kind: Expected a Literal['a', 'b']. Got value: ['a']"),
        ("folder", 5, "--folder: Expected a str. Got value: 5"),
    ],
)
def test_what_is_not_accepted_is_an_error_however_options_are_made(name, value, message):
    for make in (lambda: Group(**{name: value}), lambda: replace(Group(), **{name: value})):
        with pytest.raises(InputError) as error:
            make()
        assert str(error.value) == message


@pytest.mark.parametrize(
    ("name", "value", "taken"),
    [
        ("folder", Path("a/run"), "a/run"),
        ("sizes", np.int64(9), 9),
        ("rate", np.float64(0.25), 0.25),
        ("rate", 2, 2.0),
        ("on", np.bool_(False), False),
        ("kind", np.str_("b"), "b"),
        ("folder", None, None),
    ],
)
def test_what_is_accepted_becomes_a_plain_value(name, value, taken):
    found = getattr(Group(**{name: value}), name)
    assert (found, type(found)) == (taken, type(taken))


def test_a_part_of_the_options_is_what_its_group_says():
    options = make_options(lr=0.25, arch="single", output="here")
    training = part(options, TrainingOptions)
    assert type(training) is TrainingOptions
    assert training == TrainingOptions(lr=0.25)
    assert asdict(training).items() <= asdict(options).items()


def test_options_are_called_on_the_command_line_by_their_names():
    assert flag("max_length") == "--max-length"


def test_defaults_are_accepted_and_every_option_has_a_sentence():
    for each in fields(Options):
        assert accepted(each, each.default) == each.default
        assert each.metadata["help"]
