import warnings
from dataclasses import asdict, replace

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from graphmtl.errors import InputError
from graphmtl.options import make_options, parse_options, read_options
from graphmtl.training.run import Run
from tests.options.every import FIELDS

texts = st.text("aé1:#'\"[]{}\\ ", min_size=1, max_size=8)


@settings(max_examples=15, deadline=None)
@given(
    lr=st.floats(0, 1e6),
    seed=st.integers(0, 2**32 - 1),
    tasks=texts | st.sampled_from(["123", "1e3", "no", "2020-01-01", "a: b"]),
    output=st.none() | texts,
    hub_to_head=st.booleans(),
)
def test_options_survive_config_yaml(tmp_path_factory, **values):
    options = make_options(**values)
    path = tmp_path_factory.mktemp("config") / "config.yaml"
    path.write_text(yaml.safe_dump({"format": 2, **asdict(options)}, sort_keys=False), encoding="utf-8")
    assert parse_options(["--config", str(path)]) == options


def test_numbers_without_a_point_are_numbers_in_yaml(tmp_path):
    (tmp_path / "base.yaml").write_text("lr: 1e-3\nclip: 1\n")  # YAML 1.1 reads 1e-3 as a text
    options = parse_options(["--config", f"{tmp_path}/base.yaml"])
    assert (options.lr, options.clip) == (0.001, 1.0)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"lr: 0.1\n\nhiden: 3\n", ", line 3: unknown key 'hiden'; did you mean 'hidden'?"),
        (b"{lr: 0.1,\n max-length: 3}", ", line 2: unknown key 'max-length'; did you mean 'max_length'?"),
        (b"1: 2\n", ", line 1: unknown key '1'"),
        (b"", ": the file is empty"),
        (b"# nothing\n", ": options as `key: value` lines are expected"),
        (b"- epochs\n", ": options as `key: value` lines are expected"),
        (b"just text\n", ": options as `key: value` lines are expected"),
        (b"epochs: [\n", ", line 2: not YAML ("),
        (b"epochs: 3: 4\n", ", line 1: not YAML ("),
        (b"? [a]\n: b\n", ", line 1: the keys of the file must be plain names"),
        (b"\x00", ": not YAML ("),
        (b"lr: 0.1\nhidden: 3\nlr: 0.2\n", ", line 3: key 'lr' stands twice in the file"),
        (b"lr: 0.1\nhidden: -3\n", ", line 2: --hidden: found -3, expected a number from 1 to 16384"),
        (b"{lr: 0.1,\n seed:}", ", line 2: seed has no value"),
        (b"tasks: caf\xe9\n", ", line 1: byte 0xe9 is not UTF-8"),
        (b"epochs: many\n", ", line 1: --epochs: Expected a int. Got value: many"),
        (b"lr: 0.1\ntasks: [a, b]\n", ", line 2: --tasks: found several values, expected one"),
        (b"lr: 0.1\nhidden: !!timestamp x\n", ", line 2: not YAML (the tag"),
        (b"hidden: !!int x\n", ", line 1: 'x' is not what its tag says"),
        (b"hidden: " + b"9" * 5000, ", line 1: not YAML (a number of 5,000 characters"),
        (b"hidden: " + b"[" * 500, ", line 1: not YAML (lists or mappings in more than 32 others)"),
        (b"\n\nscore: dott\n", ", line 3: --score: Expected a Literal['additive', 'dot', 'static']. Got value: dott"),
    ],
)
def test_mistakes_in_the_file(tmp_path, content, message):
    path = tmp_path / "base.yaml"
    path.write_bytes(content)
    with pytest.raises(InputError) as error:
        parse_options(["--config", str(path)])
    assert str(error.value).startswith(f"{path}{message}")


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("seed: null\n", id="no value"),
        pytest.param("seed: 2020-13-45\n", id="no date"),
        pytest.param("format: 99\n", id="another format"),
    ],
)
def test_more_mistakes_in_the_file(tmp_path, content):
    path = tmp_path / "base.yaml"
    path.write_text(content)
    with pytest.raises(InputError, match=str(path)):
        parse_options(["--config", str(path)])


@pytest.mark.parametrize(
    ("name", "message"), [("missing.yaml", "no such file"), (".", "a folder"), ("/dev/zero", "a device")]
)
def test_a_file_that_cannot_be_read(tmp_path, name, message):
    with pytest.raises(InputError, match=message):
        parse_options(["--config", str(tmp_path / name)])


def test_what_stands_in_the_file_and_defaults_for_the_rest(tmp_path):
    (tmp_path / "base.yaml").write_text("format: 1\nepochs: 3\ndata_dir: null\n")
    assert read_options(tmp_path / "base.yaml") == replace(make_options(), epochs=3)


def test_format_1_held_every_option_of_the_package(tmp_path):
    every = {name: field.default for name, field in FIELDS.items()} | {"arch": "shared", "score": "dot", "lr": 0.5}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"format": 1, **every}))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_options(tmp_path / "config.yaml", written_by_a_run=True) == make_options(arch="shared", lr=0.5)


def test_a_run_of_format_1_is_resumed(run):
    config = yaml.safe_load((run / "config.yaml").read_text())
    (run / "config.yaml").write_text(yaml.safe_dump({**config, "format": 1, "gate_prior": 0.5, "freeze_layers": 0}))
    Run(run).check(make_options(arch="star", lr=0.5, epochs=3, output=str(run), resume=True))
    with pytest.raises(InputError, match=r"lr is 0\.5, not 0\.25"):
        Run(run).check(make_options(arch="star", lr=0.25, epochs=3, output=str(run), resume=True))
    with pytest.raises(InputError, match="arch is 'star', not 'cmtr'"):
        Run(run).check(make_options(arch="cmtr", lr=0.5, epochs=3, output=str(run), resume=True))
