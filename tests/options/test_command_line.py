from dataclasses import fields, replace
from typing import Literal, get_args, get_origin

import pytest

from graphmtl.errors import InputError
from graphmtl.options import make_options, parse_options
from graphmtl.training.run import Run
from tests.options.every import CHOOSES, CLASSES, COMMON, FIELDS, TYPES, another, owner
from tests.tiny import flags


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


def test_what_is_gone_on_with_is_not_replaced():
    with pytest.raises(InputError, match=r"^--resume --overwrite: .* give one$"):
        parse_options(["--resume", "--overwrite"])


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


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_seeds_that_cannot_be(seed):
    with pytest.raises(InputError, match=f"--seed: found {seed}"):
        parse_options(["--seed", str(seed)])


def test_numbers_out_of_range_on_the_command_line_and_in_the_file(tmp_path):
    with pytest.raises(InputError, match=r"--lr: found -1\.0, expected 0 or more"):
        parse_options(["--lr", "-1"])
    (tmp_path / "base.yaml").write_text("epochs: -1\n")
    with pytest.raises(InputError, match="--epochs: found -1, expected 0 or more"):
        parse_options(["--config", f"{tmp_path}/base.yaml"])


def test_defaults_of_a_run_hold_where_no_flag_says_anything(tmp_path):
    base = make_options(hidden=8, epochs=3)
    assert parse_options(["--epochs", "5"], base) == make_options(hidden=8, epochs=5)
    (tmp_path / "options.yaml").write_text("hidden: 16\n")
    assert parse_options(["--config", str(tmp_path / "options.yaml")], base) == make_options(hidden=16)
