import re

import pytest

from graphmtl.comparison.space import DEFAULTS, Range, as_plain, default_space, known_options, read_space, space_of
from graphmtl.errors import InputError
from graphmtl.options import make_options
from graphmtl.registry import ARCHITECTURES

STAR, SHARED = make_options(arch="star"), make_options(arch="shared")
KNOWN = known_options([STAR])


def read(text, folder):
    path = folder / "space.yaml"
    path.write_text(text)
    return read_space(path, KNOWN)


def test_a_file_has_choices_and_ranges(tmp_path):
    text = (
        "lr: {low: 1e-4, high: 1, log: true}\nhidden: {low: 8, high: 64}\nscore: [dot, additive]\nbidirectional: [no]\n"
    )
    found = read(text, tmp_path)
    assert found == {
        "lr": Range(1e-4, 1.0, log=True),
        "hidden": Range(8, 64),
        "score": ("dot", "additive"),
        "bidirectional": (False,),
    }
    assert [type(found["hidden"].low), type(found["lr"].high)] == [int, float]


def test_what_is_read_is_what_was_written():
    for space in DEFAULTS.values():
        assert read_space(as_plain(space), KNOWN) == space
        assert read_space(space, KNOWN) == space


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lr: 0.1", "line 1: --lr: found 0.1, expected choices, as [32, 64], or of numbers a range"),
        ("lr: []", "line 1: --lr: found []"),
        ("\nlearning_rate: [1]", "line 2: unknown option 'learning_rate'"),
        ("hidden: [8, big]", "line 1: --hidden: Expected a int. Got value: big"),
        ("hidden: [8, null]", "line 1: --hidden: found None among the choices"),
        ("hidden: [0, 8]", "line 1: --hidden: found 0, expected"),
        ("lr: {low: 1}", "line 1: --lr: found {'low': 1}, expected"),
        ("lr: {low: 1, high: 2, step: 1}", "expected choices"),
        ("lr: {low: 1, high: 2, log: maybe}", "expected choices"),
        ("lr: {low: 2, high: 1}", "line 1: --lr: found low 2.0 and high 1.0, expected low < high"),
        ("lr: {low: 0, high: 1, log: true}", "with log low > 0"),
        ("pooling: {low: 1, high: 2}", "and no numbers; expected choices, as [a, b]"),
        ("seed: [1, 2]", "line 1: seed: no search may change it"),
        ("max_train: [10, 20]", "line 1: max_train: no search may change it"),
        ("lr: [1]\nlr: [2]", "line 2: key 'lr' stands twice in the space"),
        ("- lr", "options as `option: choices` lines are expected"),
        ("{}", "no option; expected choices"),
        ("lr: [1", "not YAML"),
    ],
)
def test_a_mistake_is_a_line_that_names_file_line_and_what_is_accepted(text, message, tmp_path):
    with pytest.raises(InputError, match=re.escape(message)) as error:
        read(text, tmp_path)
    assert str(error.value).startswith(str(tmp_path / "space.yaml"))
    assert "\n" not in str(error.value)


def test_a_mistake_of_python_is_named_too():
    with pytest.raises(InputError, match=r"^space: unknown option 'lrr'; did you mean 'lr'"):
        read_space({"lrr": [1]}, KNOWN)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match=r"space\.yaml: no such file"):
        read_space(tmp_path / "space.yaml", KNOWN)


def test_what_a_variant_does_not_look_at_is_named_and_left_out():
    space = {"lr": Range(0.1, 0.2), "score": ("additive", "dot")}
    assert space_of("star", space, STAR, []) == space
    with pytest.warns(match="the search for mine leaves an option as it is: --score has no effect with --arch shared"):
        assert space_of("mine", space, SHARED, []) == {"lr": Range(0.1, 0.2)}


def test_what_another_option_puts_out_of_use_is_left_out():
    with pytest.warns(match="--mix has no effect without --accumulate"):
        assert space_of("star", {"mix": (False, True)}, STAR, []) == {}
    space = {"mix": (False, True), "accumulate": (2, 4)}
    assert space_of("star", space, make_options(accumulate=2), []) == space


def test_an_option_of_an_architecture_from_outside_is_not_that_of_others():
    with pytest.warns(match="--depth has no effect with --arch shared"):
        assert space_of("shared", {"depth": (1, 2)}, SHARED, []) == {}


def test_what_makes_a_variant_what_it_is_stays():
    with pytest.warns(match="the search for wide leaves an option as it is: --hidden is its own"):
        assert space_of("wide", {"hidden": (8, 16)}, STAR, ["hidden"]) == {}


@pytest.mark.parametrize("arch", [*ARCHITECTURES])
def test_all_architectures_have_the_whole_default_space(arch):
    options = make_options(arch=arch, embeddings="vectors.txt")
    assert space_of(arch, default_space(options), options, []) == DEFAULTS["words"]


def test_word_embeddings_that_begin_at_random_have_no_rate_of_their_own():
    assert DEFAULTS["words"].keys() - default_space(STAR).keys() == {"embedding_lr"}


def test_the_default_space_holds_the_defaults():
    """So that the sampler learns from the first trial too."""
    for name, own in DEFAULTS["words"].items():
        default = getattr(STAR, name)
        assert own.low <= default <= own.high if isinstance(own, Range) else default in own


def test_a_transformer_has_a_space_of_its_own():
    options = make_options(arch="shared", encoder="somebody/bert")
    assert default_space(options) == DEFAULTS["transformer"]
    assert space_of("shared", default_space(options), options, []) == DEFAULTS["transformer"]
