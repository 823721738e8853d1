"""Tensors from the CPU to a device."""

import pytest
import torch

from graphmtl.layers.devices import moved


@pytest.mark.parametrize("device", ["cpu", torch.device("cpu"), "meta"])
def test_what_is_moved_is_there(device):
    there = moved(torch.arange(3), device)
    assert there.device == torch.device(device)
    assert there.dtype == torch.int64


def test_what_is_there_already_is_not_copied():
    tensor = torch.arange(3)
    assert moved(tensor, "cpu") is tensor


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_gets_the_same_numbers():
    tensor = torch.arange(1000)
    assert torch.equal(moved(moved(tensor, "cuda"), "cuda").cpu(), tensor)
