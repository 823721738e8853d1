import pytest

from graphmtl.comparison.variants import as_flags, is_setting, variants
from graphmtl.errors import InputError


def test_architectures_have_options_of_their_own():
    star, shared = variants(["star", "shared"], ["star.score=dot", "star.node_bias=false"])
    assert (star.name, star.arch, star.flags) == ("star", "star", ("--score=dot", "--no-node-bias"))
    assert (shared.name, shared.flags) == ("shared", ())


def test_several_of_one_architecture_have_names_of_their_own():
    _, wide = variants(["star"], ["wide.lr=0.1"], [("wide", "star --hidden 9")])
    assert (wide.name, wide.arch, wide.flags) == ("wide", "star", ("--hidden", "9", "--lr=0.1"))
    assert [each.name for each in variants(["wide", "star"], own=[("wide", "star --hidden 9")])] == ["wide", "star"]


def test_the_seed_in_options_is_the_runs():
    (taught,) = variants([], own=[("taught", "cmtr --teachers runs/shared-{seed}")])
    assert taught.of_seed(3) == ["--arch", "cmtr", "--teachers", "runs/shared-3"]


def test_an_architecture_from_outside_is_called_by_its_class():
    (own,) = variants(["my.parts:Mine"])
    assert (own.name, own.arch) == ("Mine", "my.parts:Mine")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((["star"], ["star.score"]), r"--set star\.score: expected NAME\.OPTION=VALUE"),
        ((["star"], ["shared.hidden=3"]), "unknown architecture of --set 'shared'"),
        ((["star", "star"],), "star stands twice"),
        (([], [], [("a/b", "star")]), "--variant a/b 'star': expected a name"),
        (([], [], [("wide", "--hidden 9")]), "expected a name, and an architecture"),
        (([], [], [("wide", "star"), ("wide", "shared")]), "wide stands twice"),
    ],
)
def test_mistakes(given, message):
    with pytest.raises(InputError, match=message):
        variants(*given)


def test_a_word_is_an_option_of_a_variant_if_there_is_such_a_one():
    assert is_setting("star.score=dot", ["star", "shared"])
    assert not is_setting("runs/star.x=y", ["star"])
    assert not is_setting("star.score", ["star"])


def test_values_as_flags():
    assert as_flags("max_length", 9) == ["--max-length=9"]
    assert as_flags("lower-case", True) == ["--lower-case"]
