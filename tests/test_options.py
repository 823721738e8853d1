import inspect
import math
import re
import warnings
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Literal, get_args, get_origin

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from graphmtl.architectures import ARCHITECTURES, architecture_class
from graphmtl.cli import run_verb
from graphmtl.config import Options
from graphmtl.errors import InputError
from graphmtl.models.model_options import make_model_options
from graphmtl.options import _elsewhere, changed, make_options, options_class, parse_options, read_options
from graphmtl.run import run_and_report
from graphmtl.training.run_folder import Run
from tests.tiny import OPTIONS, flags

CLASSES = {arch: options_class(arch, "lstm", "planted") for arch in ARCHITECTURES}
COMMON = {field.name: field for field in fields(Options)}
FIELDS = {name: each.field for name, each in _elsewhere().items()} | COMMON
TYPES = {name: field.type for name, field in FIELDS.items()}
CHOOSES = ("arch", "encoder", "tasks")


def owner(name):
    """What must be chosen, so that a run looks at an option."""
    return {_elsewhere()[name].chooser: _elsewhere()[name].owners[0]} if name in _elsewhere() else {}


def another(name):
    """A value of an option that is not its default."""
    default, (low, _) = FIELDS[name].default, FIELDS[name].metadata["range"]
    if get_origin(TYPES[name]) is Literal:
        return next(value for value in get_args(TYPES[name]) if value != default)
    if isinstance(default, bool):
        return not default
    if isinstance(default, int):
        return default + 1
    if isinstance(default, float):
        return (low or 0) + 0.25
    return "something-else"


def outside():
    """Every option with a value just outside its range, and the value at the edge, which is accepted."""
    for name, field in FIELDS.items():
        low, high = field.metadata["range"]
        step = 1 if TYPES[name] is int else 0.001
        if low is not None:
            yield name, low - step, low
        if high is not None:
            yield name, high + step, high


def test_without_arguments_the_defaults():
    assert parse_options([]) == make_options()


@pytest.mark.parametrize("arch", CLASSES)
@pytest.mark.parametrize("left_out", ["resume", "overwrite"])
def test_every_option_has_a_flag(arch, left_out):
    names = [field.name for field in fields(CLASSES[arch]) if field.name not in (*CHOOSES, left_out)]
    values = {"arch": arch, **{name: another(name) for name in names}}
    assert parse_options(flags(**values)) == make_options(**values)
    defaults = {name: FIELDS[name].default for name in names if FIELDS[name].default is not None}
    assert parse_options([*flags(**values), *flags(**defaults)]) == make_options(**values | defaults)


def test_options_of_an_architecture_stand_beside_it():
    assert {name: type(make_options(arch=name)).__mro__ for name in CLASSES} == {
        name: kind.__mro__ for name, kind in CLASSES.items()
    }
    for arch, kind in CLASSES.items():
        assert issubclass(kind, architecture_class(arch).Options)
    assert not hasattr(make_options(arch="shared"), "score")
    assert not hasattr(make_options(tasks="sick"), "planted_words")
    assert not hasattr(make_options(encoder="bert"), "embedding_size")
    assert hasattr(make_options(encoder="bert"), "freeze_layers")


def test_options_that_several_parts_have_are_alike():
    """A flag takes the same values whatever the architecture is."""
    for name in _elsewhere():
        own = [field for kind in CLASSES.values() for field in fields(kind) if field.name == name]
        assert len({(field.default, field.type, field.metadata["range"]) for field in own}) <= 1, name


def test_changes_leave_out_what_a_run_no_longer_looks_at():
    options = changed(make_options(arch="star", score="dot", lr=0.5, planted_words=9), arch="cmtr", gate_prior=0.25)
    assert options == make_options(arch="cmtr", gate_prior=0.25, lr=0.5, planted_words=9)
    assert changed(options, tasks="sick") == make_options(arch="cmtr", gate_prior=0.25, lr=0.5, tasks="sick")


def test_what_is_gone_on_with_is_not_replaced():
    with pytest.raises(InputError, match=r"^--resume --overwrite: .* give one$"):
        parse_options(["--resume", "--overwrite"])


@pytest.fixture
def run(tmp_path):
    """The folder of a run of a star with an option that is not the default."""
    Run(tmp_path / "run").create(make_options(arch="star", lr=0.5, epochs=3, output="elsewhere"))
    return tmp_path / "run"


def test_prune_is_the_runs_options_on_its_strongest_edges(run):
    pruned = parse_options(["--prune", str(run), "--keep-top", "2", "--epochs", "4"])
    expected = {"arch": "complete", "topology": str(run), "top_k": 2, "output": f"{run}-top2", "lr": 0.5, "epochs": 4}
    assert pruned == make_options(**expected)
    assert parse_options(["--prune", f"{run}/"]).output == f"{run}-top3"
    assert parse_options(["--prune", str(run), "--output", "here"]).output == "here"


def test_prune_leaves_out_what_the_complete_graph_has_none_of(tmp_path):
    Run(tmp_path / "run").create(make_options(arch="cmtr", teachers="train", output="elsewhere", lr=0.5))
    pruned = parse_options(["--prune", str(tmp_path / "run")])
    assert (pruned.arch, pruned.lr, hasattr(pruned, "teachers")) == ("complete", 0.5, False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--keep-top", "0"], "--keep-top: found 0, expected 1 or more"),
        (["--top-k", "2"], "--top-k: --prune says it already"),
        (["--arch", "star"], "--arch: --prune says it already"),
        (["--config", "c.yaml"], "--config: --prune says it already"),
    ],
)
def test_what_prune_cannot_be_given_with(run, arguments, message):
    with pytest.raises(InputError, match=message):
        parse_options(["--prune", str(run), *arguments])


def test_keep_top_and_prune_need_a_run(tmp_path):
    with pytest.raises(InputError, match=r"--keep-top 3: .* found no --prune"):
        parse_options(["--keep-top", "3"])
    with pytest.raises(InputError, match=r"--prune .*nothing: no run's folder, which has a config.yaml"):
        parse_options(["--prune", f"{tmp_path}/nothing"])
    with pytest.raises(InputError, match="did you mean '--prune'"):
        parse_options(["--prun", "run"])


@pytest.mark.parametrize("name", [name for name in FIELDS if get_origin(TYPES[name]) is Literal])
def test_what_is_no_choice_gets_a_list_of_them(name):
    with pytest.raises(InputError) as error:
        parse_options(flags(**owner(name), **{name: "nonsense"}))
    assert f"--{name.replace('_', '-')}: " in str(error.value)
    assert all(repr(choice) in str(error.value) for choice in get_args(TYPES[name]))


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
        assert field.default is None or f"{words} (default: {field.default})" in printed, name


def test_help_shows_what_matters_first(capsys):
    printed = help_of("--help", capsys=capsys)
    assert 12 <= len(re.findall(r"^  --", printed, re.MULTILINE)) <= 19
    assert len(printed.splitlines()) < 70
    assert printed.count("  graphmtl run") == 3
    assert "planted-words" not in printed


@pytest.mark.parametrize(("group", "has", "lacks"), [("star", "--hub-to-head", "--epochs"), ("data", "--only", "--lr")])
def test_help_of_a_group(group, has, lacks, capsys):
    printed = help_of("--help", group, capsys=capsys)
    assert has in printed
    assert lacks not in printed


def test_help_of_no_group():
    with pytest.raises(InputError, match="unknown group of options 'strar'; did you mean 'star'"):
        parse_options(["--help", "strar"])


def test_the_command_line_goes_before_the_file_and_the_file_before_the_defaults(tmp_path):
    (tmp_path / "base.yaml").write_text("arch: complete\nepochs: 3\nhidden: 5\nnode_bias: false\nlower_case: false\n")
    for arguments in (
        ["--config", f"{tmp_path}/base.yaml", "--hidden", "7", "--lower-case"],
        ["--hidden", "7", "--lower-case", f"--config={tmp_path}/base.yaml"],
    ):
        options = parse_options(arguments)
        assert (options.hidden, options.lower_case) == (7, True)
        assert (options.epochs, options.node_bias) == (3, False)
        back = {"hidden": 64, "lower_case": True, "epochs": COMMON["epochs"].default, "node_bias": True}
        assert replace(options, **back) == make_options(arch="complete")


def test_a_default_on_the_command_line_still_goes_before_the_file(tmp_path):
    (tmp_path / "base.yaml").write_text("epochs: 3\n")
    assert parse_options(["--epochs", "10", "--config", f"{tmp_path}/base.yaml"]).epochs == 10


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
    ("arguments", "message"),
    [
        (["--epocs", "3"], "unknown option '--epocs'; did you mean '--epochs'?"),
        (["--epocs=3"], "unknown option '--epocs'; did you mean '--epochs'?"),
        (["--epoch", "3"], "unknown option '--epoch'; did you mean '--epochs'?"),  # nothing is abbreviated
        (["--epochs", "many"], "--epochs: Expected a int. Got value: many"),
        (["--epochs", "1.5"], "--epochs: Expected a int. Got value: 1.5"),
        (["--lr", "fast"], "--lr: Expected a float. Got value: fast"),
        (["--lr", "nan"], "--lr: Expected a float. Got value: nan"),
        (["--lr"], "--lr: expected one argument"),
        (["--score", "dott"], "--score: Expected a Literal['additive', 'dot', 'static']. Got value: dott"),
        (["--progress", "no"], "unrecognized arguments: no"),
        (["stray"], "unrecognized arguments: stray"),
    ],
)
def test_mistakes_on_the_command_line(arguments, message):
    with pytest.raises(InputError) as error:
        parse_options(arguments)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("name", "found", "edge"), list(outside()))
def test_numbers_out_of_range(name, found, edge):
    with pytest.raises(InputError) as error:
        make_options(**owner(name), **{name: found})
    assert str(error.value).startswith(f"--{name.replace('_', '-')}: found {found}, expected ")
    assert str(FIELDS[name].metadata["range"][0]) in str(error.value)
    assert getattr(make_options(**owner(name), **{name: edge}), name) == edge


def test_numbers_that_have_a_range():
    unlimited = {name for name in FIELDS if TYPES[name] in (int, float)} - {name for name, *_ in outside()}
    assert unlimited <= {"seed"}


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_seeds_that_cannot_be(seed):
    with pytest.raises(InputError, match=f"--seed: found {seed}"):
        parse_options(["--seed", str(seed)])


def test_a_number_that_is_none_is_out_of_every_range():
    with pytest.raises(InputError, match="lr"):
        make_options(lr=math.nan)


@pytest.mark.parametrize("name", list(FIELDS))
def test_a_value_of_another_type_is_one_line(name):
    for value in [["two"], object(), *([] if TYPES[name] in (str, str | None) else ["two"])]:
        with pytest.raises(InputError, match=f"^--{name.replace('_', '-')}: .*{re.escape(str(value))}.?$"):
            make_options(**owner(name), **{name: value})


@pytest.mark.parametrize(
    ("name", "value", "taken"),
    [("output", Path("a/run"), "a/run"), ("seed", np.int64(3), 3), ("lr", np.float64(0.5), 0.5), ("lr", 1, 1.0)],
)
def test_paths_and_numbers_of_numpy_are_plain_values(name, value, taken):
    found = getattr(make_options(**{name: value}), name)
    assert (found, type(found)) == (taken, type(taken))


def test_options_by_name():
    options = make_options(epochs=3, arch="single")
    assert (options.epochs, options.arch, options.lr) == (3, "single", COMMON["lr"].default)
    with pytest.raises(InputError, match="unknown option 'epocs'; did you mean 'epochs'"):
        make_options(epocs=3)


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


def test_numbers_out_of_range_on_the_command_line_and_in_the_file(tmp_path):
    with pytest.raises(InputError, match=r"--lr: found -1\.0, expected 0 or more"):
        parse_options(["--lr", "-1"])
    (tmp_path / "base.yaml").write_text("epochs: 0\n")
    with pytest.raises(InputError, match="--epochs: found 0, expected 1 or more"):
        parse_options(["--config", f"{tmp_path}/base.yaml"])


@pytest.mark.parametrize(
    ("name", "message"), [("missing.yaml", "no such file"), (".", "a folder"), ("/dev/zero", "a device")]
)
def test_a_file_that_cannot_be_read(tmp_path, name, message):
    with pytest.raises(InputError, match=message):
        parse_options(["--config", str(tmp_path / name)])


def test_what_stands_in_the_file_and_defaults_for_the_rest(tmp_path):
    (tmp_path / "base.yaml").write_text("format: 1\nepochs: 3\ndata_dir: null\n")
    assert read_options(tmp_path / "base.yaml") == replace(make_options(), epochs=3)


def test_defaults_of_a_run_hold_where_no_flag_says_anything(tmp_path):
    base = make_options(hidden=8, epochs=3)
    assert parse_options(["--epochs", "5"], base) == make_options(hidden=8, epochs=5)
    (tmp_path / "options.yaml").write_text("hidden: 16\n")
    assert parse_options(["--config", str(tmp_path / "options.yaml")], base) == make_options(hidden=16)


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"arch": "star", "gate_prior": 0.1}, "--gate-prior has no effect with --arch star; it is for cmtr"),
        (
            {"arch": "single", "topology": "complete"},
            "--topology has no effect with --arch single; it is for complete",
        ),
        ({"arch": "single", "teachers": "nosuch"}, "--teachers has no effect with --arch single; it is for cmtr"),
        (
            {"arch": "shared", "hub_to_head": True, "affinity_probe": 5},
            "--affinity-probe, --hub-to-head have no effect with --arch shared; they are for star",
        ),
        ({"arch": "cmtr", "kd_weight": 2.0}, "--kd-weight has no effect without --teachers"),
        ({"tasks": "sick", "planted_words": 9}, "--planted-words has no effect with --tasks sick; it is for planted"),
        ({"tasks": "sick+planted:child1", "planted_words": 9}, None),
        ({"arch": "cmtr", "kd_weight": 2.0, "teachers": "train"}, None),
        ({"arch": "cmtr", "gate_prior": 0.1}, None),
        ({"arch": "star", "gate_prior": 0.5}, None),
        ({"encoder": "bert", "min_count": 2}, "--min-count has no effect with --encoder bert; it is for lstm"),
        ({"layer_decay": 0.9}, "--layer-decay has no effect with --encoder lstm; it is for transformer"),
        ({"embedding_size": 50, "embeddings": "glove.txt"}, "--embedding-size has no effect with --embeddings, whose"),
        ({"embedding_size": 50}, None),
    ],
)
@pytest.mark.filterwarnings("always:--:graphmtl.errors.DataWarning")
def test_an_option_that_nothing_looks_at_is_named(given, line, tmp_path):
    (tmp_path / "options.yaml").write_text(yaml.safe_dump(given))
    for build in (
        lambda: make_options(**given),
        lambda: parse_options(flags(**given)),
        lambda: read_options(tmp_path / "options.yaml"),
    ):
        with warnings.catch_warnings(record=True) as found:
            build()
        assert [str(each.message)[: len(line or "")] for each in found] == ([] if line is None else [line])


def test_what_has_no_effect_must_still_be_a_value():
    with pytest.raises(InputError, match=r"--gate-prior: found 2\.0, expected a number from 0 to 1"):
        make_options(arch="star", gate_prior=2.0)


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"arch": "complete", "top_k": 3}, "--top-k 3: --topology 'complete' has no weights to rank"),
        ({"arch": "adapter-fusion", "adapters": "nosuch"}, "nosuch: no such run folder"),
    ],
)
def test_what_a_run_looks_at_must_be_there(given, error, tmp_path):
    with pytest.raises(InputError, match=re.escape(error)):
        run_and_report(make_options(**OPTIONS | given, output=str(tmp_path / "run")))


def test_options_need_options_that_exist():
    for field in FIELDS.values():
        assert field.metadata["needs"] in (None, *FIELDS)
        assert (field.metadata["unless"] or (None,))[0] in (None, *FIELDS)


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


@pytest.mark.parametrize(("name", "found", "edge"), list(outside()))
def test_numbers_out_of_range_whoever_builds_the_options(name, found, edge):
    whole = type(make_options(**owner(name)))
    group = next(each for each in whole.__mro__ if name in inspect.get_annotations(each))
    for kind in (group, whole):
        with pytest.raises(InputError, match=f"^--{name.replace('_', '-')}: found {re.escape(str(found))}, expected "):
            kind(**{name: found})
        assert getattr(kind(**{name: edge}), name) == edge
        with pytest.raises(InputError):
            replace(kind(), **{name: found})


@pytest.mark.parametrize("name", [name for name in FIELDS if get_origin(TYPES[name]) is Literal])
def test_what_is_no_choice_is_the_same_error_whoever_builds_the_options(name):
    with pytest.raises(InputError) as ours:
        make_options(**owner(name), **{name: "nonsense"})
    with pytest.raises(InputError) as theirs:
        parse_options(flags(**owner(name), **{name: "nonsense"}))
    assert str(ours.value) == str(theirs.value)


def test_options_built_from_python_are_of_their_types():
    for value in (True, "8", 8.5, [8], None):
        with pytest.raises(InputError, match="hidden"):
            make_model_options(hidden=value)
    with pytest.raises(InputError, match=r"^--bidirectional: Expected a bool. Got value: 1$"):
        make_model_options(bidirectional=1)
    options = make_options(output=Path("a/run"), seed=np.int64(3), lr=1)
    assert [(value, type(value)) for value in (options.output, options.seed, options.lr)] == [
        ("a/run", str),
        (3, int),
        (1.0, float),
    ]
