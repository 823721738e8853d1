import re

import pytest

from graphmtl.cli import run_verb
from graphmtl.errors import InputError
from graphmtl.options import parse_options
from tests.options.every import FIELDS


def help_of(*arguments, capsys):
    with pytest.raises(SystemExit) as leaving:
        run_verb(parse_options, [*arguments])
    assert leaving.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("order", [["--help", "all"], ["--epochs", "3", "-h", "all"]])
def test_help_holds_every_option_with_its_default(order, capsys):
    printed = " ".join(help_of(*order, capsys=capsys).split())
    for name, field in FIELDS.items():
        assert f"--{name.replace('_', '-')}" in printed
        words = " ".join(field.metadata["help"].split())
        assert words in printed, name
        assert field.default in (None, False) or f"{words} (default: {field.default})" in printed, name


def test_help_shows_what_matters_first(capsys):
    printed = help_of("--help", capsys=capsys)
    assert 12 <= len(re.findall(r"^  --", printed, re.MULTILINE)) <= 19
    assert len(printed.splitlines()) < 70
    assert printed.count("  graphmtl run") == 3
    assert "planted-words" not in printed


@pytest.mark.parametrize(
    ("group", "has", "lacks"),
    [
        ("star", "--hub-to-head", "--epochs"),
        ("data", "--only", "--lr"),
        ("training", "--balancing METHOD", "--cagrad-c"),
        ("run", "--no-test  ", "--no-test NO_TEST"),
        ("cagrad", "--cagrad-c", "--balancing"),
    ],
)
def test_help_of_a_group(group, has, lacks, capsys):
    printed = help_of("--help", group, capsys=capsys)
    assert has in printed
    assert lacks not in printed


def test_help_of_no_group():
    with pytest.raises(InputError, match="unknown group of options 'strar'; did you mean 'star'"):
        parse_options(["--help", "strar"])
