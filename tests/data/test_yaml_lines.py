import json
import time

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from graphmtl.data.yaml_lines import compose_yaml, plain_value, read_yaml, yaml_keys
from graphmtl.errors import InputError

# 8 levels of 9 aliases each: 43 million values from some hundred bytes
BOMB = (
    b"a: [&a0 [x], " + b", ".join(b"&a%d [%s]" % (i, b", ".join([b"*a%d" % (i - 1)] * 9)) for i in range(1, 9)) + b"]"
)
CHAIN = b"[&a0 [x], " + b", ".join(b"&a%d [*a%d]" % (i, i - 1) for i in range(1, 60)) + b"]"

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters(codec="utf-8")),
    lambda values: st.lists(values, max_size=4) | st.dictionaries(st.text("abc", max_size=3), values, max_size=4),
    max_leaves=20,
)


@given(plain)
def test_plain_values_come_back(value):
    node = compose_yaml(yaml.safe_dump(value).encode(), "text")
    assert plain_value(node, "text") == value


def test_aliases_stand_for_their_values_and_dates_are_texts():
    node = compose_yaml(b"a: &x [1, yes]\nb: *x\nc: 2020-01-31\nd: !!str 5\ne: <<", "text")
    once = [1, True]
    assert plain_value(node, "text") == {"a": once, "b": once, "c": "2020-01-31", "d": "5", "e": "<<"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: 1\nb: !!timestamp x", "line 2: not YAML .the tag 'tag:yaml.org,2002:timestamp'; expected: plain values"),
        (b"!!python/object/apply:os.getpid []", "line 1: not YAML .the tag"),
        (b"a: !!binary eA==", "line 1: not YAML .the tag"),
        (b"!!set {a, b}", "line 1: not YAML .the tag"),
        (b"[" * 500, "line 1: not YAML .lists or mappings in more than 32 others"),
        (b"- " * 500, "line 1: not YAML .lists or mappings in more than 32 others"),
        (CHAIN, "line 1: not YAML .lists or mappings in more than 32 others"),
        (BOMB, "line 1: not YAML .more than 100,000 values"),
        (b"x: 1\na: &a [*a]", "line 2: not YAML ..a stands within what it stands for"),
        (b"a: *b", "line 1: not YAML .found undefined alias"),
        (b"a: 1" + b"0" * 100, "line 1: not YAML .a number of 101 characters"),
        (b"a: " + b"x" * (1 << 20), "bytes of YAML; expected: 1,048,576 or fewer"),
        (b"a: 1\nb: \xff", "line 2: byte 0xff is not UTF-8"),
    ],
)
def test_what_a_stranger_may_write_ends_at_once(content, message):
    start = time.process_time()
    with pytest.raises(InputError, match=f"^a[.]yaml(, |: .*){message}"):
        compose_yaml(content, "a.yaml")
    assert time.process_time() - start < 5


def test_as_deep_and_as_many_as_is_allowed():
    assert compose_yaml(b"[" * 32 + b"]" * 32, "text") is not None
    assert compose_yaml(json.dumps(["x"] * 20_000).encode(), "text") is not None


@pytest.mark.parametrize("content", [b"!!int x", b"!!bool x", b"!!float x", b"[1, !!int x]", b"? [a]\n: 1", b"!!seq x"])
def test_what_is_not_what_its_tag_says(content):
    with pytest.raises(InputError, match=r"a\.yaml, line 1: .* is not what its tag says"):
        plain_value(compose_yaml(content, "a.yaml"), "a.yaml")


def test_files_that_are_read(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\n\nb: 2\n")
    assert {name: key.line for name, key in yaml_keys(read_yaml(path), path, what="it").items()} == {"a": 1, "b": 3}
    path.write_text("# nothing\n")
    assert read_yaml(path) is None
    path.write_text(" \n")
    with pytest.raises(InputError, match="the file is empty"):
        read_yaml(path)
    with pytest.raises(InputError, match="a folder, where a file is expected"):
        read_yaml(tmp_path)
