from dataclasses import fields

import pytest

from graphmtl.architectures import ARCHITECTURES, architecture_class
from graphmtl.config import ModelOptions
from graphmtl.errors import InputError
from graphmtl.models.encoders import encoder_class
from graphmtl.models.model_options import changed_model_options, chosen, make_model_options, model_options_class


def names(kind):
    return {field.name for field in fields(kind)}


@pytest.mark.parametrize("encoder", ["lstm", "bert"])
@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_options_are_those_of_every_model_of_the_architecture_and_of_the_encoder(arch, encoder):
    kind = model_options_class(arch, encoder)
    parts = (ModelOptions, architecture_class(arch).Options, encoder_class(encoder).Options)
    assert names(kind) == set().union(*map(names, parts))
    assert all(isinstance(kind(), part) for part in parts)
    assert model_options_class(arch, encoder) is kind  # so that options compare equal


def test_a_name_that_is_not_given_is_the_default():
    assert (chosen({}, "arch"), chosen({"arch": "cmtr"}, "arch")) == ("star", "cmtr")
    assert type(make_model_options()) is model_options_class("star", "lstm")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"hidden": 0}, r"^--hidden: found 0, expected a number from 1 to 16384$"),
        ({"arch": "stra"}, "unknown arch 'stra'; did you mean 'star'"),
    ],
)
def test_values_that_are_not_accepted(values, message):
    with pytest.raises(InputError, match=message):
        make_model_options(**values)


def test_a_change_leaves_out_what_the_model_no_longer_looks_at():
    star = make_model_options(arch="star", score="dot", hub_to_head=True, hidden=7)
    complete = changed_model_options(star, arch="complete")
    assert complete == make_model_options(arch="complete", score="dot", hidden=7)
    assert not hasattr(complete, "hub_to_head")
    assert changed_model_options(star, max_length=9) == make_model_options(
        arch="star", score="dot", hub_to_head=True, hidden=7, max_length=9
    )
