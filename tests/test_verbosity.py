import sys

import pytest

from graphmtl.verbosity import NORMAL, QUIET, VERBOSE, detail, is_quiet, say, verbosity


@pytest.mark.parametrize(
    ("level", "out", "err"),
    [(QUIET, "", ""), (NORMAL, "a\nb\n", ""), (VERBOSE, "a\nb\n", "graphmtl: more\n")],
)
def test_what_each_level_says(level, out, err, capsys):
    with verbosity(level):
        say("a", "b")
        detail("more")
        assert is_quiet() == (level == QUIET)
    assert capsys.readouterr() == (out, err)


def test_lines_go_where_they_are_told_to(capsys):
    say("a", file=sys.stderr)
    assert capsys.readouterr() == ("", "a\n")


def test_a_level_ends_with_its_block_even_if_that_fails():
    with verbosity(VERBOSE):
        with pytest.raises(KeyError), verbosity(QUIET):
            raise KeyError
        assert not is_quiet()
