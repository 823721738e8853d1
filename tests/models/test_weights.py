import pytest
import torch
from safetensors.torch import load_file, save_file

from graphmtl.errors import InputError
from graphmtl.models.weights import load_weights, save_weights

WEIGHTS = {"b": torch.randn(2, 3), "a": torch.tensor(7), "none": torch.empty(0, 2), "half": torch.ones(3).bfloat16()}


@pytest.fixture
def path(tmp_path):
    save_weights(tmp_path / "w.safetensors", WEIGHTS)
    return tmp_path / "w.safetensors"


def test_weights_come_back_as_they_were(path):
    for found in (load_weights(path), load_file(path)):
        assert found.keys() == WEIGHTS.keys()
        assert all(torch.equal(found[name], own) for name, own in WEIGHTS.items())


def test_every_flipped_bit_of_a_number_is_named(path):
    content = path.read_bytes()
    start = content.index(b"}}") + 2
    numbers = range(len(content) - sum(own.nbytes for own in WEIGHTS.values()), len(content))
    assert numbers.start >= start
    for place in numbers:
        own = bytearray(content)
        own[place] ^= 1 << place % 8
        path.write_bytes(own)
        with pytest.raises(InputError, match=r"w\.safetensors: damaged"):
            load_weights(path)


@pytest.mark.parametrize("size", [0, 5, 100, -1])
def test_a_file_that_is_cut_is_named(path, size):
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(InputError, match=r"w\.safetensors: cannot be read"):
        load_weights(path)


def test_a_file_of_others_has_no_checksum(tmp_path):
    save_file(WEIGHTS, tmp_path / "theirs.safetensors", metadata={"format": "pt"})
    assert load_weights(tmp_path / "theirs.safetensors").keys() == WEIGHTS.keys()
