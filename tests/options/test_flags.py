from dataclasses import fields

import pytest
from jsonargparse import ArgumentParser

from graphmtl.config import Options
from graphmtl.options.flags import add_flag, plain

FIELDS = {field.name: field for field in fields(Options)}


@pytest.mark.parametrize(
    ("name", "written", "value"),
    [
        ("lr", "1e-3", 0.001),  # a text to YAML 1.1
        ("epochs", "3", 3),
        ("progress", "false", False),
        ("lr", 0.5, 0.5),
        ("output", "1e-3", "1e-3"),
        ("lr", "fast", "fast"),
        ("epochs", "1e400", "1e400"),
        ("epochs", "1.5", "1.5"),
    ],
)
def test_what_is_written_out_becomes_what_it_is_and_all_else_stays(name, written, value):
    found = plain(FIELDS[name], written)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize("text", ["#", "null", "~", "a: b"])
def test_a_text_on_the_command_line_is_never_nothing(text):
    parser = ArgumentParser(exit_on_error=False)
    add_flag(parser, FIELDS["output"])
    assert parser.parse_args(["--output", text]).output == text
    assert parser.parse_args([]).output is None


def test_a_switch_has_a_flag_for_on_and_one_for_off():
    parser = ArgumentParser(exit_on_error=False)
    add_flag(parser, FIELDS["progress"])
    found = [parser.parse_args(given).progress for given in ([], ["--progress"], ["--no-progress"])]
    assert found == [True, True, False]
