import inspect
import math
import pickle
import re
import sys
import warnings
from copy import deepcopy
from dataclasses import fields, replace
from pathlib import Path
from typing import Literal, get_origin

import numpy as np
import pytest
import yaml

from graphmtl.architectures import architecture_class
from graphmtl.config import Options, accepted
from graphmtl.errors import DataWarning, InputError
from graphmtl.models.model_options import make_model_options
from graphmtl.options import changed, make_options, parse_options, read_options
from graphmtl.options.groups import elsewhere
from graphmtl.run import run_and_report
from tests.options.every import CLASSES, COMMON, FIELDS, TYPES, outside, owner
from tests.tiny import OPTIONS, flags


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
    for name in elsewhere():
        own = [field for kind in CLASSES.values() for field in fields(kind) if field.name == name]
        assert len({(field.default, field.type, field.metadata["range"]) for field in own}) <= 1, name


def test_changes_leave_out_what_a_run_no_longer_looks_at():
    options = changed(make_options(arch="star", score="dot", lr=0.5, planted_words=9), arch="cmtr", gate_prior=0.25)
    assert options == make_options(arch="cmtr", gate_prior=0.25, lr=0.5, planted_words=9)
    assert changed(options, tasks="sick") == make_options(arch="cmtr", gate_prior=0.25, lr=0.5, tasks="sick")


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
        ({"cagrad_c": 0.5}, "--cagrad-c has no effect with --balancing equal; it is for cagrad"),
        ({"balancing": "cagrad", "cagrad_c": 0.5}, None),
        (
            {"balancing": "cagrad", "nash_norm": 0.5},
            "--nash-norm has no effect with --balancing cagrad; it is for nash",
        ),
        ({"mix": True}, "--mix has no effect without --accumulate"),
        ({"mix": True, "accumulate": 2}, None),
        ({"temperature": 5.0}, "--temperature has no effect without --sampling temperature"),
        (
            {"temperature": 5.0, "sampling": "uniform"},
            "--temperature has no effect without --sampling temperature",
        ),
        (
            {"arch": "single", "select_by": "a"},
            "--select-by has no effect with --arch single, in which each task has its own best epoch",
        ),
        (
            {"arch": "single", "common_head": False},
            "--no-common-head has no effect with --arch single, in which no task shares anything",
        ),
        (
            {"arch": "complete", "node_bias": False, "score": "static"},
            "--no-node-bias has no effect with --score static, which is that scalar",
        ),
        (
            {"arch": "complete", "node_bias": False, "bias_rate": 2.0},
            "--bias-rate has no effect with --no-node-bias, which leaves none to learn",
        ),
        ({"chars": "none", "char_size": 12}, "--char-size has no effect with --chars none, which reads none"),
        (
            {"arch": "cmtr", "uniform_gates": True, "gate_bias": False},
            "--no-gate-bias has no effect with --uniform-gates",
        ),
        (
            {"arch": "cmtr", "uniform_gates": True, "gate_reg": "prior"},
            "--gate-reg has no effect with --uniform-gates",
        ),
        ({"arch": "cmtr", "fusion_values": "interacted"}, None),  # tasks' embeddings are added
        ({"attention": 8, "score": "static"}, "--attention has no effect with --score static, which has none"),
        ({"temperature": 5.0, "sampling": "temperature"}, None),
        ({"min_updates": 9, "epochs": 2}, "--min-updates has no effect with --epochs, which says how many there are"),
        ({"min_updates": 9}, None),
        ({"embedding_lr": 0.1, "freeze_embeddings": True}, "--embedding-lr has no effect with --freeze-embeddings"),
        ({"freeze_embeddings_epochs": 1, "freeze_embeddings": True}, "--freeze-embeddings-epochs has no effect with"),
        ({"arch": "cmtr", "gate_ramp": 0.5}, "--gate-ramp has no effect without --gate-reg"),
        ({"arch": "cmtr", "gate_reg_weight": 0.5}, "--gate-reg-weight has no effect without --gate-reg"),
        ({"arch": "cmtr", "gate_reg_weight": 0.5, "gate_reg": "prior"}, None),
        ({"arch": "cmtr", "gate_prior": 0.1, "uniform_gates": True}, "--gate-prior has no effect with --uniform-gates"),
        ({"arch": "cmtr", "gate_range": 2.0, "uniform_gates": True}, "--gate-range has no effect with --uniform-gates"),
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
        for condition in filter(None, (field.metadata["needs"], (field.metadata["unless"] or (None,))[0])):
            name, has_value, value = condition.partition("=")
            assert not has_value or accepted(FIELDS[name], value) != FIELDS[name].default
            assert name in FIELDS


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


@pytest.mark.parametrize("arch", ["star", "cmtr"])
def test_options_are_pickled_and_copied(arch):
    options = make_options(arch=arch, lr=0.5, hidden=7)
    for copy in (pickle.loads(pickle.dumps(options)), deepcopy(options)):
        assert copy == options
        assert type(copy) is type(options)
    of_model = make_model_options(arch=arch, hidden=7)
    assert pickle.loads(pickle.dumps(of_model)) == of_model


def test_a_change_of_what_is_no_option():
    with pytest.raises(InputError, match="unknown option 'epoch'; did you mean 'epochs'"):
        changed(make_options(), epoch=3)


def test_what_needs_another_option_goes_with_it():
    taught = make_options(arch="cmtr", teachers="train", kd_weight=2.0)
    assert changed(taught, teachers=None) == make_options(arch="cmtr")
    assert changed(taught, lr=0.5).kd_weight == 2.0


def test_options_without_what_a_run_looks_at_are_none():
    with pytest.raises(InputError, match=r"Options are made by graphmtl\.make_options"):
        Options()


@pytest.mark.parametrize("value", ["crff", "linaer"])
def test_a_head_that_does_not_exist(value):
    with pytest.raises(InputError, match=f"unknown --tag-head '{value}'; did you mean"):
        make_options(tag_head=value)
    assert make_options(tag_head="my.module:Head").tag_head == "my.module:Head"


OUTSIDE = """
from __future__ import annotations
from dataclasses import dataclass
from graphmtl.architectures.shared import Shared
from graphmtl.config import ArchitectureOptions, OptionGroup, option

@dataclass(frozen=True, kw_only=True)
class GridOptions(ArchitectureOptions):
    grid_size: int = option(3, "cells", low=1)

class Grid(Shared):
    Options = GridOptions

@dataclass(frozen=True, kw_only=True)
class PlainOptions(ArchitectureOptions):
    cells: int = 3

class Plain(Shared):
    Options = PlainOptions

from graphmtl.training.balancing.balancing import Balancing
from graphmtl.training.term import Term

@dataclass(frozen=True, kw_only=True)
class HalfOptions(OptionGroup):
    half_size: float = option(0.5, "of a weight", low=0)

class Half(Balancing):
    Options = HalfOptions

@dataclass(frozen=True, kw_only=True)
class ShrinkOptions(OptionGroup):
    shrink: float = option(0.25, "of the weights", low=0)

class Shrink(Term):
    Options = ShrinkOptions
"""


@pytest.fixture
def outside_file(tmp_path, monkeypatch):
    """A file with architectures that nobody knows, and one that is broken."""
    (tmp_path / "grid_parts.py").write_text(OUTSIDE)
    (tmp_path / "broken_parts.py").write_text("class Grid(:\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    sys.modules.pop("grid_parts", None)


def test_options_of_an_architecture_from_outside(outside_file):
    options = parse_options(["--arch", "grid_parts:Grid", "--grid-size", "5"])
    assert (options.grid_size, type(options.grid_size)) == (5, int)
    with pytest.raises(InputError, match="--grid-size: found 0, expected 1 or more"):
        make_options(arch="grid_parts:Grid", grid_size=0)
    with pytest.raises(InputError, match=r"--grid-size: Expected a int\. Got value: many"):
        parse_options(["--arch", "grid_parts:Grid", "--grid-size", "many"])
    with pytest.raises(InputError, match=r"PlainOptions\.cells: declare it with graphmtl\.config\.option"):
        make_options(arch="grid_parts:Plain")
    with pytest.raises(InputError, match=r"the module 'broken_parts' cannot be imported .SyntaxError"):
        make_options(arch="broken_parts:Grid")


def test_options_of_what_is_trained_with_from_outside(outside_file):
    flags = ["--balancing", "grid_parts:Half", "--half-size", "2", "--terms", "grid_parts:Shrink", "--shrink", "3"]
    options = parse_options(flags)
    assert (options.half_size, options.shrink) == (2.0, 3.0)
    assert changed(options, balancing="dwa") == make_options(balancing="dwa", terms="grid_parts:Shrink", shrink=3.0)
    with pytest.raises(InputError, match=r"--shrink: found -1\.0, expected 0 or more"):
        make_options(terms="grid_parts:Shrink", shrink=-1)
    for name in ("balancing", "terms"):
        with pytest.raises(InputError, match="there is no module 'nowhere_parts'"):
            make_options(**{name: "nowhere_parts:Half"})
    with pytest.raises(InputError, match="unknown --balancing 'equla'; did you mean 'equal'"):
        make_options(balancing="equla")


@pytest.mark.filterwarnings("always::graphmtl.errors.DataWarning")
def test_a_file_with_options_from_outside_and_another_architecture(outside_file):
    (outside_file / "grid.yaml").write_text("arch: grid_parts:Grid\ngrid_size: 5\nlr: 0.5\n")
    (outside_file / "alone.yaml").write_text("grid_size: 5\n")
    (outside_file / "gone.yaml").write_text("arch: nowhere_parts:Grid\ngrid_size: 5\nlr: 0.5\n")
    assert read_options(outside_file / "grid.yaml").grid_size == 5
    assert parse_options(["--config", f"{outside_file}/alone.yaml", "--arch", "grid_parts:Grid"]).grid_size == 5
    for name, said in (("grid", "--grid-size has no effect; it is for grid_parts:Grid"), ("gone", "is left out")):
        with pytest.warns(DataWarning) as notes:
            options = parse_options(["--config", f"{outside_file}/{name}.yaml", "--arch", "star"])
        assert said in str(notes[-1].message)
        assert options == make_options(arch="star", lr=0.5)
    with pytest.raises(InputError, match="there is no module 'nowhere_parts'"):
        read_options(outside_file / "gone.yaml")
    with pytest.raises(InputError, match="line 1: unknown key 'grid_size'"):
        read_options(outside_file / "alone.yaml")
