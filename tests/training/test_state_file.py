import json
import random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from graphmtl.errors import InputError
from graphmtl.training.state_file import load_state, save_state

PLAIN = st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False)
STATES = st.recursive(
    PLAIN,
    lambda own: (
        st.lists(own, max_size=3)
        | st.lists(own, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=3) | st.integers(), own, max_size=3)
    ),
    max_leaves=10,
)


@given(STATES)
def test_comes_back_as_it_was(tmp_path_factory, state):
    path = tmp_path_factory.mktemp("state") / "state.safetensors"
    save_state(path, state)
    found = load_state(path)
    assert found == state
    assert repr(found) == repr(state)  # tuples as tuples, 1 and 1.0 and True as they were


def test_tensors_and_arrays(tmp_path):
    tied = torch.randn(3, 2)
    state = {"a": tied, "b": [tied, tied.T], 3: {"rows": np.arange(5, dtype=np.uint32)}, "empty": torch.zeros(0, 4)}
    save_state(tmp_path / "x", state)
    found = load_state(tmp_path / "x")
    assert torch.equal(found["a"], tied)
    assert torch.equal(found["b"][1], tied.T)
    assert found["empty"].shape == (0, 4)
    assert np.array_equal(found[3]["rows"], state[3]["rows"])
    assert found[3]["rows"].dtype == np.uint32


def test_states_of_random_numbers(tmp_path):
    save_state(tmp_path / "x", [random.getstate(), np.random.get_state(), torch.get_rng_state()])
    expected = random.random(), np.random.rand(), torch.rand(())
    python, numpy, own = load_state(tmp_path / "x")
    random.setstate(python), np.random.set_state(numpy), torch.set_rng_state(own)
    assert (random.random(), np.random.rand(), torch.rand(())) == expected


def test_what_cannot_be_written(tmp_path):
    with pytest.raises(TypeError, match="found"):
        save_state(tmp_path / "x", {"a": object()})


@pytest.mark.parametrize(
    "structure", ["{}", '{"tensor": "7"}', '{"run": "rm"}', '{"a": 1, "b": 2}', '{"dict": [1]}', "[" * 10_000, "x"]
)
def test_other_files_are_named(tmp_path, structure):
    save_file({"0": torch.zeros(1)}, tmp_path / "x", metadata={"graphmtl_state": structure})
    with pytest.raises(InputError, match=f"{tmp_path / 'x'}: cannot be read"):
        load_state(tmp_path / "x")


def test_damage_is_named(tmp_path):
    save_state(tmp_path / "x", {"a": torch.zeros(5)})
    whole = (tmp_path / "x").read_bytes()
    for content in (b"", whole[:-3], b"\xff" * 40, json.dumps({}).encode()):
        (tmp_path / "y").write_bytes(content)
        with pytest.raises(InputError, match="y: cannot be read"):
            load_state(tmp_path / "y")
    save_file({"0": torch.zeros(1)}, tmp_path / "z")
    with pytest.raises(InputError, match="no state that graphmtl has written"):
        load_state(tmp_path / "z")
    with pytest.raises(InputError, match="cannot be read"):
        load_state(tmp_path / "none")
