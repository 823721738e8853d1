import pytest
import yaml

from graphmtl.data.section import Given, YamlSection, is_number
from graphmtl.data.yaml_lines import compose_yaml
from graphmtl.errors import InputError


def both(value):
    """A key with this value, second in a file and in Python."""
    node = compose_yaml(yaml.safe_dump({"first": 1, "key": value}, sort_keys=False).encode(), "my.yaml")
    return [YamlSection("my.yaml", node, what="the file"), Given({"first": 1, "key": value}, what="task 'a'")]


@pytest.mark.parametrize(
    ("kind", "value", "taken"),
    [
        ("text", "review", "review"),
        ("texts", "review", ("review",)),
        ("texts", ["a", "b"], ("a", "b")),
        ("plain", ["", 5, 1.0, "x"], ("", "5", "1", "x")),
        ("plain", 5, ("5",)),
        ("plain", [-9.5, "-9.50"], ("-9.5", "-9.50")),
        ("delimiter", "TAB", "\t"),
        ("delimiter", "\\t", "\t"),
        ("delimiter", ";", ";"),
        ("labels", ["neg", "pos"], {"neg": "neg", "pos": "pos"}),
        ("labels", [1, 5], {"1": "1", "5": "5"}),
        ("labels", {1: "bad", 5: "good"}, {"1": "bad", "5": "good"}),
        ("scale", [0, 2.5], (0.0, 2.5)),
    ],
)
def test_values_that_are_taken(kind, value, taken):
    for section in both(value):
        assert getattr(section, kind)("key") == taken


def test_a_tuple_of_python_is_a_list():
    given = Given({"texts": ("a", "b"), "labels": ("x", "y"), "scale": (0, 5)}, what="task 'a'")
    assert (given.texts("texts"), given.scale("scale")) == (("a", "b"), (0.0, 5.0))
    assert given.labels("labels") == {"x": "x", "y": "y"}


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("text", " ", "a text"),
        ("text", True, "a text (in quotes where YAML takes it for something else)"),
        ("text", ["a"], "a text"),
        ("texts", [], "a text"),
        ("texts", ["a", ""], "a text"),
        ("texts", ["a", 5], "a text"),
        ("plain", float("nan"), "a text (in quotes"),
        ("plain", float("inf"), "a text (in quotes"),
        ("plain", [True], "a text (in quotes"),
        ("plain", {"a": "b"}, "a text (in quotes"),
        ("delimiter", "ab", "a single character, or TAB"),
        ("delimiter", '"', "a single character, or TAB"),
        ("delimiter", "\n", "a single character, or TAB"),
        ("labels", "x", "a list of labels, or `label: name` lines"),
        ("labels", [True, False], "a list of labels, or `label: name` lines, with yes, no, on, off, true and false in"),
        ("labels", ["x"], "two or more different labels"),
        ("labels", ["x", "x", "y"], "two or more different labels"),
        ("labels", ["1", 1], "two or more different labels"),
        ("labels", {"x": "a", "y": "a"}, "two or more different labels"),
        ("scale", 5, "the lowest and the highest score, such as [0, 5]"),
        ("scale", [5, 0], "the lowest and the highest score"),
        ("scale", [0, 1, 2], "the lowest and the highest score"),
        ("scale", [0, True], "the lowest and the highest score"),
    ],
)
def test_values_that_are_not_taken_are_named_with_their_place(kind, value, expected):
    several = isinstance(value, list | dict)
    for section, place in zip(both(value), ("my.yaml, line 2", "task 'a', key 'key'"), strict=True):
        with pytest.raises(InputError) as error:
            getattr(section, kind)("key")
        assert str(error.value).startswith(f"{place}: `key` {'holds several values' if several else 'is '}")
        assert f", expected {expected}" in str(error.value)
        assert "\n" not in str(error.value)


def test_names_that_are_none_of_the_known():
    for section, place in zip(both("iob3"), ("my.yaml, line 2", "task 'a', key 'key'"), strict=True):
        assert section.choice("key", ["iob3", "iob2"]) == "iob3"
        with pytest.raises(InputError, match=f"^{place}: unknown key 'iob3'; did you mean 'iob2'"):
            section.choice("key", ["bioes", "iob2"])
        section.check_keys(["first", "key"])
        with pytest.raises(InputError, match=f"^{place}: unknown key 'key'; did you mean 'keys'"):
            section.check_keys(["first", "keys"])


@pytest.mark.parametrize(
    ("content", "place"), [(b"", "my.yaml"), (b"{}", "my.yaml, line 1"), (b"\n- a", "my.yaml, line 2")]
)
def test_what_is_no_mapping(content, place):
    with pytest.raises(InputError, match=f"^{place}: task 'a' must hold `key: value` lines$"):
        YamlSection("my.yaml", yaml.compose(content), what="task 'a'")


def test_a_truth_value_is_no_number():
    assert [is_number(value) for value in (1, 0.5, True, "1", None)] == [True, True, False, False, False]
