"""Parts by name: found again, or one line that says what is wrong."""

import pytest

from graphmtl.architectures.architecture import Architecture
from graphmtl.architectures.star import Star
from graphmtl.errors import InputError
from graphmtl.kinds.tagging import TagHead
from graphmtl.models.encoder import Encoder
from graphmtl.registry import ARCHITECTURES, ENCODERS, HEADS, find_class, find_function, is_outside, name_of, with_names


class Local(Star):
    class Inner(Star):
        """A class in a class."""

    @staticmethod
    def make():
        """A function in a class."""


@pytest.mark.parametrize("kind", [Star, Local, Local.Inner])
def test_a_class_is_found_again_by_its_name(kind):
    assert is_outside(name_of(kind))
    assert find_class("arch", name_of(kind), {}, Architecture) is kind


@pytest.mark.parametrize(("known", "kind"), [(ARCHITECTURES, Architecture), (ENCODERS, Encoder), (HEADS, TagHead)])
def test_every_name_of_a_table_stands_for_a_class_of_its_kind(known, kind):
    for name in known:
        assert issubclass(find_class("part", name, known, kind), kind)
        assert not is_outside(name)


def test_a_function_is_found_by_its_name():
    assert find_function("metric", "tests.test_registry:Local.make") is Local.make
    for name, problem in [
        ("tests.test_registry:ARCHITECTURES", "metric .*: found {.*, expected a function"),
        ("tests.test_registry:nothing", "metric .*: no 'nothing' in 'tests.test_registry'"),
        ("no_such_module:f", "metric .*: there is no module 'no_such_module'; it must be installed"),
    ]:
        with pytest.raises(InputError, match=problem):
            find_function("metric", name)


def test_a_class_in_a_script_or_a_function_has_no_name():
    class Here(Star):
        pass

    script = type("Script", (Star,), {"__module__": "__main__"})
    for kind in (Here, script):
        with pytest.raises(InputError, match="is in a script or a function, where a saved"):
            name_of(kind)


def test_options_may_hold_classes():
    assert with_names({"arch": Local, "hidden": 3}) == {"arch": "tests.test_registry:Local", "hidden": 3}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("sta", "unknown arch 'sta'; did you mean 'star'?"),
        (
            "no_such_module:Grid",
            "arch 'no_such_module:Grid': there is no module 'no_such_module'; it must be installed",
        ),
        ("tests.no_such:Grid", "there is no module 'tests.no_such'"),
        ("tests.test_registry:Locall", "no 'Locall' in 'tests.test_registry'; did you mean 'Local'?"),
        ("tests.test_registry:Local.Outer", "no 'Outer' in 'tests.test_registry'"),
        ("tests.test_registry:TagHead", "expected a class derived from Architecture"),
        ("tests.test_registry:ARCHITECTURES", "expected a class derived from Architecture"),
        ("tests.test_registry:", "unknown arch 'tests.test_registry:'"),
    ],
)
def test_what_is_no_part_is_one_line(name, message):
    with pytest.raises(InputError) as error:
        find_class("arch", name, ARCHITECTURES, Architecture)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
